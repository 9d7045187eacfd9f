"""What reviewers wrote down. The words themselves are in the tables; the audit proves that they are still the same."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class RecordingNoted(Event):
    """`words`: SHA-256 of the note's id and text, so that a changed note is noticed and nobody reads it here."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    view_id: str
    note_id: str
    at_ms: int
    concern: str
    words: str


@dataclass(frozen=True)
class RecordingClipped(Event):
    """A range was marked. It points into the recording and holds nothing of it."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    view_id: str
    clip_id: str
    from_ms: int
    to_ms: int
    concern: str
    words: str
