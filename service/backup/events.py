"""That a back-up was made, and that one was restored to try it: what the page Health goes by."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class BackupMade(Event):
    subject = "state_id"
    state_id: str
    recordings: int
    missing: int
    copied_bytes: int


@dataclass(frozen=True)
class BackupChecked(Event):
    """It was restored into a folder aside, verified and compared. `faults`: how many things were wrong."""

    subject = "state_id"
    state_id: str
    faults: int
