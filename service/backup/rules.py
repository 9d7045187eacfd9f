"""What a back-up says of itself, and which are kept. Pure. policy: AC6, RE2."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

STAMP = "%Y%m%dT%H%M%S"
LATE = timedelta(hours=26)
"""A daily back-up that is older has been missed."""
KEYS_KEPT = timedelta(days=7) - LATE
"""An older copy of the keys goes at this run: the next may come so late, and then it would be older than seven days."""
DATA_KEPT = timedelta(days=30)
UNTESTED = timedelta(days=8)
JUMP = timedelta(days=2)
AHEAD = timedelta(days=1)
"""A state that is dated later than this was made while a clock was wrong."""


@dataclass(frozen=True)
class File:
    """One file of the data folder, as pieces in order. `digest`: SHA-256 of the whole; `root`: of a sealed part, its tree's."""

    name: str
    size: int
    digest: str
    pieces: tuple[str, ...]
    root: str = ""


@dataclass(frozen=True)
class State:
    """Everything at one moment. `missing`: recordings whose file was nowhere. `signer`: who says so (raw Ed25519, hex)."""

    id: str
    part: str
    at: datetime
    signer: str
    files: tuple[File, ...]
    missing: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        return json.dumps(asdict(self) | {"at": self.at.isoformat()}, sort_keys=True, separators=(",", ":")).encode()

    @property
    def pieces(self) -> set[str]:
        return {piece for file in self.files for piece in file.pieces}

    @property
    def recordings(self) -> tuple[File, ...]:
        return tuple(file for file in self.files if file.name.startswith("recordings/"))


def from_json(words: bytes) -> State:
    """Raises ValueError, KeyError or TypeError for anything else."""
    given = json.loads(words)
    files = tuple(File(**(each | {"pieces": tuple(each["pieces"])})) for each in given["files"])
    at = datetime.fromisoformat(given["at"])
    return State(given["id"], given["part"], at, given["signer"], files, tuple(given["missing"]))


def state_id(at: datetime, nonce: str) -> str:
    """`20261128T021000-…`: sorts by time."""
    return f"{at.astimezone(UTC).strftime(STAMP)}-{nonce}"


def made_at(name: str) -> datetime | None:
    """When the state of this id was made, by its name; None for a name that is none."""
    try:
        return datetime.strptime(name.partition("-")[0], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def outdated(names: Iterable[str], now: datetime, kept: timedelta) -> list[str]:
    """The states to remove: older than `kept`, but never the newest.

    Those of a clock that was ahead go with the first older one: had the clock been put back instead, nothing would be old yet.
    """
    dated: Sequence[tuple[datetime, str]] = sorted((at, name) for name in names if (at := made_at(name)) is not None)
    believed = [each for each in dated if each[0] - now <= AHEAD]
    old = [name for at, name in believed[:-1] if now - at > kept]
    return old + [name for at, name in dated[len(believed):] if old]


def has_jumped(names: Iterable[str], entry: datetime | None, now: datetime) -> bool:
    """Whether the clock may be ahead: days after the last back-up, and after everything that the school's audit tells of.

    `entry`: when that has its newest entry; None where nobody can tell.
    """
    known = [at for name in names if (at := made_at(name)) is not None and at <= now]
    return bool(known) and now - max([*known, entry] if entry else known) > JUMP


def newest(names: Sequence[str], now: datetime) -> str:
    """The newest state; one of a clock that was ahead only where there is no other. Not for no names."""
    dated = sorted((at, name) for name in names if (at := made_at(name)) is not None)
    return ([name for at, name in dated if at - now <= AHEAD] or [name for _, name in dated])[-1]
