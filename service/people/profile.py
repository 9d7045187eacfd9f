"""The school's policy profile: what it may decide, within which bounds, and which way a change protects children less. Pure.

The hard floors are not here, because no setting may reach them: no unapproved one-to-one, no children alone, no private
channel, nothing that involves a child unrecorded, audit on. One table, `RULES`, says everything about each field, so a
field that nobody thought through does not exist. policy: IN5.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from service.foundation.errors import Invalid

Value = int | bool | str
UNITS = ("minutes", "hours", "days", "pupils", "o’clock", "calls", "lessons")
STAGES = ("Early years", *(f"Key stage {stage}" for stage in range(1, 6)))


class RecordingBasis(StrEnum):
    """Why a lesson may be recorded: a consent for each child, or the public task with a named person deciding objections."""

    CONSENT = "consent"
    PUBLIC_TASK = "public_task"


@dataclass(frozen=True)
class Profile:
    """Everything a school may decide about itself. The default is the two policies this product comes from."""

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
    retention_one_to_one_days: int = 30
    retention_practice_days: int = 30
    one_to_one_by_any_leader: bool = False  # policy: RL1, the Head of School alone by default
    one_to_one_notice_hours: int = 24  # between asking for a one-to-one and its start
    staff_idle_minutes: int = 15  # policy: AC2
    pupil_idle_minutes: int = 20
    parent_idle_minutes: int = 5
    agreement_days: int = 365  # policy: CO5
    consent_days: int = 365  # a yes of a family, policy: CO5
    pupils_asked_from: int = 18  # years; beside the parents, whose answers stay as needed as they were
    alert_minutes: int = 5
    blur_may_be_off: bool = False  # policy: RL3
    calls_from: int = 8  # o'clock, on the school's wall, policy: CM2
    calls_until: int = 18
    calls_a_child_a_day: int = 6
    calls_a_family_an_hour: int = 3
    missed_lessons: int = 3  # in a row, before a child is taken not to engage, policy: RC2
    contact_days: int = 3  # school days without contact, before leadership is told
    incident_days: int = 14  # an incident is open for longer: it is shown as late, and people are reminded, policy: IN1

    def longest(self, key_stage: int) -> timedelta:
        return timedelta(minutes=self.lesson_minutes[key_stage])

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


class Less(StrEnum):
    """Which way a field protects children less. `EITHER`: both more and less of it take something away."""

    HIGHER = "higher"
    LOWER = "lower"
    EITHER = "either"


class Affects(StrEnum):
    """Whom a rule is about, for “who it affects”."""

    PUPILS = "pupils"
    STAGE = "pupils of one key stage"
    STAFF = "staff"
    FAMILIES = "families"
    EVERYBODY = "people"


@dataclass(frozen=True)
class Rule:
    """One field of the profile. `says` is how a number is said. Choices stand from the most careful to the least, so for
    them the later one protects less. `lost`: what a looser value takes from children, in words."""

    group: str
    words: str
    policy: str
    affects: Affects
    lost: str
    less: Less = Less.HIGHER
    low: int = 0
    high: int = 0
    says: str = "{} minutes"
    choices: tuple[tuple[Value, str], ...] = ()

    def fits(self, value: object) -> bool:
        """Whether a school may choose this. `True` is no number, and 1 is no yes."""
        if self.choices:
            return any(type(value) is type(choice) and value == choice for choice, _ in self.choices) or (
                isinstance(value, str) and value in {choice for choice, _ in self.choices})
        return type(value) is int and self.low <= value <= self.high

    def rank(self, value: Value) -> int:
        if self.choices:
            return [choice for choice, _ in self.choices].index(value)
        return int(value)

    def said(self, value: Value) -> str:
        return dict(self.choices)[value] if self.choices else self.says.format(value)

    @property
    def unit(self) -> str:
        """What a number of it counts, for the hint of its box."""
        return next(unit for unit in UNITS if unit in self.says)

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The choices as a form has them."""
        return tuple((str(value), words) for value, words in self.choices)

    @property
    def refusal(self) -> str:
        return "Choose one of these" if self.choices else f"Choose a number between {self.low} and {self.high}"

    def is_looser(self, before: Value, after: Value) -> bool:
        """Whether `after` protects children less than `before`."""
        was, will = self.rank(before), self.rank(after)
        return will > was if self.less is Less.HIGHER else will < was if self.less is Less.LOWER else will != was


