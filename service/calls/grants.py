"""A personal telephone for calls to families: who may ask, who decides, and whether a grant still stands (policy: CM3). Pure.

A grant names one person and one number, says why, and ends on a day. Whether it stands is worked out at every dialling and at
every answer from what its approver may still do and which number is entered, never kept.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import LEADERS, Actor, Role
from service.people import telephones
from service.people.actions import Action

DECIDE = LEADERS
LONGEST = timedelta(days=92)


class State(StrEnum):
    WAITING = "Waiting for a leader"
    REFUSED = "Not approved"
    IN_FORCE = "In force"
    LAPSED = "Does not hold"
    ENDED = "Ended"
    OVER = "Over"


@dataclass(frozen=True)
class Grant:
    """A request, and what was decided about it. `until`: the end of its last day. `approver_roles`: held now. `number`: the
    keyed hash of the telephone's when it was asked for; `number_now`: of the one that is entered now."""

    id: str
    person_id: str
    why: str
    until: datetime
    asked_at: datetime
    decided_by: str = ""
    approved: bool | None = None
    revoked_at: datetime | None = None
    approver_roles: frozenset[Role] = frozenset()
    number: str = ""
    number_now: str = ""
    reason: str = ""

    @property
    def is_same_telephone(self) -> bool:
        """A leader said yes to one telephone, and to no other that is entered after it."""
        return bool(self.number) and self.number == self.number_now

    def stands(self, person_id: str, now: datetime) -> bool:
        """Whether this person may use their own telephone now: this one, approved by somebody else who still could, in time, not
        ended."""
        return (self.person_id == person_id and self.approved is True and self.revoked_at is None and now < self.until
                and self.decided_by not in ("", person_id) and bool(self.approver_roles & DECIDE) and self.is_same_telephone)

    def state(self, now: datetime) -> State:
        if self.revoked_at is not None:
            return State.ENDED
        if self.approved is False:
            return State.REFUSED
        if now >= self.until:
            return State.OVER
        if self.approved is None:
            return State.WAITING if self.is_same_telephone else State.OVER
        return State.IN_FORCE if self.stands(self.person_id, now) else State.LAPSED


def asking_problems(why: str, until: date | None, today: date) -> dict[str, str]:
    """Words for every box that lacks something."""
    wrong = {}
    if not 10 <= len(why) <= 500:
        wrong["why"] = "Say why you need your own phone, in 500 letters or fewer"
    elif telephones.is_in(why):
        wrong["why"] = "Leave telephone numbers out"
    if until is None or until < today:
        wrong["until"] = "Enter the last day, like 5/3/2027, not in the past"
    elif until - today > LONGEST:
        wrong["until"] = f"Choose a last day within {LONGEST.days} days"
    return wrong


def checked_decider(actor: Actor, person_id: str) -> None:
    """A leader, and never whoever asked."""
    if actor.person_id == person_id:
        raise NotAllowed("You cannot decide this. You asked for it.")
    if not actor.roles & DECIDE:
        raise NotAllowed("A senior leader or the headteacher decides about personal phones.")


def checked_reason(reason: str) -> str:
    said = " ".join(reason.split())
    if not 1 <= len(said) <= 500:
        raise Invalid(fields={"reason": "Give a reason, in 500 letters or fewer"})
    if telephones.is_in(said):
        raise Invalid(fields={"reason": "Leave telephone numbers out"})
    return said


def approval_action(one: Grant, reason: str, words: str) -> Action:
    """What a leader confirms: exactly this person, this reason and this last day (threats T5, T6)."""
    return Action("approve-personal-phone", words, {
        "request_id": one.id, "person_id": one.person_id, "why": one.why, "until": one.until, "reason": reason,
        "number": one.number})


def ending_action(one: Grant, words: str) -> Action:
    return Action("end-personal-phone", words, {"request_id": one.id})
