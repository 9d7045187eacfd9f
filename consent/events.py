"""What happens to consents. Live rooms react to every event here that names a `child_id`."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class ConsentRecorded(Event):
    """A family's answer was written down; `answer` is `given` or `refused`."""

    subject = "child_id"
    child_id: str
    response_id: str
    purpose: str
    answer: str
    respondent_id: str
    route: str


@dataclass(frozen=True)
class ConsentWithdrawn(Event):
    """A respondent took back their own yes. Whatever it permitted ends now."""

    subject = "child_id"
    child_id: str
    response_id: str
    purpose: str
    respondent_id: str
    route: str


@dataclass(frozen=True)
class RefusalKept(Event):
    """A no to recording where that is the school's public task. It is kept and ends nothing by itself: it is an objection too,
    and should the school come to ask for permission it stands."""

    subject = "child_id"
    child_id: str
    response_id: str
    purpose: str
    respondent_id: str
    route: str


@dataclass(frozen=True)
class ConsentCorrected(Event):
    """An answer had been entered by mistake and no longer counts."""

    subject = "child_id"
    child_id: str
    response_id: str
    corrects_id: str
    purpose: str
    respondent_id: str
    route: str


@dataclass(frozen=True)
class CourtOrderRecorded(Event):
    """Somebody wrote down that a court says whose answer to follow. It closes nothing before a second person agrees."""

    subject = "child_id"
    child_id: str
    resolution_id: str
    purpose: str


@dataclass(frozen=True)
class ConsentConflictClosed(Event):
    """A named person closed a conflict of answers (two, where a court order is what closes it)."""

    subject = "child_id"
    child_id: str
    resolution_id: str
    purpose: str
    by_court_order: bool


@dataclass(frozen=True)
class ObjectionReceived(Event):
    """Somebody objects to the recording of a child where recording rests on the school's public task."""

    subject = "child_id"
    child_id: str
    objection_id: str


@dataclass(frozen=True)
class ObjectionDecided(Event):
    subject = "child_id"
    child_id: str
    objection_id: str
    upheld: bool
