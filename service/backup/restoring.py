"""Bringing a back-up back: into a folder aside, checked whole, then put in place by renaming. Never over what is there.

Until the last step the data folder has no school in it, and the service does not start: it can die at any moment and goes on when
it is begun again. A back-up that was changed, cut short or put together from others is refused as a whole.
"""

import asyncio
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pyrage

from recordings import durable, keycopies, proof
from recordings.ending import destruction
from recordings.vault import Vault
from service.backup import rules, states
from service.backup.box import BackupDamaged, Box
from service.backup.rules import File, State
from service.backup.saving import DATABASE, RECORDING_PIECE, Say
from service.backup.target import Target
from service.foundation import audit
from service.foundation.bus import Subscribers
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Conflict, Invalid
from service.migrations import upgrade

ASIDE = "restoring"
READY, OF = "ready", "of"
GOING = ".going"
"""What a folder's name ends with while it is removed."""
MAY_LIE_THERE = frozenset({"lock", "backup", "lost+found", ASIDE, ASIDE + GOING})
TICKETS = "tickets.pem"
FOREVER = datetime(9998, 1, 1, tzinfo=UTC)
NAMES = re.compile(re.escape(DATABASE) + r"|recordings/[0-9a-z]{1,32}/[0-9]{1,4}\.rec")


class SchoolThere(Conflict):
    """There is a school here already, and a restore never overwrites one. Choose an empty data folder, or move this one away."""

    code = "school-there"


class HalfRestored(Conflict):
    """A restore was begun here and not finished. Run “chaperone restore” again: it goes on, or begins again."""

    code = "half-restored"


class OtherRestore(Conflict):
    """Another back-up came back here, whole, and has only to be put in place."""

    code = "other-restore"


class NotSound(Conflict):
    """What came back does not verify."""

    code = "not-sound"


@dataclass(frozen=True)
class Opened:
    """One state of the data and one of the keys, with what opens them."""

    data: Target
    keys: Target
    data_box: Box
    keys_box: Box
    state: State
    key_state: State


