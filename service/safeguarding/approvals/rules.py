"""Who may approve an adult alone with one child, and whether that approval still stands (policy: RL1, AC1, AC8). Pure.

An approval names one lesson, one adult and one child, for a time. Whether it stands is worked out each time from what is true
now, never kept: no forgotten update can leave an adult alone with a child on an approval that nobody would give any more.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256

from service.foundation.events import Role
from service.people.profile import Profile
from service.people.rules import approvers

NEEDED = frozenset({"one_to_one", "attend", "be_recorded"})
"""The purposes of consent without which a child is alone with no adult (policy: CO2)."""
TRIED = {"group": "A group", "second-adult": "A second adult", "parent-call": "A call with a parent", "visit": "A visit"}
PARENT = {"yes": "Yes", "no": "No", "unknown": "Not known yet"}
ENDED = datetime(1970, 1, 1, tzinfo=UTC)
"""The end of an approval that no longer stands: always past, and always the same, so that equal plans compare equal."""


class Kind(StrEnum):
    """`PLANNED`: asked ahead, for lessons made for it. `NOW`: for the rest of a lesson that is on, one child left in it."""

    PLANNED = "planned"
    NOW = "now"


class Status(StrEnum):
    WAITING = "waiting"
    QUESTIONED = "questioned"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    NOT_NEEDED = "not-needed"


OPEN = frozenset({Status.WAITING, Status.QUESTIONED})


# Who may decide


@dataclass(frozen=True)
class Parties:
    """The persons of a request. `involves_headteacher`: the adult or whoever asked is a headteacher."""

    adult: str
    child: str
    requester: str
    involves_headteacher: bool = False


class Bar(StrEnum):
    """Why somebody may not decide a request, in words."""

    ADULT = "You cannot decide this. You are the adult in it."
    REQUESTER = "You cannot decide this. You asked for it."
    CHILD = "You cannot decide this. It is about you."
    CHAIR_ONLY = "You cannot decide this. Where a headteacher asks or teaches, the chair of governors decides."
    ROLE = "You cannot decide this. Your school's rules name others."


JUST_MADE = "You cannot approve this yet. Whoever asks or teaches changed your roles less than a day ago. Somebody else can."


def bar(person: str, roles: frozenset[Role], parties: Parties, profile: Profile) -> Bar | None:
    """Why `person`, holding `roles` now, may not decide; None when they may. Persons are compared, each with each (threat T5)."""
    if person == parties.adult:
        return Bar.ADULT
    if person == parties.requester:
        return Bar.REQUESTER
    if person == parties.child:
        return Bar.CHILD
    if person not in approvers({person: roles}, profile):
        return Bar.ROLE
    if parties.involves_headteacher and Role.CHAIR not in roles:
        return Bar.CHAIR_ONLY
    return None


def involves_headteacher(*roles: frozenset[Role]) -> bool:
    return any(Role.HEADTEACHER in held for held in roles)


# Whether an approval stands


@dataclass(frozen=True)
class Approval:
    """A leader's yes to one lesson, one adult, one child, from `starts_at` until `ends_at`."""

    id: str
    lesson_id: str
    parties: Parties
    approver: str
    starts_at: datetime
    ends_at: datetime
    camera_on: bool = False
    conditions: str = ""
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class Known:
    """What is true now of those an approval names. Everything is closed unless it is known.

    approver_roles  none once the approver has left
    purposes        what the child's family allows now
    """

    approver_roles: frozenset[Role] = frozenset()
    purposes: frozenset[str] = frozenset()
    adult_is_cleared: bool = False
    adult_is_on_roster: bool = False
    child_is_on_roster: bool = False


class Lapse(StrEnum):
    """Why an approval no longer stands, in words for those who may know."""

    REVOKED = "Ended by the school"
    APPROVER = "Whoever approved it may no longer approve it"
    CONSENT = "A permission is missing"
    ADULT = "The adult is not cleared, or no longer teaches this lesson"
    CHILD = "The pupil is no longer in this lesson"


def lapse(approval: Approval, known: Known, profile: Profile) -> Lapse | None:
    """Why `approval` no longer stands under the profile in force; None while it does. Its time is another matter."""
    if approval.revoked_at is not None:
        return Lapse.REVOKED
    if bar(approval.approver, known.approver_roles, approval.parties, profile) is not None:
        return Lapse.APPROVER
    if not known.child_is_on_roster:
        return Lapse.CHILD
    if not (known.adult_is_cleared and known.adult_is_on_roster):
        return Lapse.ADULT
    return None if known.purposes >= NEEDED else Lapse.CONSENT


def say_state(approval: Approval, why: Lapse | None, now: datetime) -> str:
    """“In force”, “Not yet”, “Over”, or why it ended."""
    if why is Lapse.REVOKED:
        return why.value
    if now >= approval.ends_at:
        return "Over"
    if why is not None:
        return why.value
    return "In force" if approval.starts_at <= now else "Not yet"


# What is decided, exactly


@dataclass(frozen=True)
class AskedLesson:
    """One lesson of a request, with the window that is asked for. `version`: of the lesson, when the request was read."""

    lesson_id: str
    version: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Asked:
    """Everything that a leader says yes or no to."""

    request_id: str
    version: int
    kind: str
    adult: str
    child: str
    requester: str
    why: str
    tried: tuple[str, ...]
    safeguards: str
    parent_present: str
    camera_on: bool
    lessons: tuple[AskedLesson, ...]

    @property
    def digest(self) -> str:
        """A hash of all of it: a form carries it, so that nobody decides what they have not read."""
        return sha256(canonical(asdict(self)).encode()).hexdigest()


def canonical(fields: Mapping[str, object]) -> str:
    """JSON with sorted names and no spaces: the same facts always read the same."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(type(value).__name__)


def spoken_to_dsl(tags: list[datetime], spoken: list[datetime]) -> bool:
    """Whether somebody spoke to the DSL after the last “Talk to the DSL first” was set."""
    return not tags or max(spoken, default=ENDED) >= max(tags)
