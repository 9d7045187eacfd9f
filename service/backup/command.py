"""`chaperone backup`, `restore`, `restored` and `recover`: what they are given, what they say, and how they end."""

import argparse
import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Never

import pyrage
from sqlmodel import select

from recordings import durable, keycopies
from service.backup import known, recovering, restoring, voiding
from service.backup.box import Box
from service.backup.events import BackupChecked, BackupMade
from service.backup.saving import SECRETS, Made, alone, save
from service.backup.states import NoBackup
from service.backup.target import Target
from service.backup.trying import Aside, tried
from service.foundation import audit
from service.foundation.bus import Subscribers, publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Invalid, SafeguardError
from service.foundation.events import Event, system
from service.foundation.keys import check_there
from service.foundation.settings import Settings
from service.migrations import upgrade
from service.people.tables import School

CLOSED = ("Everybody is signed out; approvals and guest passes have ended. Lessons stay closed until the headteacher, "
          "a leader or the DSL has entered again what was withdrawn since, on the page /restored.")


def arguments(commands: Any) -> None:
    backup = commands.add_parser("backup", help="back up the database, the recordings and, apart, the keys")
    backup.add_argument("to", nargs="?", default="", help="a folder, or s3://bucket/folder")
    backup.add_argument("--keys-to", default="", help="another place for the keys (default: the same place, apart)")
    backup.add_argument("--check", action="store_true", help="also restore it into a folder aside, verify it, remove it")
    backup.add_argument("--new-key", type=Path, help="only make a pair of keys: the private one in this new file")
    backup.add_argument("--data", type=Path, default=None)
    restore = commands.add_parser("restore", help="bring a back-up back into an empty data folder")
    _where_from(restore)
    restore.add_argument("--check", action="store_true", help="only try it: restore into a temporary folder, verify, remove")
    restored = commands.add_parser("restored", help="after a dump came back into PostgreSQL: end what may have ended since")
    restored.add_argument("--data", type=Path, default=None)
    recover = commands.add_parser("recover", help="open recordings' keys of a back-up by a recovery key, into a new key folder")
    _where_from(recover)
    recover.add_argument("--recovery-key", type=Path, required=True, help="file with the private half of a recovery key (age)")
    recover.add_argument("--into", type=Path, required=True, help="the new folder of keys")
    recover.add_argument("--recording", action="append", default=[], help="only this one, by its id; may be repeated")


def _where_from(parser: argparse.ArgumentParser) -> None:
    """What names a back-up, and opens it."""
    parser.add_argument("source", metavar="from", help="a folder, or s3://bucket/folder")
    parser.add_argument("--keys-from", default="", help="where the keys were backed up to, if elsewhere")
    parser.add_argument("--identity", type=Path, required=True, help="file with the private age key")
    parser.add_argument("--state", default="", help="an earlier back-up, by its name (default: the newest)")
    parser.add_argument("--keys-state", default="", help="an earlier copy of the keys, by its name (default: the newest)")
    parser.add_argument("--signed-by", default="", help="the back-up's public key as it was noted when it was set up")
    parser.add_argument("--data", type=Path, default=None)


def _source(given: argparse.Namespace, settings: Settings, clock: Clock) -> restoring.Opened:
    """The back-up that was named."""
    data, keys = _places(given.source, given.keys_from, settings, create=False)
    identities = restoring.identities(given.identity)
    try:
        return restoring.opened(data, keys, identities, wanted=given.state, signed_by=given.signed_by,
                                keys_wanted=given.keys_state, now=clock.now())
    except FileNotFoundError as error:
        raise NoBackup("There is no back-up of that name here.") from error


