"""Destroying what is due: worked out anew each minute from what is in the database and the key store (policy: RE2, RE3).

The order makes it safe to die at any moment. The database says first that destruction has begun, which no hold can overtake;
then the shred list; then the keys go, then the data, then the certificate is written with its entry in the audit. Whatever was
the last step, the next turn goes on from there. A hold is decided in the same database, so one of the two wins.
"""

import asyncio
from collections.abc import Collection, Iterable
from datetime import date, datetime

import structlog
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import shredlist
from recordings.ending import certificate, queries, rules
from recordings.ending.events import DestructionBegun, RecordingDestroyed
from recordings.ending.tables import Destruction
from recordings.events import RecordingKeyDestroyed
from recordings.format import stamp
from recordings.keystore import KeyMissing, KeyStore
from recordings.shredlist import What
from recordings.tables import Recording, RecordingKey
from recordings.vault import Vault
from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.events import Actor, system
from service.foundation.stores import StoreSilent
from service.people import queries as people

log = structlog.get_logger(__name__)
OVER, RESTORED = "its time was over", "its key was destroyed before this copy was restored"
TOGETHER = 25
"""Recordings whose destruction begins in one transaction: lessons that write wait for it."""


async def reconcile(database: Database, vault: Vault, clock: Clock, *, keys_only: bool = False) -> int:
    """Destroy everything that is due, of every school. Returns how many recordings were finished. Safe to repeat.

    `keys_only`: begin it, and destroy keys: what lies elsewhere is removed, and certified, by who can reach it.
    """
    async with database.reading() as session:
        schools = await queries.schools(session)
    count = 0
    for school_id in schools:
        try:
            await _let_go(database, vault, school_id, clock.now())
            while await _begin_due(database, vault, school_id, clock.now()):
                pass
            count += await finish(database, vault, clock, school_id, keys_only=keys_only)
        except Exception:
            log.exception("destruction.failed", school_id=school_id)  # shown as late on the page; the next school goes on
    return count


async def begin(session: AsyncSession, actor: Actor, *, recording_id: str, why: str, now: datetime,
                is_gone: bool = False) -> None:
    """Say that a recording is destroyed. It cannot be taken back. Raises `Held` where it is kept by a legal hold.

    `is_gone`: its key was destroyed already, so that there is nothing left to hold.
    """
    row = (await session.exec(
        select(Recording).where(Recording.id == recording_id, Recording.school_id == actor.school_id).with_for_update()
    )).one()
    if await session.get(Destruction, recording_id) is not None:
        return
    if not is_gone and rules.in_force(await queries.steps_of_one(session, recording_id), now):
        raise rules.Held()
    session.add(Destruction(recording_id=row.id, school_id=row.school_id, why=why, begun_at=now, begun_by=actor.person_id))
    await publish(session, DestructionBegun(recording_id=row.id, lesson_id=row.lesson_id, why=why), actor)


async def _begin_due(database: Database, vault: Vault, school_id: str, now: datetime) -> int:
    """Begin what is due and not held; what the key store holds for a reason that this database does not know is left alone."""
    lines = await asyncio.to_thread(shredlist.lines, vault.key_store(school_id), vault.keys(school_id).public)
    destroyed = {line.recording_id for line in lines if line.what is What.RECORDING}
    gone = {recording_id for recording_id, line in _last(lines).items() if line.what is What.RECORDING}
    async with database.writing() as session:
        zone = (await people.school(session, school_id)).zone
        rows, steps = await queries.undestroyed(session, school_id), await queries.steps_of(session, school_id)
        unknown = _unknown_holds(lines, steps)
        due = [(each, OVER) for each, kept_until in rows.items() if rules.is_due(kept_until, now, zone)]
        due += [(each, RESTORED) for each in rows if each in destroyed]
        # A database that was restored may know of a hold that was released since: the list tells what became of it.
        wanted = {each: why for each, why in due
                  if each in gone or (each not in unknown and not rules.in_force(steps.get(each, []), now))}
        for recording_id in list(wanted)[:TOGETHER]:
            await begin(session, system(school_id), recording_id=recording_id, why=wanted[recording_id], now=now,
                        is_gone=recording_id in gone)
    return len(wanted)


def _last(lines: Iterable[shredlist.Line]) -> dict[str, shredlist.Line]:
    """What the shred list says last of each recording."""
    return {line.recording_id: line for line in lines if line.recording_id}


def _unknown_holds(lines: Iterable[shredlist.Line], steps: dict[str, list[rules.Taken]]) -> set[str]:
    """What the shred list says is held, later than anything the database knows of: a crash or a restored database.

    Closed is the only safe failure: it stays, until somebody asks to keep it or refuses to.
    """
    return {
        recording_id for recording_id, line in _last(lines).items() if line.what in (What.HELD, What.ISOLATED)
        and not any(stamp(taken.at) >= line.at for taken in steps.get(recording_id, []))
    }


