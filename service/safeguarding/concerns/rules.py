"""What belongs in a concern, who may read it, and in which order it is told. Pure. policy: RC1, RC3, IN2, IN4, DE4.

A concern is its chronology: entries that are only ever added. What stands (its categories, each child's part, what is still to
do, whether it is closed) is worked out from them.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import SAFEGUARDING, STAFF, Role
from service.people.actions import Action
from service.safeguarding.chronology import Entry, Kind, check_open, standing, wrong_fields
from service.safeguarding.rules import About, Viewer, circle

RAISERS = STAFF | {Role.CHAIR}
EXPORT_LASTS = timedelta(days=7)


class Part(StrEnum):
    """A child's part in it. Linking a child says nothing without one: whoever may have harmed is no victim."""

    HARMED = "harmed"
    HARMING = "harming"
    SAW = "saw"
    LINKED = "linked"


PART_WORDS = {
    Part.HARMED: "May be harmed", Part.HARMING: "May have harmed", Part.SAW: "Saw it", Part.LINKED: "Linked",
}
CATEGORIES = {
    "online": "Online safety", "peer": "Between children", "emotional": "Emotional", "physical": "Physical", "sexual": "Sexual",
    "neglect": "Neglect", "home": "At home", "self-harm": "Mental health or self-harm", "radicalisation": "Radicalisation",
    "engagement": "Attendance or not engaging", "adult": "Conduct of an adult", "other": "Something else",
}
OF_A_RECEIVER = frozenset({Kind.AUTHORITY, Kind.WATCHER})
"""Tasks of the headteacher or the chair, when it is about an adult who works here."""
NEEDED = {
    Kind.NOTE: {"words": "Write something first"}, Kind.DONE: {"words": "Write something first"},
    Kind.CORRECTION: {"words": "Write the correction", "of_entry": "Choose what you correct"},
    Kind.CATEGORY: {"words": "Choose a category"},
    Kind.CHILD: {"child_id": "Choose a pupil", "part": "Choose the pupil's part"},
    Kind.ACTION: {"words": "Say what is to be done", "person_id": "Choose who does it", "on": "Enter the day, like 3 3 2027"},
    Kind.ACTION_DONE: {"of_entry": "Choose what was done"},
    Kind.REFERRAL: {"agency": "Enter who it was referred to", "on": "Enter the day, like 3 3 2027"},
    Kind.CASE_NUMBER: {"reference": "Enter the number"},
    Kind.PARENTS_TOLD: {"words": "Say how they were told"},
    Kind.PARENTS_NOT_TOLD: {"words": "Say why it may add risk"},
    Kind.AUTHORITY: {"words": "Enter the name of whom you spoke to", "on": "Enter the day, like 3 3 2027"},
    Kind.WATCHER: {"person_id": "Choose one person"},
    Kind.CLOSED: {"words": "Say what it came to"}, Kind.REOPENED: {"words": "Say why"},
}
"""What each kind that people add cannot be without, with the words for its form."""


class OpenActions(Conflict):
    """Something is still to be done. Say that it is done, or correct it, before you close this."""

    code = "open-actions"


class NotAgreedYet(Conflict):
    """A colleague looks at this first."""

    code = "not-agreed"


class OwnExport(NotAllowed):
    """You asked for this, so a colleague looks at it."""

    code = "own-export"


@dataclass(frozen=True)
class Child:
    """A child and their part, as a form gives them."""

    child_id: str
    part: str


@dataclass(frozen=True)
class New:
    """What whoever raises a concern says. `about`: an `About` when it is about an adult who works here, `about_id` whom.
    `by_name`: children that the person who raises it knows by name only."""

    said: str
    done: str
    on: date | None
    at: str = ""
    categories: tuple[str, ...] = ()
    children: tuple[Child, ...] = ()
    by_name: str = ""
    about_adult: str = ""
    about_id: str = ""
    alert_id: str = ""
    lesson_id: str = ""
    place: str = ""

    @property
    def about(self) -> str:
        return About.STAFF if self.about_adult == "yes" else ""


@dataclass(frozen=True)
class Concern:
    """What reading it depends on. `barred`: the people for whom it does not exist. `has_its_alert`: whoever took the alert
    that tells of it."""

    routed_to: Role
    barred: frozenset[str] = frozenset()
    has_its_alert: frozenset[str] = frozenset()


def may_open(concern: Concern, viewer: Viewer) -> bool:
    """Whether the concern exists for this viewer: its own circle, or who took its alert; never who is left out."""
    if viewer.person_id in concern.barred:
        return False
    return bool(viewer.roles & circle(concern.routed_to)) or viewer.person_id in concern.has_its_alert


