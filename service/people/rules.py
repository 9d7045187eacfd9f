"""What the school decides about itself and its people. Pure."""

import json
import unicodedata
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from service.foundation.errors import Invalid
from service.foundation.events import LEADERS, Actor, Role


class RecordingBasis(StrEnum):
    """Why a lesson may be recorded: a consent for each child, or the public task with a named person deciding objections."""

    CONSENT = "consent"
    PUBLIC_TASK = "public_task"


@dataclass(frozen=True)
class Profile:
    """A school's policy profile: everything it may decide. The default is the two policies this product comes from.

    The hard floors are not here, because no setting may reach them: no unapproved one-to-one, no children alone, no
    private channel, nothing that involves a child unrecorded, audit on.
    """

    lesson_minutes: tuple[int, ...] = (20, 30, 45, 60, 60, 60)  # by key stage 0 (EYFS) to 5, policy: RL5
    overrun_minutes: int = 5
    pupil_early_minutes: int = 10
    staff_early_minutes: int = 15
    second_adult_below: int = 4  # expected pupils, policy: RL1
    teacher_late_minutes: int = 3
    pupils_see_each_other: bool = False
    chat_from_key_stage: int = 2  # policy: RL6
    recording_basis: str = RecordingBasis.CONSENT
    retention_days: int = 30  # policy: RE2
    one_to_one_by_any_leader: bool = False  # policy: RL1, the Head of School alone by default
    staff_idle_minutes: int = 15  # policy: AC2
    pupil_idle_minutes: int = 20
    parent_idle_minutes: int = 5
    agreement_days: int = 365  # policy: CO5
    alert_minutes: int = 5
    blur_may_be_off: bool = False  # policy: RL3

    def longest(self, key_stage: int) -> timedelta:
        return timedelta(minutes=self.lesson_minutes[key_stage])

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def profile_from(text: str) -> Profile:
    """The profile that `text` (JSON of an earlier `Profile`) describes; what it does not name keeps its default."""
    known = {field.name for field in fields(Profile)}
    given: dict[str, Any] = {name: value for name, value in json.loads(text).items() if name in known}
    if "lesson_minutes" in given:
        given["lesson_minutes"] = tuple(given["lesson_minutes"])
    return checked(replace(Profile(), **given))


def checked(profile: Profile) -> Profile:
    """`profile`, or Invalid with words for each field that no school may choose."""
    wrong = {
        name: words
        for name, words, fits in (
            ("lesson_minutes", "Choose between 5 and 120 minutes for each key stage",
             len(profile.lesson_minutes) == 6 and all(5 <= minutes <= 120 for minutes in profile.lesson_minutes)),
            ("overrun_minutes", "Choose between 0 and 15 minutes", 0 <= profile.overrun_minutes <= 15),
            ("retention_days", "Choose between 7 and 90 days", 7 <= profile.retention_days <= 90),
            ("second_adult_below", "Choose between 2 and 10 pupils", 2 <= profile.second_adult_below <= 10),
            ("recording_basis", "Choose consent or public task", profile.recording_basis in set(RecordingBasis)),
            ("staff_idle_minutes", "Choose between 5 and 60 minutes", 5 <= profile.staff_idle_minutes <= 60),
            ("pupil_idle_minutes", "Choose between 5 and 60 minutes", 5 <= profile.pupil_idle_minutes <= 60),
        )
        if not fits
    }
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    return profile


def idle_limit(roles: frozenset[Role], profile: Profile) -> timedelta:
    """How long somebody with `roles` may do nothing before they are signed out (policy: AC2)."""
    if Role.PUPIL in roles:
        return timedelta(minutes=profile.pupil_idle_minutes)
    if roles and roles <= {Role.PARENT}:
        return timedelta(minutes=profile.parent_idle_minutes)
    return timedelta(minutes=profile.staff_idle_minutes)


def start_page(actor: Actor) -> str:
    """Where a person lands after signing in: the page of the first of their roles that has one."""
    for role, path in START_PAGES:
        if role in actor.roles:
            return path
    return "/account"


START_PAGES = (
    (Role.PUPIL, "/today"),
    (Role.DSL, "/safeguarding"), (Role.DEPUTY_DSL, "/safeguarding"),
    (Role.HEADTEACHER, "/live"), (Role.SENIOR_LEADER, "/live"),
    (Role.TEACHER, "/today"), (Role.SUPPORT, "/today"),
    (Role.OFFICE, "/people"), (Role.PARENT, "/family"),
)


def shown_name(*, kind: str, title: str, given: str, preferred: str, family: str) -> str:
    """What others see: “Mr Hall” for an adult, “Ali” for a child. Surnames of children are for staff lists only."""
    if kind == "child":
        return preferred or given
    return f"{title} {family}".strip() if title and family else f"{preferred or given} {family}".strip()


def sort_key(name: str) -> str:
    """Names in the order people look for them, whatever their accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))


def approvers(holders: dict[str, frozenset[Role]], profile: Profile) -> frozenset[str]:
    """Who could approve an exception: the headteacher, or any senior leader where the profile says so, and the chair."""
    may = {Role.HEADTEACHER, Role.CHAIR} | (LEADERS if profile.one_to_one_by_any_leader else set())
    return frozenset(person for person, roles in holders.items() if roles & may)


def is_current(valid_from: date, valid_until: date, on: date | datetime) -> bool:
    day = on.date() if isinstance(on, datetime) else on
    return valid_from <= day < valid_until
