"""What happens to alerts. Ids only: what somebody said is on the alert, for those who may open it."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class AlertRaised(Event):
    subject = "alert_id"
    alert_id: str
    alert_kind: str
    lesson_id: str
    routed_to: str


@dataclass(frozen=True)
class AlertMoved(Event):
    """What was said of it moved the alert to another queue; the one before can no longer open it."""

    subject = "alert_id"
    alert_id: str
    moved_from: str
    moved_to: str


@dataclass(frozen=True)
class AlertReopened(Event):
    """Whoever raised it said more after it was closed. `note_id`: what they said."""

    subject = "alert_id"
    alert_id: str
    note_id: str


@dataclass(frozen=True)
class AlertOpened(Event):
    """Somebody read it."""

    subject = "alert_id"
    alert_id: str


@dataclass(frozen=True)
class AlertTaken(Event):
    subject = "alert_id"
    alert_id: str


@dataclass(frozen=True)
class AlertClosed(Event):
    """Whoever had it said what was done, and that nothing is left to do here."""

    subject = "alert_id"
    alert_id: str


@dataclass(frozen=True)
class AlertNoted(Event):
    subject = "alert_id"
    alert_id: str
    note_id: str
