"""What happens at the end of a recording. Whatever two people decide is one event for each of them."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class HoldStepTaken(Event):
    """Somebody took a step about keeping a recording: `step` says which. `hold_id` binds the steps of one hold."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    hold_id: str
    step: str
    grant_id: str


@dataclass(frozen=True)
class DestructionBegun(Event):
    """From here on a recording cannot be kept any more; its keys and data go."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    why: str


@dataclass(frozen=True)
class RecordingDestroyed(Event):
    """The certificate (policy: RE2): which segments, by root and key, when, how; `certificate` is the hash of its text."""

    subject = "recording_id"
    recording_id: str
    lesson_id: str
    why: str
    method: str
    destroyed_at: str
    keys: tuple[str, ...]
    roots: tuple[str, ...]
    certificate: str


@dataclass(frozen=True)
class HousekeepingDone(Event):
    """Somebody looked through one part of the yearly list (policy: RE3)."""

    subject = "item"
    item: str
    year: int
    found: int


@dataclass(frozen=True)
class RecoveryKeyAsked(Event):
    """Somebody asks that recordings may also be opened by another key. Public keys only; a second person agrees."""

    subject = "recipient_id"
    recipient_id: str
    public_key: str


@dataclass(frozen=True)
class RecoveryKeyDecided(Event):
    subject = "recipient_id"
    recipient_id: str
    agreed: bool


@dataclass(frozen=True)
class RecoveryKeyEnded(Event):
    """Records are no longer encrypted to this key; the copies made for it are replaced."""

    subject = "recipient_id"
    recipient_id: str


@dataclass(frozen=True)
class WrappingKeyRotated(Event):
    """Every key of a recording is wrapped by a new key of the school, and the old one is erased."""

    records: int


@dataclass(frozen=True)
class RecoveryKeyUsed(Event):
    """Somebody at the console, with a back-up, opened `records` keys by the private half of a recovery key into a new key store.

    `state_id`: of which back-up; `missing`: parts that are not destroyed, and whose key was not in it or did not open.
    """

    subject = "recipient_id"
    recipient_id: str
    state_id: str
    records: int
    missing: int
