"""What happens to incidents. Ids only: what somebody wrote is in the incident, for those who may open it."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class IncidentRecorded(Event):
    subject = "incident_id"
    incident_id: str
    routed_to: str


@dataclass(frozen=True)
class IncidentsListed(Event):
    """Somebody read the register; how many it had, and whether they took it away as a file."""

    listed: int
    as_file: bool


@dataclass(frozen=True)
class IncidentOpened(Event):
    """Somebody read it."""

    subject = "incident_id"
    incident_id: str


@dataclass(frozen=True)
class IncidentAdded(Event):
    """An entry of this kind joined its chronology."""

    subject = "incident_id"
    incident_id: str
    entry_id: str
    what: str


@dataclass(frozen=True)
class IncidentEscalated(Event):
    """Somebody is asked to take it on. `to`: a role."""

    subject = "incident_id"
    incident_id: str
    entry_id: str
    to: str


@dataclass(frozen=True)
class IncidentMoved(Event):
    """It is about somebody who works here, so it is another's; those before can no longer open it (policy: IN4)."""

    subject = "incident_id"
    incident_id: str
    moved_from: str
    moved_to: str


@dataclass(frozen=True)
class FamilyToldOfIncident(Event):
    """The family of one pupil is told in the app that there was something (policy: IN2)."""

    subject = "incident_id"
    incident_id: str
    entry_id: str
    child_id: str
