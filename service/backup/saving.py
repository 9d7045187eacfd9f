"""Making a back-up, beside the running service: a consistent view of the database, then what is new of everything else.

The order is what lets it die at any moment: pieces first, then the state that names them, then what is too old goes. Until the
new state is there, the one before is as good as it was. The keys are copied and tidied also where the data fails: they may not
grow old (policy: RE2).
"""

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings import durable, keycopies
from recordings.storage import Storage, storage_of
from service.backup import rules, states
from service.backup.box import BackupDamaged, Box
from service.backup.rules import File, State
from service.backup.target import Target
from service.foundation.audit import signing_key
from service.foundation.errors import Conflict, Invalid
from service.foundation.keys import check_there
from service.foundation.settings import Settings

DATABASE = "chaperone.sqlite3"
DATABASE_PIECE = 256 << 10
RECORDING_PIECE = 8 << 20
SECRETS = {"data": "backup.data", "keys": "backup.keys"}
Say = Callable[[str], None]


class AlreadyRunning(Conflict):
    """Another back-up is being made or tried just now. Wait until it is done."""

    code = "backup-running"


@dataclass(frozen=True)
class Made:
    """What a back-up did."""

    data_id: str
    keys_id: str
    copied: int
    copied_bytes: int
    recordings: int
    missing: tuple[str, ...]
    keys_removed: int


class Saver:
    """One run into one place: which pieces are there, and how much was added."""

    def __init__(self, target: Target, box: Box):
        self.target, self.box = target, box
        self.there = {name for name, _ in target.names("pieces")}
        self._before = states.names(target)
        self.copied = self.copied_bytes = 0

    def file(self, name: str, blocks: Iterable[bytes], root: str = "") -> File:
        whole, size, pieces = hashlib.sha256(), 0, []
        for block in blocks:
            whole.update(block)
            size += len(block)
            pieces.append(self._piece(block))
        return File(name, size, whole.hexdigest(), tuple(pieces), root)

    def has_jumped(self, entry: datetime | None, now: datetime) -> bool:
        """Whether the clock may be ahead, as far as this place knows: of the run before."""
        return rules.has_jumped(self._before, entry, now)

    def _piece(self, block: bytes) -> str:
        name = self.box.name(block)
        if name not in self.there:
            self.target.put(f"pieces/{name}", self.box.seal(name, block))
            self.there.add(name)
            self.copied += 1
            self.copied_bytes += len(block)
        return name


def save(settings: Settings, data: Target, keys: Target, now: datetime, say: Say) -> Made:
    """Back everything up, `alone`. Raises `SafeguardError` in plain words; the back-ups before stay as they are."""
    recipients = [each.strip() for each in settings.backup_recipients.split(",") if each.strip()]
    if not recipients:
        raise Invalid("Set CHAPERONE_BACKUP_RECIPIENTS to the public key of who may restore (age1…). "
                      "“chaperone backup --new-key FILE” makes a pair.")
    _refuse_server(settings)
    check_there(settings.keys)
    run = _Run(now, None, signing_key(settings.keys), recipients, say)
    try:
        run = replace(run, entry=_last_entry(settings.data / DATABASE))
        saver, files, missing = _data(settings, data, say)
    except Exception:
        _save_keys(settings, keys, run)  # or what is destroyed opens from old copies for as long as the data fails
        raise
    # The keys first: a state of the data never waits for keys that are not there.
    key_saver, key_state, removed = _save_keys(settings, keys, run)
    state = run.keep(saver, files, missing)
    run.tidy(saver, rules.DATA_KEPT, all_must_be_read=True)
    return Made(state.id, key_state.id, saver.copied + key_saver.copied, saver.copied_bytes + key_saver.copied_bytes,
                len(state.recordings), state.missing, removed)


@dataclass(frozen=True)
class _Run:
    """What one run has for each place. `entry`: when the audit has its newest entry; None where it cannot be read."""

    now: datetime
    entry: datetime | None
    signer: Ed25519PrivateKey
    recipients: list[str]
    say: Say

    def keep(self, saver: Saver, files: Iterable[File], missing: Iterable[str] = ()) -> State:
        public = self.signer.public_key().public_bytes_raw().hex()
        state = State(states.new_id(self.now), saver.target.part, self.now, public, tuple(files), tuple(missing))
        states.keep(saver.target, saver.box, state, self.recipients, self.signer)
        return state

    def tidy(self, saver: Saver, kept: timedelta, *, all_must_be_read: bool) -> int:
        if saver.has_jumped(self.entry, self.now):
            self.say(f"Nothing that is too old was removed of the {saver.target.part}: nothing happened here for days before "
                     f"{self.now:%d %B %Y}. Look at the clock. If it is right, the next back-up removes it.")
            return 0
        self.say("Removing what is too old")
        return states.tidy(saver.target, saver.box, self.now, kept, all_must_be_read=all_must_be_read)


