"""What happens to a lesson that needs somebody."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class AttentionChanged(Event):
    """Something happened to a lesson's need for somebody."""

    subject = "attention_id"
    attention_id: str
    lesson_id: str


@dataclass(frozen=True)
class LessonNeedsAttention(AttentionChanged):
    reason: str


@dataclass(frozen=True)
class AttentionOpened(AttentionChanged):
    """Somebody who was called read it: whoever asked sees that."""


@dataclass(frozen=True)
class AttentionTaken(AttentionChanged):
    """“I am dealing with it.”"""


@dataclass(frozen=True)
class AttentionOver(AttentionChanged):
    """The lesson opened or ended, or whom it waited for came."""


@dataclass(frozen=True)
class AddressCleared(AttentionChanged):
    """A leader looked into an address that an adult and a pupil share, and cleared the two for this lesson (threat T3)."""

    child_id: str
    adult_id: str
    because: str