NO_YES: tuple[tuple[Value, str], ...] = ((False, "No"), (True, "Yes"))
LENGTH, ROOM, ONE, CAMERA = "Length of a lesson", "Before and after a lesson", "One-to-one and approvals", "Cameras and chat"
KEPT, SIGNING, FAMILIES, ALERTS = "Recordings", "Signing in", "Permissions of families", "Alerts"
CALLS = "Calls home"
CHAT: tuple[tuple[Value, str], ...] = (
    (6, "for nobody"), *((stage, f"from {STAGES[stage].lower()}") for stage in range(5, -1, -1)),
)
ASKED: tuple[tuple[Value, str], ...] = (*((age, f"from {age} years, beside the parents") for age in range(11, 18)),
                                        (18, "only once they are 18"))
RULES: dict[str, Rule] = {
    "lesson_minutes": Rule(LENGTH, "Longest lesson", "RL5", Affects.STAGE, "children are on a screen for longer",
                           low=5, high=120, says="{} minutes at most"),
    "overrun_minutes": Rule(ROOM, "Closed at the latest after its end", "RL5", Affects.PUPILS,
                            "a lesson may run further past its planned end", low=0, high=15, says="after {} minutes"),
    "pupil_early_minutes": Rule(ROOM, "Pupils may come to the door", "RL1", Affects.PUPILS,
                                "children wait for longer before an adult has to be there", low=0, high=30,
                                says="{} minutes before"),
    "staff_early_minutes": Rule(ROOM, "Staff may come to the door", "RL1", Affects.PUPILS,
                                "staff have less time to be there before the children", Less.LOWER, 5, 60, "{} minutes before"),
    "second_adult_below": Rule(ONE, "A second adult is asked for", "RL1", Affects.PUPILS,
                               "one adult may teach a smaller group without approval", Less.LOWER, 2, 10, "below {} pupils"),
    "one_to_one_by_any_leader": Rule(ONE, "Who approves a one-to-one", "RL1", Affects.PUPILS,
                                     "more people may approve an adult alone with a child",
                                     choices=((False, "The headteacher or the chair"),
                                              (True, "Any senior leader, the headteacher or the chair"))),
    "one_to_one_notice_hours": Rule(ONE, "A one-to-one is asked for", "RL1", Affects.PUPILS,
                                    "there is less time to look into a request before an adult is alone with a child",
                                    Less.LOWER, 0, 168, "at least {} hours before"),
    "pupils_see_each_other": Rule(CAMERA, "Pupils see each other", "RL3", Affects.PUPILS,
                                  "children's pictures and homes are seen by other children", choices=NO_YES),
    "blur_may_be_off": Rule(CAMERA, "Background blur may be turned off", "RL3", Affects.PUPILS,
                            "children's homes may be seen", choices=NO_YES),
    "chat_from_key_stage": Rule(CAMERA, "Chat", "RL6", Affects.PUPILS, "younger children can be written to", choices=CHAT),
    "retention_days": Rule(KEPT, "Lessons kept for", "RE2", Affects.PUPILS,
                           "longer keeps more than is needed, shorter leaves less time to look back at what happened",
                           Less.EITHER, 7, 90, "{} days"),
    "retention_one_to_one_days": Rule(KEPT, "One-to-ones kept for", "RE2", Affects.PUPILS,
                                      "longer keeps more than is needed, shorter leaves less time to look back at what happened",
                                      Less.EITHER, 7, 90, "{} days"),
    "retention_practice_days": Rule(KEPT, "Teaching practice kept for", "RE2", Affects.PUPILS,
                                    "longer keeps more than is needed", Less.HIGHER, 7, 90, "{} days"),
    "recording_basis": Rule(KEPT, "Reason for recording", "CO2", Affects.PUPILS,
                            "a child may be recorded without a parent's yes",
                            choices=((str(RecordingBasis.CONSENT), "Consent for each child"),
                                     (str(RecordingBasis.PUBLIC_TASK), "Public task; a named person decides objections"))),
    "staff_idle_minutes": Rule(SIGNING, "Staff are signed out after", "AC2", Affects.STAFF,
                               "an unattended screen stays signed in for longer", low=5, high=60),
    "pupil_idle_minutes": Rule(SIGNING, "Pupils are signed out after", "AC2", Affects.PUPILS,
                               "an unattended screen stays signed in for longer", low=5, high=60),
    "parent_idle_minutes": Rule(SIGNING, "Families are signed out after", "AC2", Affects.FAMILIES,
                                "an unattended phone shows a family's answers for longer", low=1, high=30),
    "agreement_days": Rule(SIGNING, "Agreements are signed again after", "CO5", Affects.EVERYBODY,
                           "people are reminded less often of what they agreed to", low=30, high=366, says="{} days"),
    "consent_days": Rule(FAMILIES, "Families are asked for permission again after", "CO5", Affects.FAMILIES,
                         "a yes counts for longer without being asked about", low=30, high=366, says="{} days"),
    "pupils_asked_from": Rule(FAMILIES, "Pupils are asked for permission", "CO2", Affects.PUPILS,
                              "fewer children have a word of their own", choices=ASKED),
    "alert_minutes": Rule(ALERTS, "The deputy is called after", "RC1", Affects.PUPILS,
                          "a child who is worried waits longer for the next person", low=1, high=30),
    "teacher_late_minutes": Rule(ALERTS, "“Teacher has not arrived” after", "RL1", Affects.PUPILS,
                                 "children wait for longer without an adult before somebody is told", low=1, high=15),
    "calls_from": Rule(CALLS, "Families are called", "CM2", Affects.FAMILIES, "families are called earlier in the day",
                       Less.LOWER, 7, 10, "from {} o’clock"),
    "calls_until": Rule(CALLS, "Families are called no later than", "CM2", Affects.FAMILIES,
                        "families are called later in the day", low=15, high=21, says="{} o’clock"),
    "calls_a_child_a_day": Rule(CALLS, "About one child in a day", "CM2", Affects.FAMILIES,
                                "a family is called more often", low=1, high=20, says="{} calls at most"),
    "calls_a_family_an_hour": Rule(CALLS, "To one family in an hour", "CM2", Affects.FAMILIES,
                                   "a family is called more often", low=1, high=10, says="{} calls at most"),
    "missed_lessons": Rule(CALLS, "A child is taken not to engage after", "RC2", Affects.PUPILS,
                           "a child is missed for longer before anybody calls", low=1, high=10,
                           says="{} lessons missed in a row"),
    "contact_days": Rule(CALLS, "Leadership is told after", "RC2", Affects.PUPILS,
                         "a child is out of contact for longer before leadership knows", low=1, high=10,
                         says="{} school days without contact"),
    "incident_days": Rule(ALERTS, "An incident is late when it is open for", "IN1", Affects.PUPILS,
                          "what happened to a child waits for longer before anybody is reminded", low=3, high=60,
                          says="more than {} days"),
}


