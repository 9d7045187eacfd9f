"""What can happen, and who did it. Pure: an event is a frozen dataclass in the past tense, ids and scalars only."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Role(StrEnum):
    """What a person is to the school. One person may have several (policy: AC3)."""

    TEACHER = "teacher"
    SUPPORT = "support"
    SENIOR_LEADER = "senior_leader"
    HEADTEACHER = "headteacher"
    DSL = "dsl"
    DEPUTY_DSL = "deputy_dsl"
    CHAIR = "chair"
    OFFICE = "office"
    GOVERNOR = "governor"
    DPO = "dpo"
    TECHNICIAN = "technician"
    PUPIL = "pupil"
    PARENT = "parent"
    GUEST = "guest"


STAFF = frozenset({
    Role.TEACHER, Role.SUPPORT, Role.SENIOR_LEADER, Role.HEADTEACHER, Role.DSL, Role.DEPUTY_DSL, Role.OFFICE,
    Role.TECHNICIAN,
})
LEADERS = frozenset({Role.SENIOR_LEADER, Role.HEADTEACHER})
SAFEGUARDING = frozenset({Role.DSL, Role.DEPUTY_DSL})
EVERYBODY = frozenset(Role)


@dataclass(frozen=True)
class Actor:
    """Who acts: one person in one school, with the roles they hold at this moment. `session_id` is the sign-in."""

    person_id: str
    school_id: str
    roles: frozenset[Role]
    name: str = ""
    session_id: str = ""

    def is_any(self, roles: frozenset[Role]) -> bool:
        return bool(self.roles & roles)


def system(school_id: str) -> Actor:
    """The service itself, acting for one school: deadlines, sealing, recovery."""
    return Actor("system", school_id, frozenset(), "Chaperone")


@dataclass(frozen=True)
class Event:
    """Base of every event: what the audit keeps and what other features react to.

    `subject` names the field that says whom or what it is about. A field called `lesson_id` places it in a lesson.
    """

    subject: ClassVar[str] = ""

    @property
    def kind(self) -> str:
        return type(self).__name__

    @property
    def subject_id(self) -> str:
        return getattr(self, self.subject) if self.subject else ""
