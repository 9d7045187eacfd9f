"""The key store: the only place where keys of recordings lie, apart from the database and the recordings (policy: RE2, RE3).

A part's key is wrapped by its school's wrapping key, and encrypted to the school's recovery recipients (age). That record lies
in a bundle: one for each day on which recordings are due to be destroyed, one for each recording that is held. Everything in
a bundle is encrypted under the bundle's own key, which is random and exists nowhere else: erasing those 32 bytes destroys all
of it, whoever holds the wrapping key or a recovery key.

    <school>/wrap/<n>.key                       the wrapping keys; the highest wraps
    <school>/days/<last day kept>/bundle.key    and <recording>.<part>.key beside it
    <school>/holds/<recording>/bundle.key       the same, and `isolated` where nobody may open it (policy: RE5)
    <school>/shred.list                         what was destroyed and held, signed (`recordings.shredlist`)

Every change takes the school's lock, is on the disk before it returns, and may be repeated. Processes share a store.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pyrage
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recordings import durable
from recordings.secret import Key, usable, wipe, wipe_copy
from service.foundation.errors import Conflict, Unavailable

log = structlog.get_logger(__name__)
NONCE_BYTES, TAG_BYTES = 12, 16
WRAP_CONTEXT = b"chaperone-recording-key/2"
BUNDLE_CONTEXT = b"chaperone-key-bundle/1"
BUNDLE_KEY, ISOLATED = "bundle.key", "isolated"
TOGETHER = 100
"""Records that are rewrapped in one turn of the lock: a lesson that begins waits for no more."""


class KeyMissing(Unavailable):
    """The key of this recording cannot be read. Tell the technician."""

    code = "key-missing"


class WrappingKeyLost(KeyMissing):
    """The wrapping key of recordings is lost, so nothing can be recorded. Tell the technician: docs/backup.md says what to do."""

    code = "wrapping-key-lost"


class KeyGone(KeyMissing):
    """The key of this recording is not there any more. Nothing was changed."""


class StillNeeded(KeyMissing):
    """Records that cannot be read now may still be under an older wrapping key: it stays, or is to be put back."""

    def __init__(self, count: int, *, is_there: bool):
        records = f"{count} {'record' if count == 1 else 'records'} in the key store cannot be read now"
        super().__init__(
            f"{records}, so the old wrapping key was kept. All others have the new one. Look at who owns the files of the key "
            "store and who may read them, and do this again." if is_there else
            f"{records}, and their wrapping key is not there. New recordings have a new one. docs/backup.md says what to do.")


class EvidenceIsolated(Conflict):
    """This recording cannot be opened by anybody. The DSL knows why."""

    code = "evidence-isolated"


@dataclass(frozen=True)
class Part:
    """Which key: of one part of a recording, whose last day is `kept_until` (the day that its bundle is named for)."""

    recording_id: str
    part: int
    kept_until: date

    @property
    def file(self) -> str:
        return f"{self.recording_id}.{self.part}.key"


@dataclass(frozen=True)
class Record:
    """What the store keeps of one key, inside its bundle. `recovery`: an age file to `recipients`, in hexadecimal."""

    wrapped_by: int
    wrapped: str = field(repr=False)
    recovery: str = field(default="", repr=False)
    recipients: tuple[str, ...] = ()


def key_id(key: Key) -> str:
    """The name of a key in the audit and in certificates; tells nothing of it."""
    name = sha256(b"chaperone-key-id\x00")
    name.update(key)
    return name.hexdigest()[:32]


@dataclass(frozen=True)
class StoreStanding:
    """`wrapping`: the number of the wrapping key, made at `since`. `is_rotating`: an older one is still there."""

    records: int
    wrapping: int
    since: datetime | None
    days: int
    is_rotating: bool

    @property
    def is_lost(self) -> bool:
        return self.records > 0 and self.wrapping == 0


@dataclass(frozen=True)
class KeyStore:
    """One school's keys of recordings, in `folder`. Nothing is remembered between calls: what is erased is gone."""

    folder: Path
    school_id: str

    def standing(self) -> "StoreStanding":
        """What a technician may know of the store: how much there is, and nothing of what."""
        wrapping = self._wrapping_keys()
        at = datetime.fromtimestamp(self._wrap_path(wrapping[-1]).stat().st_mtime, UTC) if wrapping else None
        return StoreStanding(len(self._files()), wrapping[-1] if wrapping else 0, at, len(self.days()), len(wrapping) > 1)

    # -- keeping and opening

    def put(self, part: Part, key: Key, recipients: Sequence[str] = ()) -> None:
        """Keep the key of a new part until the end of its day. Durable when this returns."""
        with self.alone():
            bundle = self._hold(part.recording_id) if self.is_held(part.recording_id) else self._day(part.kept_until)
            self._write(bundle, part, self._record(part, key, recipients))

    def open(self, part: Part) -> bytearray:
        """A part's key, for the caller to wipe. Raises `KeyMissing` where it was destroyed or damaged, and `EvidenceIsolated`."""
        if self.is_isolated(part.recording_id):
            raise EvidenceIsolated()
        try:
            return self._unwrap(part, self._read(part))
        except KeyMissing:
            with self.alone():  # it may just have been on its way into a hold, or to another wrapping key
                return self._unwrap(part, self._read(part))

    def has(self, part: Part) -> bool:
        """Whether a key is here and readable, isolated or not."""
        try:
            wipe(self._unwrap(part, self._read(part)))
        except KeyMissing:
            return False
        return True

    def recover(self, part: Part, identity: str) -> bytearray:
        """A part's key by the private key of a recovery recipient, where the wrapping key was lost; for the caller to wipe."""
        if self.is_isolated(part.recording_id):
            raise EvidenceIsolated()
        return _recovered(self._read(part), identity)

    # -- holding

    def keep_only(self, recording_ids: Collection[str]) -> None:
        """Erase every record of other recordings: for a copy of a store."""
        with self.alone():
            for file in self._files():
                if _part_of(file).recording_id not in recording_ids:
                    durable.erase(file)

    def hold(self, recording_id: str, kept_until: date, *, isolate: bool = False) -> None:
        """Move a recording's keys out of their day, so that the day can be destroyed without them. Raises `KeyMissing`.

        The copies under the hold are durable before those of the day are erased.
        """
        with self.alone():
            self._move(recording_id, self._day(kept_until), self._hold(recording_id))
            if isolate:
                durable.write(self._hold(recording_id) / ISOLATED, b"")

    def release(self, recording_id: str, kept_until: date) -> None:
        """Back under the key of their day; whether that is past is the caller's to know."""
        with self.alone():
            if not self.is_held(recording_id):
                return
            self._move(recording_id, self._hold(recording_id), self._day(kept_until))
            self._erase_bundle(self._hold(recording_id))

    def is_held(self, recording_id: str) -> bool:
        return (self._hold(recording_id) / BUNDLE_KEY).exists()

    def is_isolated(self, recording_id: str) -> bool:
        return (self._hold(recording_id) / ISOLATED).exists()

    def held(self) -> list[str]:
        """The recordings whose keys are held."""
        return sorted(each.name for each in _folders(self.folder / "holds"))

    # -- destroying

    def days(self) -> list[date]:
        """The days that have a bundle, whole or half erased, the earliest first."""
        return sorted(date.fromisoformat(each.name) for each in _folders(self.folder / "days"))

    def destroy_day(self, day: date, *, keep: Collection[str] = ()) -> list[str]:
        """Destroy the key of a day, and with it every record under it. `keep`: recordings that are held. Returns the others.

        Whatever step is the last one before a crash, repeating it ends the same: a record of `keep` has its copy under the
        hold before the day's key is touched.
        """
        with self.alone():
            bundle = self._day(day)
            records = _recordings(bundle)
            for recording_id in records & set(keep):
                self._move(recording_id, bundle, self._hold(recording_id))
            self._erase_bundle(bundle)
            return sorted(records - set(keep))

    def destroy(self, recording_id: str, kept_until: date) -> None:
        """Destroy one recording's records before their day, or under a hold that ended."""
        with self.alone():
            self._erase_bundle(self._hold(recording_id))
            for file in sorted(self._day(kept_until).glob(f"{recording_id}.*.key")):
                durable.erase(file)

    def abandon(self, recording_id: str) -> None:
        """Erase the records of what was begun and never became a recording, whatever day they were put under."""
        with self.alone():
            for file in sorted(self.folder.glob(f"days/*/{recording_id}.*.key")):
                durable.erase(file)

    # -- rotating

    def rotate(self, recipients: Sequence[str] | None = None, *, identity: str = "") -> int:
        """A new wrapping key for every record; then the old ones are erased. Returns how many records. No media is touched.

        `recipients`: None leaves each record those that it has.

        A crash leaves both keys, and repeating finishes. So does a record that is there and cannot be read now: it may be read
        again, by a key that is only in the old ones. Raises `StillNeeded` then. `identity`: the private key of a recovery
        recipient, for records whose wrapping key was lost; what that does not open either is for the caller to name.
        """
        number = self._unused()
        with self.alone():
            durable.create_key(self._wrap_path(number))
        count = self.rewrap(recipients, identity=identity)
        with self.alone():
            more, unreadable = self._rewrap(self._files(), recipients)  # what was moved between two turns
            os.sync()
            if unreadable and not identity:
                raise StillNeeded(unreadable, is_there=len(self._wrapping_keys()) > 1)
            for number in () if unreadable else self._wrapping_keys()[:-1]:
                durable.erase(self._wrap_path(number))
        return count + more

    def rewrap(self, recipients: Sequence[str] | None, *, identity: str = "") -> int:
        """Bring every record to the newest wrapping key and to these recipients. Returns how many were changed."""
        files, count = self._files(), 0
        for at in range(0, len(files), TOGETHER):
            with self.alone():
                count += self._rewrap(files[at:at + TOGETHER], recipients, identity)[0]
        os.sync()
        return count

    def _rewrap(self, files: Sequence[Path], recipients: Sequence[str] | None, identity: str = "") -> tuple[int, int]:
        """How many records were changed, and how many are there and do not open."""
        newest, changed, unreadable = self._newest(), 0, 0
        for file in files:
            try:
                changed += self._rewrapped(file, _part_of(file), recipients, newest, identity)
            except FileNotFoundError:
                continue  # destroyed or moved in the meantime
            except KeyMissing:
                unreadable += file.exists()
        return changed, unreadable

    def _rewrapped(self, file: Path, part: Part, recipients: Sequence[str] | None, newest: int, identity: str) -> bool:
        record = self._decrypt(file, part)
        wanted = record.recipients if recipients is None else tuple(recipients)
        is_same = record.recipients == wanted
        if is_same and record.wrapped_by == newest:
            return False
        key = self._by_either(part, record, identity)
        try:
            made = self._record(part, key, () if is_same else wanted, newest)
        finally:
            wipe(key)
        kept = replace(made, recovery=record.recovery, recipients=wanted) if is_same else made
        self._write(file.parent, part, kept, sync=False)
        return True

    # -- records, wrapped and in their bundle

    def _record(self, part: Part, key: Key, recipients: Sequence[str], newest: int = 0) -> Record:
        newest = newest or self._newest() or self._first()
        nonce = secrets.token_bytes(NONCE_BYTES)
        wrapped = nonce + _cipher(self._wrapping(newest)).encrypt(nonce, usable(key), self._context(WRAP_CONTEXT, part))
        recovery = _for_recovery(key, recipients) if recipients else b""
        return Record(newest, wrapped.hex(), recovery.hex(), tuple(recipients))

    def _unwrap(self, part: Part, record: Record) -> bytearray:
        wrapped = bytes.fromhex(record.wrapped)
        return _decrypted(self._wrapping(record.wrapped_by), wrapped, self._context(WRAP_CONTEXT, part))

    def _by_either(self, part: Part, record: Record, identity: str) -> bytearray:
        try:
            return self._unwrap(part, record)
        except KeyMissing:
            if not identity:
                raise
            return _recovered(record, identity)

    def _read(self, part: Part) -> Record:
        for bundle in (self._hold(part.recording_id), self._day(part.kept_until)):
            try:
                return self._decrypt(bundle / part.file, part)
            except FileNotFoundError:
                continue
        raise KeyMissing()

    def _decrypt(self, file: Path, part: Part) -> Record:
        sealed = file.read_bytes()
        plain = _decrypted(self._bundle_key(file.parent), sealed, self._context(BUNDLE_CONTEXT, part, file.parent))
        found = json.loads(plain)
        wipe(plain)
        return Record(found["wrapped_by"], found["wrapped"], found["recovery"], tuple(found["recipients"]))

    def _write(self, bundle: Path, part: Part, record: Record, *, sync: bool = True) -> None:
        path = bundle / BUNDLE_KEY
        key = durable.read_key(path) if path.exists() else durable.create_key(path)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = _cipher(key).encrypt(nonce, json.dumps(asdict(record)).encode(), self._context(BUNDLE_CONTEXT, part, bundle))
        durable.write(bundle / part.file, nonce + sealed, sync=sync)

    def _context(self, kind: bytes, part: Part, bundle: Path | None = None) -> bytes:
        names = (self.school_id, part.recording_id, str(part.part), *((bundle.parent.name, bundle.name) if bundle else ()))
        return b"\x00".join((kind, *(name.encode() for name in names)))

    def _move(self, recording_id: str, source: Path, target: Path) -> None:
        """Encrypt a recording's records again under another bundle, then erase the old copies."""
        files = sorted(source.glob(f"{recording_id}.*.key"))
        if not files and not any(target.glob(f"{recording_id}.*.key")):
            raise KeyGone()
        for file in files:
            self._write(target, _part_of(file), self._decrypt(file, _part_of(file)))
        for file in files:
            durable.erase(file)

    def _erase_bundle(self, bundle: Path) -> None:
        """The key first: from that moment nothing in the bundle can be read, whatever is still lying there."""
        durable.erase(bundle / BUNDLE_KEY)
        durable.remove_folder(bundle)

    # -- keys and places

    def _wrapping(self, number: int) -> bytearray:
        return _key(self._wrap_path(number))

    def _bundle_key(self, bundle: Path) -> bytearray:
        return _key(bundle / BUNDLE_KEY)

    def _wrapping_keys(self) -> list[int]:
        return sorted(int(file.stem) for file in (self.folder / "wrap").glob("*.key"))

    def _newest(self) -> int:
        return max(self._wrapping_keys(), default=0)

    def _first(self) -> int:
        """It is made for the first record: where there are others, theirs is lost, and nobody was told yet."""
        if self._files():
            log.critical("keys.wrapping_key_lost", school_id=self.school_id)
            raise WrappingKeyLost()
        durable.create_key(self._wrap_path(1))
        return 1

    def _unused(self) -> int:
        """A number for a wrapping key that no record names: under those that are named, one that was lost may be put back."""
        return 1 + max(self._newest(), *self._named())

    def _named(self) -> Iterator[int]:
        yield 0
        for file in self._files():
            with suppress(FileNotFoundError, KeyMissing):
                yield self._decrypt(file, _part_of(file)).wrapped_by

    def _wrap_path(self, number: int) -> Path:
        return self.folder / "wrap" / f"{number}.key"

    def _day(self, day: date) -> Path:
        return self.folder / "days" / day.isoformat()

    def _hold(self, recording_id: str) -> Path:
        return self.folder / "holds" / recording_id

    def _files(self) -> list[Path]:
        return sorted(file for kind in ("days", "holds") for file in (self.folder / kind).glob("*/*.*.key"))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One change at a time, in this process and others."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _decrypted(key: bytearray, sealed: bytes, context: bytes) -> bytearray:
    """What is under `key`, which is wiped."""
    plain = bytearray(max(0, len(sealed) - NONCE_BYTES - TAG_BYTES))
    try:
        _cipher(key).decrypt_into(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context, plain)
    except (InvalidTag, ValueError) as error:
        raise KeyMissing() from error
    return plain


