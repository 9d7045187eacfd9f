"""What is made of recordings after the lesson is an event of the service itself."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class RecordingPrepared(Event):
    """Speech and small pictures of a part are ready, or what there is of them, with the reason. Once for each part."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    part: int
    pictures: int
    problem: str