# -- reading and checking ------------------------------------------------------------------------------------------------


def checked(profile: Profile) -> Profile:
    """`profile`, or Invalid with words for each field that no school may choose."""
    wrong = {line.key: line.rule.refusal for line in lines(profile) if not line.rule.fits(line.value)}
    if len(profile.lesson_minutes) != len(STAGES):
        wrong["lesson_minutes"] = "Choose a length for each key stage"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    return profile


@lru_cache(maxsize=64)
def profile_from(text: str) -> Profile:
    """The profile that `text` (JSON of an earlier `Profile`) describes. What it does not name, or what no school may choose,
    is the default: nothing written into the database by hand reaches further than a form does."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        read = {}
    given: dict[str, Any] = read if isinstance(read, dict) else {}
    return replace(Profile(), **{name: kept for name, rule in RULES.items() if (kept := _kept(name, rule, given)) is not None})


def _kept(name: str, rule: Rule, given: Mapping[str, Any]) -> Any:
    value = given.get(name)
    if name != "lesson_minutes":
        return value if rule.fits(value) else None
    is_whole = isinstance(value, list) and len(value) == len(STAGES) and all(rule.fits(each) for each in value)
    return tuple(value) if is_whole and isinstance(value, list) else None


def read(given: Mapping[str, str]) -> Profile:
    """The profile that a form describes, one box a line. Raises Invalid with words for each box."""
    found: dict[str, Any] = {}
    for line in lines(Profile()):
        value = _value(line.rule, given.get(line.key, "").strip())
        if line.stage is None:
            found[line.name] = value
        else:
            found[line.name] = (*found.get(line.name, ()), value)
    return checked(replace(Profile(), **found))


def _value(rule: Rule, said: str) -> Any:
    if rule.choices:
        return next((value for value, _ in rule.choices if str(value) == said), None)
    return int(said) if said.isascii() and said.isdigit() and len(said) < 6 else None


# -- lines and their comparison --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One thing the school decides, as a page shows it. Lengths have a line for each key stage. `key` names its box."""

    name: str
    rule: Rule
    value: Any
    stage: int | None = None

    @property
    def key(self) -> str:
        return self.name if self.stage is None else f"{self.name}_{self.stage}"

    @property
    def words(self) -> str:
        return self.rule.words if self.stage is None else STAGES[self.stage]

    @property
    def said(self) -> str:
        return self.rule.said(self.value)


