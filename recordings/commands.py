"""Begin, seal, recover, watch and destroy recordings. What opens is in the audit before it has an effect."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import queries, rules
from recordings.ending import queries as ending
from recordings.events import (
    PurposeRefused,
    RecordingEnded,
    RecordingSealed,
    RecordingStarted,
    RecordingViewed,
)
from recordings.format import Header, Manifest
from recordings.grants import notices
from recordings.grants import queries as granted
from recordings.keystore import Part
from recordings.reader import read_manifest
from recordings.recover import STOPPED, seal_torn
from recordings.rules import Kind
from recordings.secret import wipe
from recordings.tables import Recording, RecordingKey, RecordingPart, RecordingParticipant, RecordingView
from recordings.vault import EvidenceIsolated, KeyMissing, SchoolKeys, Vault, key_id, new_key
from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import Actor, system
from service.foundation.keys import KeysAway
from service.people import queries as people
from service.people import step_up
from service.people.step_up import Proof
from service.safeguarding.concerns import queries as concerns


@dataclass(frozen=True)
class LessonFacts:
    """What a recording keeps of its lesson's plan. `main_id`: of a breakout room, the lesson that it is part of."""

    lesson_id: str
    title: str
    class_name: str
    starts_at: datetime
    ends_at: datetime
    main_id: str = ""
    kind: Kind = Kind.LESSON


@dataclass(frozen=True)
class Begun:
    """Everything that `Capture.start` needs, and the key to wipe then. The key's row is committed before this is used."""

    path: Path
    header: Header
    key: bytearray = field(repr=False)
    signer: SchoolKeys
    lesson_clock_start: float


async def begin(session: AsyncSession, actor: Actor, facts: LessonFacts, *, vault: Vault, clock: Clock) -> Begun:
    """Make ready the first or next part of a lesson's recording (policy: RL4). Commit, then start the capture.

    Every part keeps the lesson's zero, so that times go on across a process that died.
    """
    now, boottime = clock.now(), clock.boottime()
    recording = await _recording(session, actor, facts, now)
    last = (await session.exec(
        select(func.max(RecordingPart.part)).where(RecordingPart.recording_id == recording.id)
    )).one()
    part = RecordingPart(
        school_id=actor.school_id, recording_id=recording.id, part=(last or 0) + 1, started_at=now
    )
    session.add(part)
    await session.flush()
    key, signer = new_key(), vault.keys(actor.school_id)
    await asyncio.to_thread(
        vault.key_store(actor.school_id).put, Part(recording.id, part.part, recording.kept_until), key,
        await ending.recovery_keys(session, actor.school_id),
    )
    session.add(RecordingKey(part_id=part.id, school_id=actor.school_id, name=key_id(key)))
    await publish(session, RecordingStarted(recording_id=recording.id, lesson_id=facts.lesson_id, part=part.part), actor)
    header = Header(actor.school_id, recording.id, facts.lesson_id, part.part, now)
    zero = boottime - max(0.0, (now - recording.started_at).total_seconds())
    return Begun(vault.path(recording.id, part.part), header, key, signer, zero)


async def _recording(session: AsyncSession, actor: Actor, facts: LessonFacts, now: datetime) -> Recording:
    found = (await session.exec(select(Recording).where(Recording.lesson_id == facts.lesson_id))).first()
    if found is None:
        profile = await people.profile(session, actor.school_id)
        found = Recording(
            school_id=actor.school_id, lesson_id=facts.lesson_id, main_id=facts.main_id, title=facts.title,
            class_name=facts.class_name, starts_at=facts.starts_at, ends_at=facts.ends_at, started_at=now,
            kind=facts.kind,
            kept_until=rules.kept_until(facts.ends_at, rules.retention_days(facts.kind, profile)),
        )
    found.outcome, found.reason, found.ended_at = "", "", None
    session.add(found)
    await session.flush()
    return found


async def admit(
    session: AsyncSession, actor: Actor, *, recording_id: str, person_id: str, role: str, now: datetime
) -> None:
    """Note that somebody is admitted to the room, before they are: from here on they cannot review this lesson."""
    if await session.get(RecordingParticipant, (recording_id, person_id)) is None:
        session.add(RecordingParticipant(
            recording_id=recording_id, person_id=person_id, school_id=actor.school_id, role=role, admitted_at=now
        ))
        await session.flush()


async def seal_part(session: AsyncSession, actor: Actor, manifest: Manifest, *, now: datetime) -> None:
    """Keep the seal of a part that ended. A part is sealed once."""
    part = (await session.exec(select(RecordingPart).where(
        RecordingPart.recording_id == manifest.recording_id, RecordingPart.part == manifest.part
    ))).first()
    if part is None:
        raise NotFound()
    if part.manifest:
        raise Conflict()
    part.manifest = manifest.to_json().decode()
    part.outcome, part.reason, part.sealed_at = manifest.outcome, manifest.reason, now
    session.add(part)
    await publish(session, RecordingSealed(
        recording_id=manifest.recording_id, lesson_id=manifest.lesson_id, part=manifest.part, outcome=manifest.outcome,
        reason=manifest.reason, chunks=manifest.chunks, root=manifest.root,
    ), actor)


