"""What happens to recordings for teaching practice. Each is in the audit."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class PracticeAsked(Event):
    """Somebody asked that a lesson is also kept for teaching practice, for its teacher and one colleague."""

    subject = "plan_id"
    plan_id: str
    lesson_id: str
    teacher_id: str
    mentor_id: str


@dataclass(frozen=True)
class PracticeAgreed(Event):
    """An adult whom it shows said yes for themselves."""

    subject = "plan_id"
    plan_id: str
    lesson_id: str
    person_id: str


@dataclass(frozen=True)
class PracticeMade(Event):
    """The recording for teaching practice exists; everybody in it had said yes in the same transaction."""

    subject = "plan_id"
    plan_id: str
    lesson_id: str


@dataclass(frozen=True)
class PracticeEnded(Event):
    """It is not kept for teaching practice, for ever; what was made of it is destroyed. Nobody's reason is written down."""

    subject = "plan_id"
    plan_id: str
    lesson_id: str


@dataclass(frozen=True)
class PracticeViewed(Event):
    """Somebody may watch it for teaching practice; written before the first byte (policy: RE1)."""

    subject = "plan_id"
    plan_id: str
    lesson_id: str
    view_id: str
