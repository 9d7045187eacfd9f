"""What happens to the school and its people."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class SignedIn(Event):
    subject = "person_id"
    person_id: str
    route: str


@dataclass(frozen=True)
class SignInRefused(Event):
    subject = "person_id"
    person_id: str
    route: str
    why: str


@dataclass(frozen=True)
class SignedOut(Event):
    subject = "person_id"
    person_id: str
    why: str


@dataclass(frozen=True)
class SessionsEnded(Event):
    """Every session of a person ended at once: sockets and media follow."""

    subject = "person_id"
    person_id: str
    why: str