async def _let_go(database: Database, vault: Vault, school_id: str, now: datetime) -> None:
    """Put back under its day what is held no longer and not due yet."""
    store, signer = vault.key_store(school_id), vault.keys(school_id)
    held = await asyncio.to_thread(store.held)
    if not held:
        return
    unknown_lines = await asyncio.to_thread(shredlist.lines, store, signer.public)
    async with database.writing() as session:  # so that nobody asks to keep it at the same moment
        zone = (await people.school(session, school_id)).zone
        rows, steps = await queries.undestroyed(session, school_id), await queries.steps_of(session, school_id)
        unknown = _unknown_holds(unknown_lines, steps)
        for recording_id in held:
            kept_until = rows.get(recording_id)
            if kept_until is None or recording_id in unknown or rules.in_force(steps.get(recording_id, []), now):
                continue
            if not rules.is_due(kept_until, now, zone):
                await asyncio.to_thread(_release, store, signer, recording_id, kept_until, now)


def _release(store: KeyStore, signer: shredlist.Signer, recording_id: str, kept_until: date, now: datetime) -> None:
    shredlist.add(store, signer, What.RELEASED, kept_until, recording_id, now=now)
    store.release(recording_id, kept_until)


# -- what has begun ---------------------------------------------------------------------------------------------------------


async def finish(database: Database, vault: Vault, clock: Clock, school_id: str, *, keys_only: bool = False) -> int:
    """Carry out every destruction that has begun. Returns how many are done. A silent store is asked again the next turn."""
    async with database.reading() as session:
        zone = (await people.school(session, school_id)).zone
        begun = await queries.begun(session, school_id)
        keep = await queries.undestroyed(session, school_id)
    today = rules.today(clock.now(), zone)
    await asyncio.to_thread(_destroy_keys, vault, school_id, begun, keep, today, clock.now())
    done = 0
    for each in begun:
        try:
            await _note_keys(database, each, clock.now())
            if keys_only:
                continue
            await remove_data(vault, each)
            await _certify(database, vault, each, clock.now())
        except StoreSilent:
            continue
        except Exception:
            log.exception("destruction.one_failed", recording_id=each.recording.id)  # late; those after it go on
            continue
        done += 1
    return done


def _destroy_keys(vault: Vault, school_id: str, begun: list[queries.Begun], keep: Collection[str], today: date,
                  now: datetime) -> None:
    store, signer = vault.key_store(school_id), vault.keys(school_id)
    for each in begun:
        row = each.recording
        if row.kept_until >= today or store.is_held(row.id):
            shredlist.add(store, signer, What.RECORDING, row.kept_until, row.id, now=now)
            store.destroy(row.id, row.kept_until)
    said = {line.day for line in shredlist.lines(store, signer.public) if line.what is What.DAY}
    for day in store.days():
        if day >= today:
            continue
        if day not in said:
            shredlist.add(store, signer, What.DAY, day, now=now)
        try:
            store.destroy_day(day, keep=keep)
        except KeyMissing:  # of one that is held: the others go one by one, and so does every other day
            log.exception("keys.held_record_unreadable", day=day.isoformat())
            for each in begun:
                if each.recording.kept_until == day:
                    shredlist.add(store, signer, What.RECORDING, day, each.recording.id, now=now)
                    store.destroy(each.recording.id, day)


async def _note_keys(database: Database, begun: queries.Begun, now: datetime) -> None:
    """The tombstones: from this moment nobody can read it. Written once."""
    row, gone = begun.recording, begun.destruction
    async with database.writing() as session:
        for part, key in begun.parts:
            kept = await session.get_one(RecordingKey, key.part_id)
            if kept.destroyed_at is not None:
                continue
            kept.destroyed_at, kept.destroyed_by, kept.destroyed_why = now, gone.begun_by, gone.why
            await publish(session, RecordingKeyDestroyed(
                recording_id=row.id, lesson_id=row.lesson_id, part=part.part, why=gone.why), system(row.school_id))


async def remove_data(vault: Vault, begun: queries.Begun) -> None:
    """Remove the encrypted parts, wherever they lie, and everything that was made of them."""
    for part, _ in begun.parts:
        await vault.storage.delete(begun.recording.id, part.part)
    await asyncio.to_thread(vault.remove_folder, begun.recording.id)


async def _certify(database: Database, vault: Vault, begun: queries.Begun, now: datetime) -> None:
    """The certificate and its entry in the audit, together, once."""
    row = begun.recording
    async with database.writing() as session:
        gone = await session.get_one(Destruction, row.id)
        if gone.destroyed_at is not None:
            return
        keys = (await session.exec(select(RecordingKey).where(
            col(RecordingKey.part_id).in_([part.id for part, _ in begun.parts])))).all()
        at = max((key.destroyed_at for key in keys if key.destroyed_at), default=now)
        text = certificate.written(begun, at, now, vault.keys(row.school_id))
        gone.destroyed_at, gone.certificate = now, text
        words = [certificate.part(part.part, key.name, part.manifest) for part, key in begun.parts]
        await publish(session, RecordingDestroyed(
            recording_id=row.id, lesson_id=row.lesson_id, why=gone.why, method=rules.METHOD, destroyed_at=stamp(at),
            keys=tuple(str(each["key"]) for each in words), roots=tuple(str(each["root"]) for each in words),
            certificate=certificate.digest(text),
        ), system(row.school_id))
