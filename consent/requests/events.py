"""Asking families in bulk. No event names a child."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class ConsentRequested(Event):
    """A class (or the school: `group_id` empty) was asked. `children`: how many."""

    subject = "request_id"
    request_id: str
    group_id: str
    purposes: tuple[str, ...]
    children: int


@dataclass(frozen=True)
class ConsentReminded(Event):
    """Somebody sent a reminder to those who had not answered."""

    subject = "request_id"
    request_id: str
    people: int


@dataclass(frozen=True)
class ConsentRequestEnded(Event):
    subject = "request_id"
    request_id: str