async def end(session: AsyncSession, actor: Actor, *, recording_id: str, now: datetime) -> None:
    """The lesson is over: the recording is complete, or incomplete with the reasons of its parts."""
    recording = await session.get_one(Recording, recording_id)
    parts = (await session.exec(
        select(RecordingPart).where(RecordingPart.recording_id == recording_id).order_by(col(RecordingPart.part))
    )).all()
    if not all(part.manifest for part in parts):
        raise Conflict("A part of this recording is still being written.")
    recording.outcome, recording.reason = rules.outcome_of((part.outcome, part.reason) for part in parts)
    recording.reason = recording.reason[:500]
    recording.ended_at = now
    session.add(recording)
    await publish(session, RecordingEnded(
        recording_id=recording_id, lesson_id=recording.lesson_id, outcome=recording.outcome, reason=recording.reason
    ), actor)


async def check_may_watch(session: AsyncSession, actor: Actor, recording: queries.RecordingDetails,
                          in_it: frozenset[str] = frozenset()) -> None:
    """Raise unless this person may watch the whole recording. `in_it`: whom it shows besides those who were admitted."""
    if recording.is_for_practice:
        raise NotFound()  # the safeguarding team has the lesson's own; this one is for nothing else (policy: RE1)
    rules.check_may_watch(actor, recording.participants | in_it, await granted.subjects(session, recording))


async def watch(
    session: AsyncSession, actor: Actor, *, lesson_id: str, why: str, concern: str, in_it: frozenset[str], proof: Proof,
    now: datetime,
) -> str:
    """Let somebody watch who proved to be themselves, for a reason, in this sign-in only. Returns the view's id, which grants
    nothing by itself.

    `in_it`: people whom the recording itself shows, who cannot review it either.
    """
    recording = await queries.recording(session, actor.school_id, lesson_id)
    await check_may_watch(session, actor, recording, in_it)
    purpose = rules.check_reason(why, concern.strip())
    await concerns.check_number(session, actor, concern)
    if not recording.outcome:
        raise rules.StillRecording()
    if recording.is_destroyed:
        raise rules.KeyDestroyed()
    await step_up.confirmed(session, actor, rules.watch_action(recording.id, recording.title, why, concern), proof, now)
    return await open_view(session, actor, recording, why=purpose, concern=concern.strip(), now=now)


async def open_view(
    session: AsyncSession, actor: Actor, recording: queries.RecordingDetails, *, why: str, concern: str, now: datetime,
    grant_id: str = "", until: datetime | None = None,
) -> str:
    """Write a view down, in the audit and for whoever is told of it, before anything can be served. Returns its id."""
    view = RecordingView(
        school_id=actor.school_id, recording_id=recording.id, person_id=actor.person_id, session_id=actor.session_id,
        why=why, concern=concern, grant_id=grant_id, granted_at=now,
        expires_at=min(now + rules.VIEW_LASTS, until or now + rules.VIEW_LASTS),
    )
    session.add(view)
    await session.flush()
    await notices.tell(session, view, recording, now)
    await publish(session, RecordingViewed(
        recording_id=recording.id, lesson_id=recording.lesson_id, view_id=view.id, why=why, concern=concern, grant_id=grant_id
    ), actor)
    return view.id


async def refuse_purpose(session: AsyncSession, actor: Actor, lesson_id: str, why: str) -> None:
    """Keep that somebody tried: the form does not offer it, so it was sent by hand."""
    recording = await queries.recording(session, actor.school_id, lesson_id)
    await publish(session, PurposeRefused(recording.id, lesson_id, why[:40]), actor)


async def check_signing_keys(database: Database, vault: Vault) -> None:
    """Raise where a school has recordings, and not the key that signed them: another one would be made, and would seal parts and
    certify what it never saw (decision 210)."""
    async with database.reading() as session:
        for school_id in await ending.schools(session):
            if not vault.has_keys(school_id):
                raise KeysAway(f"The key that signs a school's recordings is not in {vault.folder_of_keys}. Put the whole folder "
                               "of keys back, with every folder in it. Nothing was changed.")


async def recover(database: Database, vault: Vault, clock: Clock) -> int:
    """At the start: seal what an earlier process left open, "the service stopped". Returns how many parts.

    Nothing of this process may be recording yet. A part whose disk would not take its seal gets it now.
    """
    async with database.reading() as session:
        torn = await queries.unsealed(session)
    for part in torn:
        manifest = await asyncio.to_thread(_seal, part, vault, clock.now())
        async with database.writing() as session:
            if not part.manifest:
                await seal_part(session, system(part.header.school_id), manifest, now=clock.now())
    async with database.writing() as session:
        for recording_id, school_id in await queries.running(session):
            await end(session, system(school_id), recording_id=recording_id, now=clock.now())
    return len(torn)


def _seal(part: queries.OpenPart, vault: Vault, now: datetime) -> Manifest:
    keys, header = vault.keys(part.header.school_id), part.header
    try:
        key = vault.open(header.school_id, header.recording_id, header.part, part.kept_until)
    except (KeyMissing, EvidenceIsolated):
        key = None  # one damaged key must not keep a school from starting
    kept = read_manifest(part.manifest.encode()) if part.manifest else None
    path = vault.path(header.recording_id, header.part)
    try:
        return seal_torn(path, header, key=key, signer=keys, sealed_at=now, reason=STOPPED, kept=kept)
    finally:
        wipe(*([key] if key else ()))
