"""What is decided about requests to erase a recording early. Its end itself is `DestructionBegun` and `RecordingDestroyed`."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class ErasureDecided(Event):
    """Somebody asked, and one person decided: `erases` takes a second, a no does not."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    request_id: str
    asker: str
    erases: bool
    grant_id: str


@dataclass(frozen=True)
class ErasureAnswered(Event):
    """What the second person said; a yes begins the destruction in the same transaction."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    request_id: str
    agreed: bool
    grant_id: str
