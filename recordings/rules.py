"""Who may watch a recording, why, and for how long. Pure. policy: RE1, RE2, RE4."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import SAFEGUARDING, Actor
from service.people.actions import Action
from service.people.profile import Profile

VIEW_LASTS = timedelta(hours=2)


class Kind(StrEnum):
    """What a recording is, fixed when it begins: each kind is kept for its own time (policy: RE2)."""

    LESSON = "lesson"
    ONE_TO_ONE = "one-to-one"
    TEACHING_PRACTICE = "teaching-practice"


KIND_WORDS = {
    Kind.LESSON: "Lesson", Kind.ONE_TO_ONE: "One-to-one lesson", Kind.TEACHING_PRACTICE: "Teaching practice",
}


class Why(StrEnum):
    """The only purposes. How somebody teaches is not one (policy: RE1)."""

    CONCERN = "concern"
    FLAG = "flag"
    COMPLAINT = "complaint"
    POLICE = "police"


NO_PURPOSE = frozenset({
    "teaching practice", "teaching-practice", "teaching quality", "performance management", "performance-management",
    "performance",
})
"""What somebody might want to watch a recording for and never may: offered nowhere, refused when it is sent by hand."""
REFUSED_WORDS = (
    "Recordings of lessons are there to keep children safe, and are used for nothing else (policy RE1): not to judge how "
    "somebody teaches, and not for performance management"
)
WHY_WORDS = {
    Why.CONCERN: "A concern about a child",
    Why.FLAG: "A moment that staff flagged",
    Why.COMPLAINT: "A complaint",
    Why.POLICE: "A police investigation",
}


class TookPart(NotAllowed):
    """You were in this lesson, so somebody else reviews it."""

    code = "took-part"


class SomebodyElse(NotAllowed):
    """Somebody else reviews this recording."""

    code = "somebody-else"


class StillRecording(Conflict):
    """This lesson is still being recorded. You can watch it when it has ended."""

    code = "still-recording"


class KeyDestroyed(Conflict):
    """This recording was destroyed. What is left proves that it existed and when it was destroyed."""

    code = "destroyed"


@dataclass(frozen=True)
class View:
    """One view: this person, in this sign-in, this recording, for this while. `by_grant`: what allowed it to somebody who may
    not watch by their role."""

    recording_id: str
    person_id: str
    session_id: str
    granted_at: datetime
    expires_at: datetime
    by_grant: str = ""


def watch_action(recording_id: str, title: str, why: str, concern: str) -> Action:
    """One view as it is confirmed: this recording, for this reason."""
    return Action("watch-recording", f"watch the recording of {title}",
                  {"recording_id": recording_id, "why": why, "concern": concern.strip()})


def check_may_watch(actor: Actor, participants: Collection[str], subjects: Collection[str]) -> None:
    """Only the safeguarding team, nobody who took part, and nobody whom a complaint or concern about it is about: they are told
    no more than that somebody else does it (policy: IN4). To everybody else a recording does not exist."""
    if not actor.is_any(SAFEGUARDING):
        raise NotFound()
    if actor.person_id in participants:
        raise TookPart()
    if actor.person_id in subjects:
        raise SomebodyElse()


def check_reason(why: str, concern: str) -> Why:
    """The purpose that was given, or `Invalid` with words for the form."""
    wrong: dict[str, str] = {}
    try:
        checked_why(why)
    except Invalid as refusal:
        wrong |= refusal.fields
    if len(concern) > 40:
        wrong["concern"] = "Enter the concern number as it is written, up to 40 characters"
    if wrong:
        raise Invalid(fields=wrong)
    return Why(why)


def is_refused(why: str) -> bool:
    """Whether somebody asks for what recordings are never used for (policy: RE1)."""
    return " ".join(why.casefold().split()) in NO_PURPOSE


def checked_why(why: str) -> Why:
    """One of the purposes there are, or `Invalid` with words for the form."""
    if why not in set(Why):
        words = REFUSED_WORDS if is_refused(why) else "Choose why you need to watch this recording"
        raise Invalid(fields={"why": words})
    return Why(why)


def is_in_force(view: View, actor: Actor, recording_id: str, now: datetime) -> bool:
    """Whether this very person, in the sign-in that gave the reason, may be served another byte."""
    same = (view.recording_id, view.person_id, view.session_id) == (recording_id, actor.person_id, actor.session_id)
    return same and bool(actor.session_id) and view.granted_at <= now < view.expires_at


def outcome_of(parts: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """(outcome, reason) of a whole recording from those of its parts: complete only when every part is."""
    reasons = [reason for outcome, reason in parts if outcome != "complete"]
    return ("incomplete", "; ".join(dict.fromkeys(reasons))) if reasons else ("complete", "")


def retention_days(kind: Kind, profile: Profile) -> int:
    """How long a recording of this kind is kept, by the school's profile."""
    return {
        Kind.LESSON: profile.retention_days, Kind.ONE_TO_ONE: profile.retention_one_to_one_days,
        Kind.TEACHING_PRACTICE: profile.retention_practice_days,
    }[kind]


def kept_until(ends_at: datetime, days: int) -> date:
    """The last day on which the recording is kept."""
    return ends_at.date() + timedelta(days=days)
