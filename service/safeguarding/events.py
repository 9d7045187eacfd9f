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
    """Whoever had it said what was done and what it came to (`rules.Outcome`), and that nothing is left to do here."""

    subject = "alert_id"
    alert_id: str
    outcome: str


@dataclass(frozen=True)
class ParentAnswered(Event):
    """Whoever has what a parent wrote answers them in their app (`rules.Answer`). `note_id`: that it was done, on the alert."""

    subject = "alert_id"
    alert_id: str
    note_id: str
    answer: str


@dataclass(frozen=True)
class AlertNoted(Event):
    subject = "alert_id"
    alert_id: str
    note_id: str


@dataclass(frozen=True)
class AlertPassedOn(Event):
    """Nobody took it in time, so the next are called: `step` 1 the deputies, 2 the next queue. `people`: ids, spaced."""

    subject = "alert_id"
    alert_id: str
    step: int
    people: str


@dataclass(frozen=True)
class AlertHasNobodyElse(Event):
    """Nobody took it in time, and nobody is left to call next. `called`: how many are called already; 0: nobody may open it."""

    subject = "alert_id"
    alert_id: str
    called: int


@dataclass(frozen=True)
class AlertHandedOver(Event):
    """Its owner asks a colleague to take it over, and keeps it until they do."""

    subject = "alert_id"
    alert_id: str
    to_id: str
    note_id: str


@dataclass(frozen=True)
class AlertPutAside(Event):
    """Its owner waits for somebody before they go on with it."""

    subject = "alert_id"
    alert_id: str


@dataclass(frozen=True)
class AlertResumed(Event):
    subject = "alert_id"
    alert_id: str


@dataclass(frozen=True)
class AlertReleased(Event):
    """Whoever had it can no longer open it, so it calls the others again."""

    subject = "alert_id"
    alert_id: str
    was_with: str


@dataclass(frozen=True)
class AlertGrew(Event):
    """It happened again."""

    subject = "alert_id"
    alert_id: str
    times: int