def identities(path: Path) -> list[pyrage.x25519.Identity]:
    """Private age keys from a file as `age-keygen` writes it."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        return [pyrage.x25519.Identity.from_str(line) for line in lines]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        raise Invalid(f"{path.name} is not a file with a private age key (AGE-SECRET-KEY-1…).") from error


def opened(data: Target, keys: Target, with_keys: Sequence[pyrage.x25519.Identity] = (), *, wanted: str = "", signed_by: str = "",
           boxes: tuple[Box, Box] | None = None, keys_wanted: str = "",
           now: datetime = FOREVER) -> Opened:
    """The newest back-up, or the one that is `wanted`, with the newest copy of the keys, or that one.

    What is dated after `now` is not the newest while there is another: a clock was ahead when it was made.
    Raises `WrongKey`, `BackupDamaged`, `NoBackup`. `signed_by`: the public key that was noted when back-ups began.
    """
    own = boxes or (None, None)
    data_box, state = states.read(data, wanted or _newest(data, now), own[0], with_keys)
    keys_box, key_state = states.read(keys, keys_wanted or _newest(keys, now), own[1], with_keys)
    if state.signer != key_state.signer or (signed_by and signed_by != state.signer):
        raise BackupDamaged("This back-up was not made by the school that it should be of. Nothing was restored.")
    return Opened(data, keys, data_box, keys_box, state, key_state)


def _newest(target: Target, now: datetime) -> str:
    found = states.names(target)
    if not found:
        raise states.NoBackup(f"There is no back-up of the {target.part} here. Look again where it was made to go.")
    return rules.newest(found, now)


def bring_back(source: Opened, folder: Path, say: Say, *, keys: Path | None = None) -> None:
    """Everything of a back-up into a folder, each file as long and as it was. `keys`: the folder of keys, if it is elsewhere.

    What an earlier run brought of a recording stays, if the back-up has the same. Keys and database may have been changed since,
    and are brought anew.
    """
    durable.make_folder(folder)
    keys = keys or folder / "keys"
    forget(keys)
    bring_back_keys(source, keys)
    database = next((file for file in source.state.files if file.name == DATABASE), None)
    if database is None:
        raise BackupDamaged()
    for old in folder.glob(f"{DATABASE}*"):
        durable.erase(old)
    _file(source, database, folder / DATABASE)
    wanted = source.state.recordings
    for number, file in enumerate(wanted, start=1):
        _file(source, file, folder / file.name)
        say(f"{number} of {len(wanted)} recordings")


def _file(source: Opened, file: File, path: Path) -> None:
    if not NAMES.fullmatch(file.name):
        raise BackupDamaged()
    durable.make_folder(path.parent)
    path.touch(mode=0o600)
    whole, there = sha256(), 0
    with open(path, "r+b") as into:
        for block in _standing(into, source.data_box, file):
            whole.update(block)
            there += 1
        into.truncate()
        for block in states.fetch(source.data, source.data_box, replace(file, pieces=file.pieces[there:])):
            whole.update(block)
            into.write(block)
            into.flush()
        os.fsync(into.fileno())
    if path.stat().st_size != file.size or whole.hexdigest() != file.digest:
        raise BackupDamaged()


def _standing(into: BinaryIO, box: Box, file: File) -> Iterator[bytes]:
    """The pieces that an earlier run wrote, each known again by what it holds. After the last, `into` stands behind it."""
    for piece in file.pieces:
        at = into.tell()
        block = into.read(RECORDING_PIECE)
        if not block or box.name(block) != piece:
            into.seek(at)
            return
        yield block


def bring_back_keys(source: Opened, folder: Path, known: Mapping[str, bytes] | None = None) -> None:
    """The keys, but for those of what was destroyed since: the newest shred list that any place has is replayed.

    `known`: shred lists by school, of a service that still has its own.
    """
    body = b"".join(block for file in source.key_state.files for block in states.fetch(source.keys, source.keys_box, file))
    files = {name: bytes.fromhex(words) for name, words in json.loads(body).items() if name != TICKETS}
    durable.make_folder(folder)
    keycopies.put_back(folder, files, [*_shred_lists(source), known or {}])
    own = audit.signing_key(folder).public_key().public_bytes_raw().hex()
    if own != source.state.signer:
        raise BackupDamaged("The keys of this back-up are not those of its data. Nothing was restored.")


def _shred_lists(source: Opened) -> list[dict[str, bytes]]:
    """Those of every back-up that can be read, because only the longest is the truth, whatever the clock said on its day."""
    found: dict[tuple[str, ...], dict[str, bytes]] = {}
    for name in states.names(source.data):
        with suppress(BackupDamaged, FileNotFoundError):
            state = states.read(source.data, name, source.data_box)[1]
            files = [file for file in state.files if file.name.startswith("shred/")]
            key = tuple(piece for file in files for piece in file.pieces)
            if key not in found:
                found[key] = {file.name.partition("/")[2]: b"".join(states.fetch(source.data, source.data_box, file))
                              for file in files}
    return list(found.values())


async def verified(folder: Path, clock: Clock, subscribers: Subscribers, *, keys: Path | None = None) -> list[str]:
    """Everything wrong with what came back: the file of the database, the audit, every recording.

    An earlier version is brought up to this one first, and the keys of what was destroyed since are destroyed in the database
    too. Its data may lie in the school's store, which nothing here asks: the first start removes and certifies it.
    """
    with closing(sqlite3.connect(folder / DATABASE)) as kept:
        words = kept.execute("PRAGMA integrity_check").fetchone()[0]
    if words != "ok":
        return [f"the database: {words}"]
    keys = keys or folder / "keys"
    database, vault = database_of(folder, clock, subscribers, keys=keys), Vault(folder, keys=keys)
    try:
        await upgrade.to_newest(database, keys)
        await destruction.reconcile(database, vault, clock, keys_only=True)
        async with database.reading() as session:
            faults = await audit.verify(session, audit.signing_key(keys).public_key())
            return faults + await proof.verify(session, vault)
    finally:
        await database.close()


def database_of(folder: Path, clock: Clock, subscribers: Subscribers, *, keys: Path | None = None) -> Database:
    return Database(f"sqlite+aiosqlite:///{folder / DATABASE}", {
        "clock": clock, "subscribers": subscribers, "outbox": asyncio.Event(),
        "signing_key": audit.signing_key(keys or folder / "keys"),
    })


# -- into place


def refuse_half_restored(data: Path) -> None:
    """Nothing is served from a folder that a restore was begun in and not finished. What one left that was ended is removed."""
    if (data / ASIDE).exists():
        raise HalfRestored()
    forget(data / ASIDE)


def begin(source: Opened, data: Path, keys: Path) -> Path | None:
    """A folder aside to restore into, empty but for what an earlier run brought of the same back-up.

    None when all came back before and only has to be put in place. Raises `SchoolThere`, and `OtherRestore` where what came back
    is of another back-up.
    """
    aside = data / ASIDE
    of, name = aside / OF, f"{source.state.id} {source.state.signer}".encode()
    if (aside / READY).exists():
        if of.exists() and of.read_bytes() != name:
            state = of.read_text().partition(" ")[0]
            raise OtherRestore(f"The back-up {state} came back here, whole, and has only to be put in place. Run this again with "
                               f"--state {state}, or remove the folder {aside} first.")
        return None
    there = {each.name for each in data.glob("*")} - MAY_LIE_THERE if data.exists() else set()
    if there or (keys != data / "keys" and any(each.name != "lost+found" for each in keys.glob("*"))):
        raise SchoolThere()
    if not of.exists() or of.read_bytes() != name:
        forget(aside)
        durable.write(of, name)
    return aside


def all_came_back(data: Path) -> None:
    """From here on a restore that is begun again only puts in place what lies aside: the database is one file, on the disk."""
    with closing(sqlite3.connect(data / ASIDE / DATABASE)) as kept:
        busy, *_ = kept.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise NotSound("The restored database is still in use. Run it again.")
    durable.write(data / ASIDE / READY, b"")


def put_in_place(data: Path, keys: Path) -> None:
    """What lies aside, whole, becomes the school: the database last but one, the folder aside last. Safe to repeat."""
    aside = data / ASIDE
    for name, place in (("recordings", data / "recordings"), ("keys", keys), (DATABASE, data / DATABASE)):
        _move(aside / name, place)
    forget(aside)


def _move(source: Path, place: Path) -> None:
    if not source.exists():
        return
    durable.make_folder(place.parent)
    if source.is_dir() and place.exists():  # a volume of its own: file by file, and only then erased here
        for file in sorted(source.rglob("*")):
            if file.is_file():
                durable.write(place / file.relative_to(source), file.read_bytes())
        forget(source)
    elif source.stat().st_dev != place.parent.stat().st_dev:
        durable.make_folder(place)
        _move(source, place)
    else:
        source.rename(place)
    durable.sync_folder(place.parent)


def forget(folder: Path) -> None:
    """Remove what was restored aside; all that is not ciphertext is overwritten first.

    It loses its name before anything in it: nobody takes what is half removed for what is whole, nor goes on with it.
    """
    going = folder.with_name(f"{folder.name}{GOING}")
    _remove(going)  # of one that died here
    if folder.exists():
        folder.rename(going)
        durable.sync_folder(folder.parent)
        _remove(going)


def _remove(folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".rec":
            durable.erase(file)
    if folder.exists():
        shutil.rmtree(folder)
        durable.sync_folder(folder.parent)

