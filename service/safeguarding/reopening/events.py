"""A restore, and its end. Between the two no lesson of the school opens."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class SystemRestored(Event):
    """The school goes on from a back-up. `approvals` and `passes`: how many were ended; so was every sign-in."""

    subject = "state_id"
    state_id: str
    made_at: str
    restored_at: str
    approvals: int
    passes: int


@dataclass(frozen=True)
class LessonsReopened(Event):
    """Somebody said that everything withdrawn since the back-up was made is entered again. `grant_id`: how they proved it."""

    subject = "state_id"
    state_id: str
    entered: tuple[str, ...]
    grant_id: str