def _save_keys(settings: Settings, keys: Target, run: _Run) -> tuple[Saver, State, int]:
    """A copy of the keys. Returns how many old ones were removed, too."""
    saver = Saver(keys, Box(bytes(durable.create_key(settings.keys / SECRETS["keys"]))))
    state = run.keep(saver, [saver.file(f"keys/{name}", [body]) for name, body in _keys(settings.keys)])
    return saver, state, run.tidy(saver, rules.KEYS_KEPT, all_must_be_read=False)


def _keys(folder: Path) -> list[tuple[str, bytes]]:
    """All keys as one body, so that nobody can count them."""
    found = {name: body.hex() for name, body in keycopies.copy(folder).items()}
    return [("all", json.dumps(found, sort_keys=True).encode())]


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """One back-up is made, or tried, at a time."""
    durable.make_folder(data / "backup")
    fd = os.open(data / "backup/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise AlreadyRunning() from error
    finally:
        os.close(fd)


def _refuse_server(settings: Settings) -> None:
    if settings.database_url:
        raise Invalid("This school's database is on a server of its own. Back it up with that server's tools (pg_dump); "
                      "docs/postgresql.md says how, and what follows when it is brought back.")


@contextmanager
def _snapshot(settings: Settings) -> Iterator[Path]:
    """The database at one moment, beside it on the same disk, for as long as it is needed.

    All in one step: a reader of the write-ahead log holds no writer up, and one that paused would begin again at every write.
    """
    source, copy = settings.data / DATABASE, settings.data / "backup" / DATABASE
    durable.erase(copy)
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live, closing(sqlite3.connect(copy)) as kept:
            live.backup(kept, pages=-1)
            kept.execute("PRAGMA journal_mode=DELETE")
        yield copy
    finally:
        durable.erase(copy)


def _data(settings: Settings, target: Target, say: Say) -> tuple[Saver, list[File], list[str]]:
    """The database and every recording that it knows, those of the last back-up by name alone; and which were nowhere."""
    with _snapshot(settings) as copy:
        saver = Saver(target, Box(bytes(durable.create_key(settings.keys / SECRETS["data"]))))
        files = [saver.file(DATABASE, _blocks(copy, DATABASE_PIECE))]
        files += [saver.file(f"shred/{school_id}", [body]) for school_id, body in keycopies.shred_lists(settings.keys).items()]
        recordings, missing = _recordings(settings, copy, saver, say)
    return saver, files + recordings, missing


def _recordings(settings: Settings, copy: Path, saver: Saver, say: Say) -> tuple[list[File], list[str]]:
    before = {file.name: file for file in _last(saver)}
    files: list[File] = []
    missing: list[str] = []
    wanted, storage = _parts(copy), storage_of(settings)
    for number, (recording_id, part, root) in enumerate(wanted, start=1):
        name = f"recordings/{recording_id}/{part}.rec"
        known = before.get(name)
        if known is not None and root and known.root == root and saver.there.issuperset(known.pieces):
            files.append(known)
            continue
        try:
            files.append(saver.file(name, _stored(storage, recording_id, part), root))
        except FileNotFoundError:
            missing.append(name)
        say(f"{number} of {len(wanted)} recordings")
    still = {f"recordings/{recording_id}/{part}.rec" for recording_id, part, _ in _parts(settings.data / DATABASE)}
    return files, [name for name in missing if name in still]  # the others were destroyed in the meantime


def _last_entry(database: Path) -> datetime | None:
    """When the audit has its newest entry."""
    if not database.exists():
        raise Invalid(f"There is no school in {database.parent}.")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as kept:
        at = kept.execute("SELECT max(at) FROM audit_leaf").fetchone()[0]
    return datetime.fromisoformat(at) if at else None


def _last(saver: Saver) -> tuple[File, ...]:
    """The files of the newest state that can be read."""
    for name in reversed(states.names(saver.target)):
        try:
            return states.read(saver.target, name, saver.box)[1].files
        except BackupDamaged:
            continue
    return ()


def _parts(copy: Path) -> list[tuple[str, int, str]]:
    """(recording, part, root) of every part with a file; the root is empty while it is being recorded."""
    with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as kept:
        rows = kept.execute(
            "SELECT recording_part.recording_id, part, manifest FROM recording_part JOIN recording_key ON part_id = "
            "recording_part.id WHERE destroyed_at IS NULL ORDER BY recording_part.recording_id, part").fetchall()
    manifests = [(recording_id, part, json.loads(words) if words else None) for recording_id, part, words in rows]
    return [(recording_id, part, words["root"] if words else "") for recording_id, part, words in manifests
            if words is None or words["chunks"]]


def _stored(storage: Storage, recording_id: str, part: int) -> Iterator[bytes]:
    """A part as it stands, wherever it is; of one that is being recorded, what is written by now."""
    opened = storage.place(recording_id, part).open()
    try:
        for offset in range(0, opened.size, RECORDING_PIECE):
            yield opened.read(offset, min(RECORDING_PIECE, opened.size - offset))
    finally:
        opened.close()


def _blocks(path: Path, length: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(length):
            yield block
