"""The shred list: what was destroyed and what is held, one signed line each, only ever added to (policy: RE2, RE5).

A line is on the disk before the key it tells of is touched. Replaying the list brings any copy of the key store to where it
has to be: a key store that was put back from an old copy gives nothing back that was destroyed since, and lets nothing go that
was held. The list has ids and days, and no key: it may be kept for ever, and the newest copy of it is the one that counts.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import rfc8785
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recordings import durable
from recordings.format import stamp
from recordings.keystore import KeyMissing, KeyStore
from service.foundation.errors import Unavailable

log = structlog.get_logger(__name__)
NAME = "shred.list"
TAIL = 4096


class ListChanged(Unavailable):
    """The list of destroyed recordings was changed or is not this school's. Nothing may be served from these keys."""

    code = "shred-list-changed"


class Signer(Protocol):
    @property
    def public(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


class What(StrEnum):
    """What happened to keys: a whole day was destroyed, one recording was; one was held, isolated, or let go again."""

    DAY = "day"
    RECORDING = "recording"
    HELD = "held"
    ISOLATED = "isolated"
    RELEASED = "released"


@dataclass(frozen=True)
class Line:
    """`day`: the last day that the recording is kept, or the day whose key was destroyed; `recording_id` empty for a day."""

    what: What
    day: date
    recording_id: str
    at: str


def add(store: KeyStore, signer: Signer, what: What, day: date, recording_id: str = "", *, now: datetime) -> None:
    """Add one line, durably. The last line again is not added twice, so that repeating a step tells the same story."""
    path = store.folder / NAME
    with store.alone():
        last, end = _last(path)
        before = json.loads(last) if last else {"number": 0}
        words: dict[str, str | int] = {
            "number": before["number"] + 1, "what": str(what), "day": day.isoformat(), "recording": recording_id,
            "school": store.school_id, "before": sha256(last).hexdigest() if last else "",
        }
        if last and words.items() >= {name: before[name] for name in ("what", "day", "recording")}.items():
            return
        words["at"] = stamp(now)
        line = rfc8785.dumps({**words, "signature": signer.sign(rfc8785.dumps({**words})).hex()}) + b"\n"
        _append(path, end, line)


def _last(path: Path) -> tuple[bytes, int]:
    """The last whole line, and where it ends. Only the end of the list is read: it gets longer for ever."""
    if not path.exists():
        return b"", 0
    with path.open("rb") as file:
        size, length = file.seek(0, os.SEEK_END), TAIL
        while True:
            start = max(0, size - length)
            file.seek(start)
            whole = _whole(file.read())
            if start == 0 or whole.count(b"\n") > 1:
                return _line(whole), start + len(whole)
            length *= 2


def _append(path: Path, at: int, line: bytes) -> None:
    """A torn last line, which a crash leaves, is overwritten: what it would have told of has not happened."""
    durable.make_folder(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, at)
        os.pwrite(fd, line, at)
        os.fsync(fd)
    finally:
        os.close(fd)
    durable.sync_folder(path.parent)


def _whole(data: bytes) -> bytes:
    """Without a torn last line."""
    return data[:data.rfind(b"\n") + 1]


def _line(whole: bytes) -> bytes:
    """The last of whole lines."""
    return whole[whole.rfind(b"\n", 0, -1) + 1:-1]


_read: dict[tuple[str, bytes], tuple[bytes, tuple[Line, ...]]] = {}
"""By school and its public key, the longest list that was checked here: what begins with the same bytes is checked from there on.
Ten thousand signatures take a second, and whoever asks to keep a recording has the writer's turn."""


def read(data: bytes, school_id: str, public: bytes) -> list[Line]:
    """Every whole line, checked: its signature, its place, and the line before it. Raises `ListChanged`."""
    whole = _whole(data)
    known, checked = _read.get((school_id, public), (b"", ()))
    if not whole.startswith(known):
        known, checked = b"", ()
    found, before = list(checked), sha256(_line(known)).hexdigest() if known else ""
    for number, raw in enumerate(whole[len(known):].splitlines(), start=len(found) + 1):
        try:
            words = json.loads(raw)
            signature = bytes.fromhex(words.pop("signature"))
            Ed25519PublicKey.from_public_bytes(public).verify(signature, rfc8785.dumps(words))
            line = Line(What(words["what"]), date.fromisoformat(words["day"]), words["recording"], words["at"])
            place = (words["number"], words["before"], words["school"])
        except (InvalidSignature, ValueError, KeyError, AttributeError) as error:
            raise ListChanged() from error
        if place != (number, before, school_id):
            raise ListChanged()
        found.append(line)
        before = sha256(raw).hexdigest()
    _read[school_id, public] = whole, tuple(found)
    return found


def newest(lists: Iterable[bytes], school_id: str, public: bytes) -> bytes:
    """Of several copies the one that says most. Raises `ListChanged` where two tell different stories."""
    found = b""
    for data in lists:
        read(data, school_id, public)
        whole = _whole(data)
        shorter, longer = sorted((found, whole), key=len)
        if not longer.startswith(shorter):
            raise ListChanged()
        found = longer
    return found


def lines(store: KeyStore, public: bytes) -> list[Line]:
    path = store.folder / NAME
    return read(path.read_bytes(), store.school_id, public) if path.exists() else []


def replay(store: KeyStore, public: bytes) -> None:
    """Bring the keys to where the list says they are. Safe to repeat, and at every start; before anything is served.

    First what is held is held, then what was destroyed is destroyed.
    """
    story = lines(store, public)
    last = {line.recording_id: line for line in story if line.recording_id}
    gone = dict.fromkeys(line.day for line in story if line.what is What.DAY)
    isolated = _isolated(story)
    kept = {recording_id for recording_id, line in last.items() if line.what in (What.HELD, What.ISOLATED)}
    for recording_id, line in last.items():
        if recording_id in kept:
            _hold(store, line, isolate=recording_id in isolated)
        elif line.what is What.RECORDING or line.day in gone:
            store.destroy(recording_id, line.day)
        else:
            store.release(recording_id, line.day)
    for day in gone:
        _destroy_day(store, day, kept)


def _destroy_day(store: KeyStore, day: date, kept: set[str]) -> None:
    try:
        store.destroy_day(day, keep=kept)
    except KeyMissing:
        log.exception("keys.held_record_unreadable", day=day.isoformat())  # nothing was destroyed; the day is shown as late


def _hold(store: KeyStore, line: Line, *, isolate: bool) -> None:
    try:
        store.hold(line.recording_id, line.day, isolate=isolate)
    except KeyMissing:
        return  # this copy of the key store is older than the recording


def _isolated(story: Sequence[Line]) -> set[str]:
    found: set[str] = set()
    for line in story:
        if line.what is What.ISOLATED:
            found.add(line.recording_id)
        elif line.what in (What.RELEASED, What.RECORDING):
            found.discard(line.recording_id)
    return found
