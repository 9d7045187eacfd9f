"""What a guest pass is, who may ask for one, decide and end it, and when it lets somebody in. Pure. policy: AC7.

It prevents an outside adult in a lesson without a person at the school who answers for the visit and a leader who approved
exactly it. A pass never makes anybody the school's adult: whoever holds one counts for nobody's protection.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import LEADERS, STAFF, Actor, Role
from service.people.actions import Action


class Kind(StrEnum):
    """Why somebody from outside comes. An interpreter comes for a child, the others for the class."""

    SPEAKER = "speaker"
    INTERPRETER = "interpreter"
    TUTOR = "tutor"


KIND_WORDS = {Kind.SPEAKER: "Speaker", Kind.INTERPRETER: "Interpreter", Kind.TUTOR: "Tutor"}
ASK = frozenset({Role.TEACHER}) | LEADERS
DECIDE = LEADERS
LONGEST = timedelta(days=92)
LINK_LASTS = timedelta(days=3)


class State(StrEnum):
    WAITING = "Waiting for a leader"
    REFUSED = "Not approved"
    APPROVED = "Approved"
    ENDED = "Ended"
    OVER = "Over"


@dataclass(frozen=True)
class Pass:
    """A visit that was asked for: who, on whose word, why, to which lessons, for which children, from when until when."""

    id: str
    guest_id: str
    sponsor_id: str
    kind: Kind
    purpose: str
    identity_note: str
    starts_at: datetime
    ends_at: datetime
    lesson_ids: frozenset[str]
    child_ids: frozenset[str]
    asked_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    approved: bool | None = None
    decision_reason: str = ""
    revoked_by: str = ""
    revoked_at: datetime | None = None
    revoked_because: str = ""

    def state(self, now: datetime) -> State:
        if self.revoked_at is not None:
            return State.ENDED
        if self.approved is False:
            return State.REFUSED
        if now >= self.ends_at:
            return State.OVER
        return State.APPROVED if self.approved else State.WAITING


def stands(one: Pass, *, sponsor: Collection[Role], approver: Collection[Role]) -> bool:
    """Whether a pass may let anybody in at all, with the roles that its sponsor and its approver hold now: who answered for
    the visit still works here, who approved it still could, and they and the guest are three persons."""
    persons = {one.guest_id, one.sponsor_id, one.decided_by}
    return (one.approved is True and one.revoked_at is None and len(persons) == 3 and bool(set(sponsor) & STAFF)
            and bool(set(approver) & DECIDE))


def is_in_force(one: Pass, at: datetime, *, sponsor: Collection[Role], approver: Collection[Role]) -> bool:
    """Whether the pass lets its guest in at a moment: it stands, and the moment is inside its dates."""
    return stands(one, sponsor=sponsor, approver=approver) and one.starts_at <= at < one.ends_at


# -- asking ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a sponsor's form says. Days count whole, both of them."""

    kind: str
    purpose: str
    identity_note: str
    first: date | None
    last: date | None
    lesson_ids: frozenset[str]
    child_ids: frozenset[str] = frozenset()
    guest_id: str = ""
    title: str = ""
    given_name: str = ""
    family_name: str = ""


def asking_problems(asked: Asked, *, lessons: dict[str, date], children: Collection[str], today: date) -> dict[str, str]:
    """Words for every box that lacks something. `lessons`: those the sponsor may name, with their days; `children`: those
    of the class."""
    days = [lessons[lesson] for lesson in asked.lesson_ids if lesson in lessons]
    is_interpreter = asked.kind == Kind.INTERPRETER
    checks = (
        ("kind", "Choose why this person comes", asked.kind in set(Kind)),
        ("given_name", "Choose a guest, or enter a first name", bool(asked.guest_id or asked.given_name)),
        ("family_name", "Enter a last name", bool(asked.guest_id or asked.family_name)),
        ("purpose", "Say what the guest will do, in 500 letters or fewer", 10 <= len(asked.purpose) <= 500),
        ("identity_note", "Say how you know who this is, and what checks there are", 10 <= len(asked.identity_note) <= 500),
        ("lessons", "Choose the lessons the guest comes to", bool(asked.lesson_ids) and asked.lesson_ids <= set(lessons)),
        ("first", "Enter the first day, like 5/3/2027, not in the past", asked.first is not None and asked.first >= today),
        ("last", "Enter the last day, like 5/3/2027", asked.last is not None),
        ("last", f"Choose a last day within {LONGEST.days} days after the first",
         not (asked.first and asked.last) or timedelta() <= asked.last - asked.first < LONGEST),
        ("lessons", "Each lesson has to be between the first and the last day",
         not (asked.first and asked.last) or all(asked.first <= day <= asked.last for day in days)),
        ("children", "Choose the child or children this interpreter is for", not is_interpreter or bool(asked.child_ids)),
        ("children", "Only an interpreter comes for single children. Choose no child", is_interpreter or not asked.child_ids),
        ("children", "Choose children of this class", asked.child_ids <= set(children)),
    )
    wrong: dict[str, str] = {}
    for field, words, fits in checks:
        if not fits:
            wrong.setdefault(field, words)
    return wrong


def checked_guest(person_id: str, kind: str, roles: Collection[Role], sponsor_id: str) -> None:
    """A guest is an adult from outside: nobody's own guest, and nobody who works here."""
    if person_id == sponsor_id:
        raise Invalid(fields={"guest_id": "You cannot be your own guest"})
    if kind != "adult" or Role.GUEST not in roles or set(roles) & STAFF:
        raise Invalid(fields={"guest_id": "Choose a guest. Who works here comes in as staff"})


# -- deciding and ending ----------------------------------------------------------------------------------------------------


def checked_decider(actor: Actor, one: Pass) -> None:
    """A leader who is neither the sponsor nor the guest: three persons, whatever their roles (policy: AC7)."""
    if actor.person_id in (one.sponsor_id, one.guest_id):
        raise NotAllowed("You cannot decide this. You asked for it, or you are the guest.")
    if not actor.roles & DECIDE:
        raise NotAllowed("A senior leader or the headteacher decides about guests.")


def checked_reason(reason: str) -> str:
    said = " ".join(reason.split())
    if not 1 <= len(said) <= 500:
        raise Invalid(fields={"reason": "Give a reason, in 500 letters or fewer"})
    return said


def checked_ender(actor: Actor, one: Pass) -> None:
    """Who answers for a visit ends it, and any leader does."""
    if actor.person_id != one.sponsor_id and not actor.roles & LEADERS:
        raise NotAllowed("Who invited this guest, or a leader, ends the visit.")


def approval_action(one: Pass, reason: str, words: str) -> Action:
    """What a leader confirms: exactly this guest, visit, lessons and children (threats T5, T6)."""
    return Action("approve-guest", words, {
        "pass_id": one.id, "guest_id": one.guest_id, "sponsor_id": one.sponsor_id, "kind": str(one.kind), "purpose": one.purpose,
        "identity_note": one.identity_note, "starts_at": one.starts_at, "ends_at": one.ends_at,
        "lesson_ids": sorted(one.lesson_ids), "child_ids": sorted(one.child_ids), "reason": reason,
    })


def ending_action(one: Pass, reason: str, words: str) -> Action:
    return Action("end-guest-pass", words, {"pass_id": one.id, "reason": reason})
