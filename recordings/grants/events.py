"""What happens to requests to watch. A view itself is `recordings.events.RecordingViewed`."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class WatchAsked(Event):
    subject = "grant_id"
    grant_id: str
    recording_id: str
    lesson_id: str
    person_id: str
    why: str


@dataclass(frozen=True)
class WatchAllowed(Event):
    subject = "grant_id"
    grant_id: str
    recording_id: str
    lesson_id: str
    person_id: str
    views: int


@dataclass(frozen=True)
class WatchRefused(Event):
    subject = "grant_id"
    grant_id: str
    recording_id: str
    lesson_id: str
    person_id: str


@dataclass(frozen=True)
class WatchEnded(Event):
    """A grant was taken back: no further byte is served under it."""

    subject = "grant_id"
    grant_id: str
    recording_id: str
    lesson_id: str
    person_id: str


@dataclass(frozen=True)
class SubjectNamed(Event):
    """A complaint about this person names the recording. They can never be let watch it (policy: IN4)."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    person_id: str


@dataclass(frozen=True)
class ViewsRead(Event):
    """Somebody who is told of views looked at the list."""

    subject = "person_id"
    person_id: str
    views: int