def _cipher(key: bytearray) -> AESGCM:
    """A cipher with `key`, which is wiped: it is read from the disk again each time."""
    try:
        return AESGCM(key)
    finally:
        wipe(key)


def _for_recovery(key: Key, recipients: Sequence[str]) -> bytes:
    copy = bytes(key)  # the only thing that the library takes
    try:
        sealed: bytes = pyrage.encrypt(copy, [pyrage.x25519.Recipient.from_str(each) for each in recipients])
        return sealed
    finally:
        if copy is not key:
            wipe_copy(copy)


def _recovered(record: Record, identity: str) -> bytearray:
    try:
        key: bytes = pyrage.decrypt(bytes.fromhex(record.recovery), [pyrage.x25519.Identity.from_str(identity)])
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        raise KeyMissing("This recovery key does not open this recording.") from error
    try:
        return bytearray(key)
    finally:
        wipe_copy(key)


def _key(path: Path) -> bytearray:
    try:
        return durable.read_key(path)
    except (FileNotFoundError, durable.NoKey) as error:
        raise KeyMissing() from error


def _part_of(file: Path) -> Part:
    """Which key a file of a bundle is. Under a hold the day is not in its name, and nothing asks for it there."""
    recording_id, number, _ = file.name.split(".")
    is_day = file.parent.parent.name == "days"
    return Part(recording_id, int(number), date.fromisoformat(file.parent.name) if is_day else date.min)


def _recordings(bundle: Path) -> set[str]:
    return {file.name.partition(".")[0] for file in bundle.glob("*.*.key")}


def _folders(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
