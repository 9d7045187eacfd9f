"""What happens to recordings. Watching one is an event too."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class RecordingStarted(Event):
    subject = "recording_id"
    recording_id: str
    lesson_id: str
    part: int


@dataclass(frozen=True)
class RecordingSealed(Event):
    """A part ended: how, over how many chunks, under which root."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    part: int
    outcome: str
    reason: str
    chunks: int
    root: str


@dataclass(frozen=True)
class RecordingEnded(Event):
    """The whole recording of a lesson, as exactly one of complete, or incomplete with the reason."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class RecordingStored(Event):
    """The store gave a sealed part back exactly as it was sealed: from here on it is there, and not in the data folder."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    part: int


@dataclass(frozen=True)
class RecordingViewed(Event):
    """Somebody gave a reason and may watch; written before the first byte (policy: RE1)."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    view_id: str
    why: str
    concern: str
    grant_id: str = ""


@dataclass(frozen=True)
class PurposeRefused(Event):
    """Somebody asked to watch for what recordings are never used for (policy: RE1)."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    why: str


@dataclass(frozen=True)
class RecordingKeyDestroyed(Event):
    """A part can never be read again. Its seal and this entry remain."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    part: int
    why: str