@contextmanager
def tidied_up() -> Iterator[None]:
    """A stop of the command, such as when the server is started again, ends it as an error would: what lies aside is removed."""
    def end(number: int, _: object) -> Never:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def backup(given: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    """0: made, and whole if checked. 1: it does not verify. 2: it could not be made."""
    if given.new_key:
        return _new_key(given.new_key)
    try:
        if not given.to:
            raise Invalid("Say where to: a folder, or s3://bucket/folder.")
        data, keys = _places(given.to, given.keys_to, settings)
        with alone(settings.data):
            Aside.of(settings).remove()  # of one that was killed
            made = save(settings, data, keys, clock.now(), say)
            asyncio.run(_note(settings, clock, BackupMade(made.data_id, made.recordings, len(made.missing), made.copied_bytes)))
            print("\n".join(_words(made, settings)))
            return asyncio.run(_check(settings, clock, data, keys, made)) if given.check else 0
    except SafeguardError as error:
        print(error, file=sys.stderr)
    except sqlite3.Error as error:
        print(f"The database cannot be copied: {error}. The back-ups of it before are as they were.", file=sys.stderr)
    except OSError as error:
        print(f"The back-up was not finished: {error.strerror or error} ({error.filename or 'no file'}). Is its disk there, has "
              "it room, and may the user of the service write to it?", file=sys.stderr)
    return 2


def _places(to: str, keys_to: str, settings: Settings, *, create: bool = True) -> tuple[Target, Target]:
    access = settings.s3_access_file
    return Target(to, "data", access, create=create), Target(keys_to or to, "keys", access, create=create)


def _words(made: Made, settings: Settings) -> list[str]:
    public = audit.signing_key(settings.keys).public_key().public_bytes_raw().hex()
    return [
        f"Backed up as {made.data_id}: {made.recordings} recordings, {made.copied_bytes / 1e6:.1f} MB new.",
        *(f"Not where it should be: {name}" for name in made.missing),
        f"Old copies of keys that were removed: {made.keys_removed}.",
        f"Signed by {public}. Note this once, on paper: restore --signed-by.",
    ]


def _new_key(path: Path) -> int:
    identity = pyrage.x25519.Identity.generate()
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        print(f"{path} was not written: {error.strerror}.", file=sys.stderr)
        return 2
    with os.fdopen(fd, "w") as file:
        file.write(f"# public key: {identity.to_public()}\n{identity}\n")
    print(f"CHAPERONE_BACKUP_RECIPIENTS={identity.to_public()}\nThe private key is in {path}. "
          "Take it off this machine and keep it apart from the back-ups.")
    return 0


def _beside(settings: Settings, clock: Clock) -> Database:
    """The school's database, for a command beside the service: nobody reacts to what it publishes.

    What it writes is signed by the school's own key: another one, made here, would leave an audit that does not verify.
    """
    check_there(settings.keys)
    return Database(settings.url, {"clock": clock, "subscribers": Subscribers(), "outbox": asyncio.Event(),
                                   "signing_key": audit.signing_key(settings.keys)})


async def _note(settings: Settings, clock: Clock, event: Event) -> None:
    """In the audit of every school that was backed up."""
    database = _beside(settings, clock)
    try:
        async with database.writing() as session:
            for school_id in (await session.exec(select(School.id))).all():
                await publish(session, event, system(school_id))
    finally:
        await database.close()


async def _check(settings: Settings, clock: Clock, data: Target, keys: Target, made: Made) -> int:
    """Restore what was just made, aside, by the secrets of this machine, and look at all of it."""
    boxes = [Box(bytes(durable.read_key(settings.keys / SECRETS[part]))) for part in ("data", "keys")]
    source = restoring.opened(data, keys, wanted=made.data_id, boxes=(boxes[0], boxes[1]),
                              keys_wanted=made.keys_id)
    faults = await tried(source, Aside.of(settings), clock, say)
    await _note(settings, clock, BackupChecked(made.data_id, len(faults)))
    return _verdict(faults)


def _verdict(faults: list[str]) -> int:
    print("\n".join(faults) or "Restored to try it: the database, the audit log and the recordings are whole.")
    return 1 if faults else 0


def restore(given: argparse.Namespace, settings: Settings, clock: Clock, subscribers: Subscribers) -> int:
    """0: the school is back, its lessons closed. 1: what came back does not verify; nothing was put in place. 2: not begun."""
    try:
        found = _source(given, settings, clock)
        say(f"Restoring {found.state.id}, made on {found.state.at:%d %B %Y at %H:%M} UTC, signed by {found.state.signer}")
        if given.check:
            scratch = Path(tempfile.mkdtemp(prefix="chaperone-check-"))
            try:
                return _verdict(asyncio.run(tried(found, Aside(scratch / "data", scratch / "keys"), clock, say)))
            finally:
                shutil.rmtree(scratch)
        return asyncio.run(put_back(found, settings, clock, subscribers))
    except SafeguardError as error:
        print(error, file=sys.stderr)
        return 2


async def put_back(source: restoring.Opened, settings: Settings, clock: Clock, subscribers: Subscribers) -> int:
    """Restore into the data folder of the settings. Returns how the command ends."""
    aside = restoring.begin(source, settings.data, settings.keys)
    if aside is not None:
        restoring.bring_back(source, aside, say)
        faults = await restoring.verified(aside, clock, subscribers)
        if faults:
            print("\n".join((*faults, "Nothing was put in place. Choose an earlier back-up with --state.")))
            return 1
        database = restoring.database_of(aside, clock, subscribers)
        try:
            await voiding.void(database, source.state.id, source.state.at, clock.now())
        finally:
            await database.close()
        restoring.all_came_back(settings.data)
    restoring.put_in_place(settings.data, settings.keys)
    print(f"Restored. {CLOSED}")
    return 0


def restored(settings: Settings, clock: Clock, subscribers: Subscribers) -> int:
    """0: the database on its own server may be served, its lessons closed. 2: nothing was changed."""
    try:
        if not settings.database_url:
            raise Invalid("This school's database is a file in the data folder. Bring it back with “chaperone restore”.")
        check_there(settings.keys)
        until = asyncio.run(_restored(settings, clock, subscribers))
    except SafeguardError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Nothing that was written after {until:%d %B %Y at %H:%M} UTC is in this database. {CLOSED}")
    return 0


async def _restored(settings: Settings, clock: Clock, subscribers: Subscribers) -> datetime:
    database = Database(settings.url, {"clock": clock, "subscribers": subscribers, "outbox": asyncio.Event(),
                                       "signing_key": audit.signing_key(settings.keys)})
    try:
        async with database.served():
            await upgrade.to_newest(database, settings.keys)
            return await known.restored(database, settings.keys, clock.now())
    finally:
        await database.close()


def recover(given: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    """0: every key that was asked for is there. 1: some are missing, and are named. 2: nothing was recovered."""
    try:
        if not settings.database_url and not (settings.data / restoring.DATABASE).exists():
            raise Invalid(f"There is no school in {settings.data}. Restore it first.")
        found = asyncio.run(_recovered(given, settings, clock, _source(given, settings, clock)))
    except SafeguardError as error:
        print(error, file=sys.stderr)
        return 2
    missing = [part for school in found for part in school.missing]
    is_all = not given.recording and {each.school_id for each in found}.issuperset(keycopies.schools(settings.keys))
    print("\n".join((
        f"Keys recovered: {sum(each.records for each in found)}. They are in {given.into}, under a new wrapping key.",
        *(f"No key that opens: {part}" for part in missing),
        "Stop the service, set CHAPERONE_KEYS_FOLDER to that folder, start it, and look at a recording." if is_all else
        "Only for looking at these: never serve from this folder.",
    )))
    return 1 if missing else 0


async def _recovered(
    given: argparse.Namespace, settings: Settings, clock: Clock, source: restoring.Opened,
) -> list[recovering.Recovered]:
    identities = restoring.identities(given.recovery_key)
    if len(identities) != 1:
        raise Invalid(f"{given.recovery_key.name} has to have one recovery key.")
    database = _beside(settings, clock)
    try:
        return await recovering.recover(source, database, settings.keys, identities[0], given.into, given.recording)
    finally:
        await database.close()