def lines(profile: Profile) -> Iterator[Line]:
    """Everything the profile says, in the order in which pages show it."""
    for name, rule in RULES.items():
        value = getattr(profile, name)
        if name == "lesson_minutes":
            yield from (Line(name, rule, minutes, stage) for stage, minutes in enumerate(value[:len(STAGES)]))
        else:
            yield Line(name, rule, value)


def profile_words(profile: Profile) -> tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]:
    """The profile as its page shows it: groups of (what, value, policy id)."""
    shown = list(lines(profile))
    return tuple((group, tuple((line.words, line.said, line.rule.policy) for line in shown if line.rule.group == group))
                 for group in dict.fromkeys(line.rule.group for line in shown))


@dataclass(frozen=True)
class Difference:
    """One row of the comparison: what is so now, what would be, and what a looser value takes away."""

    key: str
    words: str
    policy: str
    now: str
    new: str
    affects: Affects
    stage: int | None
    is_looser: bool
    lost: str


def differences(before: Profile, after: Profile) -> tuple[Difference, ...]:
    """Every line on which two profiles differ."""
    return tuple(
        Difference(was.key, f"{was.rule.words}, {was.words.lower()}" if was.stage is not None else was.words, was.rule.policy,
                   was.said, will.said, was.rule.affects, was.stage, was.rule.is_looser(was.value, will.value), was.rule.lost)
        for was, will in zip(lines(before), lines(after), strict=True) if was.value != will.value
    )


def less_protection(before: Profile, after: Profile) -> frozenset[str]:
    """The fields by which `after` protects children less than `before`: each needs a reason of its own (policy: IN5)."""
    return frozenset(was.name for was, will in zip(lines(before), lines(after), strict=True)
                     if was.rule.is_looser(was.value, will.value))