def check_new(new: New, today: date, *, adults: Collection[str]) -> None:
    """Raise `Invalid` with words for every field that cannot be used. `adults`: who it can be about."""
    problems = (
        ("about_adult", "Say whether it is about an adult who works here", new.about_adult not in ("yes", "no")),
        ("about_id", "Choose who it is about", new.about_adult == "yes" and bool(new.about_id) and new.about_id not in adults),
        ("on", "Enter the day it happened, like 3 3 2027", new.on is None),
        ("on", "Enter a day that is not in the future", new.on is not None and new.on > today),
        ("children", "Choose each pupil's part", any(one.part not in set(Part) for one in new.children)),
        ("children", "Choose a pupil, or write a name", not new.children and not new.by_name.strip()
         and new.about_adult != "yes"),
        ("said", "Write what was seen or heard", not new.said.strip()),
        ("categories", "Choose what it is about", not set(new.categories) <= set(CATEGORIES)),
    )
    wrong = {field: words for field, words, is_wrong in problems if is_wrong}
    if wrong:
        raise Invalid(fields=wrong)


def check_entry(entry: Entry, so_far: Sequence[Entry], *, is_about_staff: bool, readers: Collection[str],
                watchers: Collection[str]) -> None:
    """Raise unless `entry` may be added to what is there. `readers`: who may read it; `watchers`: who is not involved."""
    wrong = wrong_fields(entry, so_far, needed=NEEDED, categories=CATEGORIES, parts=frozenset(Part), readers=readers)
    if entry.kind is Kind.WATCHER and entry.person_id and entry.person_id not in watchers:
        wrong["person_id"] = "Choose somebody who was not in the lesson and whom it is not about"
    if wrong:
        raise Invalid(fields=wrong)
    if entry.kind not in NEEDED or (entry.kind in OF_A_RECEIVER and not is_about_staff):
        raise Conflict()
    now = standing(so_far)
    if entry.kind is Kind.CLOSED and now.to_do:
        raise OpenActions()
    check_open(entry, now)


def is_number(words: str) -> bool:
    """Whether this is written as one of our numbers."""
    return re.fullmatch(r"C-\d{4}-\d+", words.strip(), re.IGNORECASE) is not None


def in_order_of_events(entries: Iterable[Entry], happened_on: date) -> list[Entry]:
    """As a case system tells it: by the day something happened, then as it was written down."""
    def key(one: Entry) -> tuple[date, datetime]:
        assert one.at is not None
        told = one.on if one.kind in (Kind.REFERRAL, Kind.AUTHORITY) and one.on else one.at.date()
        return (happened_on if one.kind in (Kind.SAID, Kind.CATEGORY, Kind.CHILD) and told >= happened_on else told), one.at
    return sorted(entries, key=key)


# The file for a case system


@dataclass(frozen=True)
class Export:
    """Who asked for a file for whom, and who looked at it. `others`: who else may read the concern and could look."""

    asked_by: str
    asked_at: datetime
    agreed_by: str = ""
    agreed_at: datetime | None = None
    others: frozenset[str] = frozenset()


def check_agree(export: Export, person_id: str) -> None:
    """A second look is a colleague's. Where nobody else may read the concern, the same person looks again."""
    if export.agreed_by:
        raise Conflict("A colleague has looked at this already.")
    if person_id == export.asked_by and export.others - {person_id}:
        raise OwnExport()


def check_make(export: Export, now: datetime) -> None:
    if export.agreed_at is None:
        raise NotAgreedYet()
    if now >= export.agreed_at + EXPORT_LASTS:
        raise Conflict("This was agreed more than a week ago. Ask again.")


def agree_action(export_id: str, number: str, receiver: str, key: str, entries: int) -> Action:
    return Action("agree-concern-export", f"agree that {number} goes to {receiver}",
                  {"export_id": export_id, "receiver": receiver, "key": key, "entries": entries})


def make_action(export_id: str, number: str, receiver: str, key: str, entries: int) -> Action:
    return Action("make-concern-export", f"make the file of {number} for {receiver}",
                  {"export_id": export_id, "receiver": receiver, "key": key, "entries": entries})


def say_key(key: str) -> str:
    """The end of a key, as two people read it to each other on the telephone."""
    return f"{key[-8:-4]} {key[-4:]}".upper()


WATCH = SAFEGUARDING | {Role.SENIOR_LEADER, Role.HEADTEACHER}
"""Who can be named to watch a recording. Chairs do not watch."""
