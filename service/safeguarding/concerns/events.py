"""What happens to concerns. Ids only: what somebody wrote is in the concern, for those who may open it."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class ConcernRaised(Event):
    subject = "concern_id"
    concern_id: str
    routed_to: str
    alert_id: str


@dataclass(frozen=True)
class ConcernsListed(Event):
    """Somebody read the list of concerns; how many it had, and whether they searched."""

    listed: int
    searched: bool


@dataclass(frozen=True)
class ConcernOpened(Event):
    """Somebody read it."""

    subject = "concern_id"
    concern_id: str


@dataclass(frozen=True)
class ConcernAdded(Event):
    """An entry of this kind joined its chronology."""

    subject = "concern_id"
    concern_id: str
    entry_id: str
    what: str


@dataclass(frozen=True)
class ConcernMoved(Event):
    """It is about somebody who works here, so it is another's; the circle before can no longer open it (policy: IN4)."""

    subject = "concern_id"
    concern_id: str
    moved_from: str
    moved_to: str


@dataclass(frozen=True)
class WatcherNamed(Event):
    """The receiver of a concern about an adult named one person, who is not involved, to watch the recording."""

    subject = "concern_id"
    concern_id: str
    about_lesson: str
    person_id: str


@dataclass(frozen=True)
class ExportChanged(Event):
    subject = "concern_id"
    concern_id: str
    export_id: str


@dataclass(frozen=True)
class ConcernExportAsked(ExportChanged):
    """`key`: the receiver's public key, `entries`: how much of the chronology."""

    key: str
    entries: int


@dataclass(frozen=True)
class ConcernExportAgreed(ExportChanged):
    """A second person looked at what would leave, and at whom it is for."""


@dataclass(frozen=True)
class ConcernExported(ExportChanged):
    """The file was made and given out. `sha256`: of the encrypted file."""

    sha256: str


@dataclass(frozen=True)
class OfficerChanged(Event):
    """Whom the local authority names for concerns about adults."""

    officer_id: str
