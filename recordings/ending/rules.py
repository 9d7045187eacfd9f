"""When a recording ends, who may hold it or set it apart as evidence, and what its end proves. Pure. policy: RE2, RE3, RE5.

Whether a recording is held is worked out each time from the steps that people took, never kept: no forgotten update can let
evidence go, or keep a child's picture longer than somebody decided.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.people.actions import Action

CIRCLE = SAFEGUARDING | {Role.HEADTEACHER}
"""Who knows of a hold; the chair too, where a headteacher was in the lesson."""
READERS = CIRCLE | {Role.DPO}
"""Who sees what is due, kept and destroyed."""
ANSWER_WITHIN = timedelta(days=7)
"""A hold that one person asked for keeps the recording for so long, while the second decides."""
REVIEW_WITHIN = timedelta(days=90)
LATE_AFTER = timedelta(hours=1)
METHOD = "NIST SP 800-88 cryptographic erase: every copy of the key destroyed, then the encrypted data removed"


class Held(Conflict):
    """This recording is kept by a legal hold. It is not destroyed until two people release it."""

    code = "held"


class BeingDestroyed(Conflict):
    """Too late: this recording is being destroyed, or was. It cannot be kept. Nothing was changed."""

    code = "being-destroyed"


class KeyUnreadable(Conflict):
    """The key of this recording cannot be read, so it cannot be kept past its day. Nothing was changed. Tell the technician now,
    and ask again when the key can be read."""

    code = "key-unreadable"


class HoldChanged(Conflict):
    """Somebody was faster, or the request lapsed. Read this page again."""

    code = "hold-changed"


class Step(StrEnum):
    """What people do about a recording that has to be kept. Only ever added."""

    ASKED = "asked"
    AGREED = "agreed"
    REFUSED = "refused"
    REVIEWED = "reviewed"
    ISOLATED = "isolated"
    REFERRAL = "referral"
    RELEASE_ASKED = "release-asked"
    RELEASE_REFUSED = "release-refused"
    RELEASED = "released"


STEP_WORDS = {
    Step.ASKED: "Asked to keep it", Step.AGREED: "Agreed to keep it", Step.REFUSED: "Did not agree to keep it",
    Step.REVIEWED: "Reviewed it: still kept", Step.ISOLATED: "Set it apart as evidence", Step.REFERRAL: "Referral",
    Step.RELEASE_ASKED: "Asked to release it", Step.RELEASE_REFUSED: "Did not agree to release it", Step.RELEASED: "Released it",
}


@dataclass(frozen=True)
class Taken:
    """One step that somebody took."""

    step: Step
    by: str
    at: datetime
    words: str = ""
    review_on: date | None = None
    hold_id: str = ""


@dataclass(frozen=True)
class Standing:
    """How a hold stands now. `waits_for`: the step that a second person has to decide, None while nothing is asked. `replaced`:
    what somebody who has left asked for before it was asked anew; it goes on where whoever asked anew takes that back."""

    in_force: bool
    is_agreed: bool
    is_isolated: bool
    asked_by: str
    review_on: date | None
    waits_for: Step | None
    waiting_since: datetime | None = None
    hold_id: str = ""
    replaced: "Standing | None" = None

    @property
    def stays_kept(self) -> bool:
        """Whether a no to what is asked lets nothing go: evidence stays, and so does what somebody asked to release."""
        return self.is_isolated or self.waits_for is Step.RELEASED


NONE = Standing(False, False, False, "", None, None)


def standing(steps: Sequence[Taken], now: datetime) -> Standing:
    """How the newest hold of a recording stands, from its steps in order. Isolated evidence never lapses (policy: RE5)."""
    found = NONE
    for taken in steps:
        found = _after(found, taken)
    lapsed = found.waits_for is Step.AGREED and not found.is_isolated and found.waiting_since is not None \
        and now >= found.waiting_since + ANSWER_WITHIN
    return NONE if lapsed else found


def _after(before: Standing, taken: Taken) -> Standing:
    decided = replace(before, review_on=taken.review_on or before.review_on, waits_for=None, waiting_since=None, replaced=None)
    match taken.step:
        case Step.ASKED:
            earlier = before if before.waits_for is Step.AGREED else None
            return Standing(True, False, False, taken.by, taken.review_on, Step.AGREED, taken.at, taken.hold_id, earlier)
        case Step.AGREED:
            return replace(decided, is_agreed=True)
        case Step.REFUSED if before.is_isolated:
            return decided  # evidence stays where it is, whoever does not agree; only two people let it go
        case Step.REFUSED:
            # One person takes back only what they asked for; a no of the second person is to all of it.
            return before.replaced or NONE if taken.by == before.asked_by else NONE
        case Step.ISOLATED:
            return replace(before, is_isolated=True)
        case Step.REVIEWED:
            return replace(before, review_on=decided.review_on)
        case Step.RELEASE_ASKED:
            return replace(decided, asked_by=taken.by, waits_for=Step.RELEASED, waiting_since=taken.at)
        case Step.RELEASE_REFUSED:
            return decided
        case Step.RELEASED:
            return NONE
    return before


def asked_in_vain(steps: Iterable[tuple[Step, str]], by: str) -> bool:
    """Whether this person had a recording kept before, and nobody agreed: alone they keep none past its day a second time."""
    mine = False
    for step, taken_by in steps:
        if step is Step.ASKED:
            if mine:
                return True
            mine = taken_by == by
        elif step in (Step.AGREED, Step.ISOLATED):
            mine = False
    return mine


# -- who may what ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Involved:
    """Whom a recording shows. `heads`: the school's headteachers, to know whether one of them was in it. `subjects`: whom a
    complaint, alert or concern about it is about; they decide nothing about it and learn nothing of it (policy: IN4)."""

    participants: frozenset[str]
    heads: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()

    @property
    def away(self) -> frozenset[str]:
        """Who learns of no hold of it."""
        return self.participants | self.subjects

    @property
    def head_took_part(self) -> bool:
        return bool(self.participants & self.heads)

    @property
    def head_is_out(self) -> bool:
        """Whether the chair of governors stands in for the headteacher."""
        return bool(self.away & self.heads)


class TookPart(NotAllowed):
    """You were in this lesson, so somebody else decides about its recording."""

    code = "took-part"


class AskedInVain(NotAllowed):
    """Its day is past. You had it kept before, and nobody agreed: now somebody else has to ask, or it goes."""

    code = "asked-in-vain"


class SamePerson(NotAllowed):
    """You asked for this. A second person has to agree."""

    code = "same-person"


def is_in_circle(actor: Actor, involved: Involved) -> bool:
    """Whether somebody may know that a recording is held. Nobody who was in the lesson may, whatever they are, and nobody whom
    a concern about it is about."""
    if actor.person_id in involved.away:
        return False
    return actor.is_any(CIRCLE) or (Role.CHAIR in actor.roles and involved.head_is_out)


def check_in_circle(actor: Actor, involved: Involved) -> None:
    if actor.person_id in involved.participants and actor.is_any(CIRCLE | {Role.CHAIR}):
        raise TookPart()
    if not is_in_circle(actor, involved):
        raise NotFound()


def check_may_ask(actor: Actor, involved: Involved) -> None:
    """Who may ask to keep or release a recording, review a hold, or set it apart: the safeguarding team and the headteacher."""
    check_in_circle(actor, involved)
    if not actor.is_any(CIRCLE):
        raise NotFound()


def check_may_agree(actor: Actor, asked_by: str, asked_roles: frozenset[Role], involved: Involved) -> None:
    """The second person: of the DSL (or a deputy) and the headteacher, the one who did not ask.

    Where a headteacher was in the lesson, or it is about one, the chair of governors stands in for them.
    """
    check_in_circle(actor, involved)
    if actor.person_id == asked_by:
        raise SamePerson()
    heads = {Role.HEADTEACHER, Role.CHAIR} if involved.head_is_out else {Role.HEADTEACHER}
    is_head, is_safeguarding = actor.is_any(frozenset(heads)), actor.is_any(SAFEGUARDING)
    asked_as_safeguarding, asked_as_head = bool(asked_roles & SAFEGUARDING), bool(asked_roles & heads)
    if not ((is_head and asked_as_safeguarding) or (is_safeguarding and asked_as_head)):
        raise NotAllowed("One of the two is the DSL or a deputy, the other the headteacher. Ask the other one.")


def is_to_review(stands: Standing, today: date) -> bool:
    """Whether the day has come by which somebody looks again; not of what lapses by itself."""
    lapses = stands.waits_for is Step.AGREED and not stands.is_isolated
    return stands.in_force and not lapses and stands.review_on is not None and stands.review_on <= today


def waits_for(actor: Actor, stands: Standing, asked_roles: frozenset[Role], involved: Involved, today: date) -> Step | None:
    """What about a recording waits for this person: their own second word, or that the team looks again."""
    if stands.waits_for is not None:
        with suppress(NotAllowed, NotFound):
            check_may_agree(actor, stands.asked_by, asked_roles, involved)
            return stands.waits_for
    if is_to_review(stands, today):
        with suppress(NotAllowed, NotFound):
            check_may_ask(actor, involved)
            return Step.REVIEWED
    return None


def check_may_refuse(actor: Actor, stands: Standing, asked_roles: frozenset[Role], involved: Involved) -> None:
    """Who asked takes it back, and the second person says no. So does everybody who may know of it where that lets nothing go:
    whoever asked may have left, and then nobody is the second person, and nobody could ask again."""
    check_in_circle(actor, involved)
    if actor.person_id != stands.asked_by and not stands.stays_kept:
        check_may_agree(actor, stands.asked_by, asked_roles, involved)


def is_orphaned(stands: Standing, asked_roles: frozenset[Role]) -> bool:
    """Whether nobody can agree that a recording is kept, because whoever asked has left or asks for nothing any more: then
    somebody else asks, before it lapses."""
    return stands.waits_for is Step.AGREED and not stands.is_isolated and not asked_roles & CIRCLE


def check_words(words: str, reference: str, review_on: date | None, today: date) -> None:
    """A reason, a case reference, and a day on which somebody looks again. Raises Invalid with words for each box."""
    wrong = {}
    if not 3 <= len(words.strip()) <= 1000:
        wrong["reason"] = "Say why it has to be kept, in up to 1,000 letters"
    if not 1 <= len(reference.strip()) <= 60:
        wrong["reference"] = "Enter the number of the concern or case, up to 60 letters"
    if review_on is None or not today < review_on <= today + REVIEW_WITHIN:
        wrong["review_on"] = f"Choose a day after today, and no later than {_said(today + REVIEW_WITHIN)}"
    if wrong:
        raise Invalid(fields=wrong)


def check_reason(words: str, field: str = "reason") -> str:
    if not 3 <= len(words.strip()) <= 1000:
        raise Invalid(fields={field: "Say why, in up to 1,000 letters"})
    return words.strip()


def _said(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def decided(kind: Step, recording_id: str, words: str, **more: str | date | None) -> Action:
    """What somebody confirms, exactly."""
    ends = {
        Step.ASKED: "keep this recording", Step.AGREED: "agree that this recording is kept",
        Step.ISOLATED: "set this recording apart as evidence", Step.REVIEWED: "keep this recording for longer",
        Step.RELEASE_ASKED: "release this recording", Step.RELEASED: "agree that this recording is released",
    }
    fields = {name: value.isoformat() if isinstance(value, date) else value for name, value in more.items()}
    return Action(f"recording-{kind}", ends[kind], {"recording_id": recording_id, "words": words, **fields})


# -- the day --------------------------------------------------------------------------------------------------------------


def due_at(kept_until: date, zone: str) -> datetime:
    """When destruction begins: as soon as the last day on which the recording is kept has ended, where the school is."""
    return datetime.combine(kept_until + timedelta(days=1), time(), ZoneInfo(zone))


def today(now: datetime, zone: str) -> date:
    return now.astimezone(ZoneInfo(zone)).date()


def is_due(kept_until: date, now: datetime, zone: str) -> bool:
    return now >= due_at(kept_until, zone)


def is_late(kept_until: date, now: datetime, zone: str) -> bool:
    """Whether it should have been destroyed by now: the headteacher sees it."""
    return now >= due_at(kept_until, zone) + LATE_AFTER


# -- the yearly list ---------------------------------------------------------------------------------------------------------


class Item(StrEnum):
    """What is looked through once a school year (policy: RE3)."""

    HOLDS = "holds"
    DESTROYED = "destroyed"
    ROLES = "roles"
    APPROVALS = "approvals"
    LINKS = "links"


ITEM_WORDS = {
    Item.HOLDS: "Recordings that are kept by a legal hold", Item.DESTROYED: "Recordings that were destroyed",
    Item.ROLES: "Staff who have not signed in for a year", Item.APPROVALS: "Approvals that ended without being used",
    Item.LINKS: "Links and words that are let through",
}


def school_year(day: date) -> int:
    """The year in which the school year of `day` began, in September."""
    return day.year if day.month >= 9 else day.year - 1


def in_force(steps: Iterable[Taken], now: datetime) -> bool:
    return standing(list(steps), now).in_force
