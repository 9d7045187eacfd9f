"""`chaperone recover`: the keys of recordings out of a back-up, by a recovery key, where the school's wrapping key was lost.

They come into a new folder of keys, beside the school, under a new wrapping key. Four people have a part in it: the two who
agreed to the recovery key, who holds its private half, and who has the back-up's. The audit has the entry before the folder has
its name (policy: AC4, AC6). What was destroyed since comes back to nobody: the school's own shred list and database are obeyed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyrage
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import durable, keycopies
from recordings.ending import queries
from recordings.ending.events import RecoveryKeyUsed
from recordings.ending.tables import Destruction
from recordings.keystore import KeyStore, Part
from recordings.tables import Recording, RecordingPart
from service.backup import restoring
from service.backup.restoring import Opened
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import system


class NotAgreed(NotAllowed):
    """Two people of the school have not agreed to this recovery key, or it was ended. Nothing was opened with it."""

    code = "recovery-key-not-agreed"


class FolderThere(Conflict):
    """Keys are recovered into a new folder. Choose one that does not exist yet."""

    code = "folder-there"


class NoSuchRecording(Invalid):
    """There is no such recording, or it was destroyed. Nothing was recovered."""

    code = "no-such-recording"


@dataclass(frozen=True)
class Recovered:
    """What was done for one school: whose key, how many records, and which parts have no key that opens. `known`: its recordings
    that were not destroyed."""

    school_id: str
    recipient_id: str
    records: int
    missing: tuple[str, ...]
    known: frozenset[str]


async def recover(source: Opened, database: Database, keys: Path, identity: pyrage.x25519.Identity, into: Path,
                  only: Collection[str] = ()) -> list[Recovered]:
    """All of it, or nothing is there under the name `into`. `keys`: the folder of keys that the school has now.

    `only`: the recordings that are wanted; all others' keys are left out. A school that did not agree to the recovery key is left
    out whole. Raises `NotAgreed`, `NoSuchRecording`, `FolderThere`, and what opening a back-up raises.
    """
    aside = into.with_name(f"{into.name}.recovering")
    _new(into, aside)
    try:
        restoring.bring_back_keys(source, aside, keycopies.shred_lists(keys))
        async with database.reading() as session:
            found = [each for school_id in keycopies.schools(aside)
                     if (each := await _school(session, KeyStore(aside / school_id, school_id), identity, only))]
        if not found:
            raise NotAgreed()
        if unknown := set(only).difference(*(each.known for each in found)):
            raise NoSuchRecording(f"There is no recording {', '.join(sorted(unknown))} here, or it was destroyed. "
                                  "Nothing was recovered.")
        async with database.writing() as session:
            for each in found:
                await publish(session, RecoveryKeyUsed(each.recipient_id, source.key_state.id, each.records, len(each.missing)),
                              system(each.school_id))
        aside.rename(into)
        durable.sync_folder(into.parent)
    finally:
        restoring.forget(aside)
    return found


def _new(into: Path, aside: Path) -> None:
    if into.exists():
        raise FolderThere()
    restoring.forget(aside)


async def _school(
    session: AsyncSession, store: KeyStore, identity: pyrage.x25519.Identity, only: Collection[str],
) -> Recovered | None:
    """One school's keys under a new wrapping key. None, and no key of it is left, where it did not agree to this recovery key."""
    agreed = await queries.recipients(session, store.school_id)
    mine = next((row for row in agreed if row.agreed and row.public_key == str(identity.to_public())), None)
    if mine is None:
        restoring.forget(store.folder)
        return None
    kept = await _obeyed(session, store)
    if only:
        store.keep_only(only)
    records = store.rotate(await queries.recovery_keys(session, store.school_id), identity=str(identity))
    missing = tuple(f"{part.recording_id}, part {part.part}" for part in kept
                    if (not only or part.recording_id in only) and not store.has(part))
    return Recovered(store.school_id, mine.id, records, missing, frozenset(part.recording_id for part in kept))


async def _obeyed(session: AsyncSession, store: KeyStore) -> list[Part]:
    """Destroy in `store` what the database says is destroyed. Returns the parts of all others."""
    rows = (await session.exec(
        select(Recording, RecordingPart.part, Destruction.recording_id)
        .join(RecordingPart, col(RecordingPart.recording_id) == Recording.id)
        .join(Destruction, col(Destruction.recording_id) == Recording.id, isouter=True)
        .where(Recording.school_id == store.school_id).order_by(col(Recording.started_at), col(RecordingPart.part))
    )).all()
    for row, _, gone in rows:
        if gone:
            store.destroy(row.id, row.kept_until)
    return [Part(row.id, part, row.kept_until) for row, part, gone in rows if not gone]
