"""Prepare what was recorded, one part at a time, whenever something is missing: nothing else remembers what is to be done.

A crash at any moment leaves the part as it was, and the next start begins it again; the event is published once, with the
row that says so. What is away since, because no back-up has it, is made again, and nothing more is written down.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from recordings import queries as recordings
from recordings.format import ChunkDamaged, NotARecording
from recordings.preparation import aside, queries, rules
from recordings.preparation.aside import Writing
from recordings.preparation.events import RecordingPrepared
from recordings.preparation.queries import Waiting
from recordings.preparation.rules import Progress, Scores
from recordings.preparation.sandbox import DecoderDied, decoding
from recordings.preparation.tables import RecordingPreparation
from recordings.queries import RecordingDetails
from recordings.reader import Chunk, Recording, TrackInfo
from recordings.review import part_key
from recordings.secret import KeyForgotten, wipe
from recordings.vault import EvidenceIsolated, Vault
from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.events import system

log = structlog.get_logger(__name__)
T = TypeVar("T")

AT_ONCE = 16
"""Pieces that are read and decrypted together, so that the loop is asked for little."""
RETRY_SECONDS = 600.0
LEAST_SECONDS, SECONDS_A_MINUTE = 60, 10
"""Of the processor, for a track: several times what it takes."""


@dataclass
class _Making:
    """A part that is opened, then decoded. Whatever of these is there holds its key."""

    key: bytearray = field(repr=False)
    recording: Recording | None = None
    writing: Writing | None = None
    task: "asyncio.Task[None] | None" = None
    is_forgotten: bool = False

    def forget(self) -> None:
        self.is_forgotten = True
        wipe(self.key)
        if self.recording:
            self.recording.forget()
        if self.writing:
            self.writing.forget()
        if self.task:
            self.task.cancel()


@dataclass
class Preparations:
    """What this process is preparing: how far it is, by part, and what has to wait before it is tried again.

    `lost`: the parts whose file was away when this began.
    """

    progress: dict[str, Progress] = field(default_factory=dict)
    making: dict[str, _Making] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)
    lost: set[str] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def forget(self, recording_id: str) -> None:
        """A recording is being destroyed: overwrite its key, and kill whatever decodes it."""
        if making := self.making.get(recording_id):
            making.forget()


@dataclass
class _Work:
    """One part in hand."""

    part_id: str
    recording: Recording
    writing: Writing
    preparations: Preparations
    failed: bool = False
    pictures: int = 0

    def did(self, milliseconds: int) -> None:
        before = self.preparations.progress[self.part_id]
        self.preparations.progress[self.part_id] = Progress(before.done_ms + milliseconds, before.total_ms)


async def prepare_all(database: Database, vault: Vault, clock: Clock, preparations: Preparations) -> int:
    """Prepare every part that waits, one after the other. Returns how many were done."""
    async with preparations.turn:
        async with database.reading() as session:
            if preparations.lost is None:
                preparations.lost = await asyncio.to_thread(_lost, vault, await queries.made(session))
            waiting = await queries.waiting(session, preparations.lost)
        return sum([await _try(database, vault, clock, preparations, part) for part in waiting])


def _lost(vault: Vault, made: list[tuple[str, str, int]]) -> set[str]:
    return {part_id for part_id, recording_id, part in made if not aside.path_of(vault.path(recording_id, part)).exists()}


async def _try(database: Database, vault: Vault, clock: Clock, preparations: Preparations, part: Waiting) -> bool:
    if preparations.not_before.get(part.part_id, 0.0) > clock.boottime():
        return False
    try:
        return await _prepare(database, vault, clock, preparations, part)
    except (KeyForgotten, EvidenceIsolated):
        return False  # it is being destroyed, or set apart
    except Exception as error:
        # A store that is away, a key that cannot be read: the others are not to wait for it. Without the traceback, because
        # its variables are keys and plain sound.
        log.error("preparation.failed", part=part.part_id, error=type(error).__name__)
        preparations.not_before[part.part_id] = clock.boottime() + RETRY_SECONDS
        return False
    finally:
        preparations.progress.pop(part.part_id, None)


async def _prepare(database: Database, vault: Vault, clock: Clock, preparations: Preparations, part: Waiting) -> bool:
    async with database.reading() as session:
        details = await recordings.recording(session, part.school_id, part.lesson_id)
    found = await _make(details, vault, preparations, part)
    path = vault.path(details.id, part.part)
    async with database.writing() as session:
        if await queries.is_destroyed(session, part.part_id) or vault.is_isolated(part.school_id, details.id):
            await asyncio.to_thread(aside.remove, path)
            return False
        if await queries.is_prepared(session, part.part_id):
            (preparations.lost or set()).discard(part.part_id)
            return True
        session.add(RecordingPreparation(
            part_id=part.part_id, school_id=part.school_id, prepared_at=clock.now(), pictures=found[0], problem=found[1],
        ))
        await publish(session, RecordingPrepared(
            recording_id=details.id, lesson_id=details.lesson_id, part=part.part, pictures=found[0], problem=found[1],
        ), system(part.school_id))
    return True


async def _make(details: RecordingDetails, vault: Vault, preparations: Preparations, part: Waiting) -> tuple[int, str]:
    """Write the file aside. (How many pictures, what went wrong in words.)"""
    view = next(each for each in details.parts if each.part == part.part)
    if view.has_nothing:
        return 0, rules.NOTHING_RECORDED
    path, making = vault.path(details.id, part.part), _Making(part_key(details, view, vault))
    preparations.making[details.id] = making
    try:
        recording = await _in_thread(Recording, vault.place(details.id, part.part), making.key)
        with recording, Writing(path, making.key, recording.header) as writing:
            work = _Work(part.part_id, recording, writing, preparations)
            making.recording, making.writing, making.task = recording, writing, asyncio.create_task(_decode(work))
            await _done(making.task)
            if making.is_forgotten:
                raise KeyForgotten()
    except NotARecording:
        return 0, rules.CANNOT_BE_READ
    finally:
        del preparations.making[details.id]
        making.forget()
    return work.pictures, rules.SOME_FAILED if work.failed else ""


async def _in_thread(call: Callable[..., T], *args: Any) -> T:
    """In a thread, and to its end also where this is cancelled: the files it uses are closed only then."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *args))
    try:
        return await asyncio.shield(running)
    finally:
        await asyncio.wait([running])


async def _done(task: "asyncio.Task[None]") -> None:
    """Until it is done or was cancelled; whoever cancels the waiting cancels it, and waits until its decoder is dead."""
    try:
        await asyncio.wait([task])
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _decode(work: _Work) -> None:
    jobs = list(_jobs(work.recording))
    work.preparations.progress[work.part_id] = Progress(0, sum(_length(clusters) for _, clusters in jobs))
    for track, clusters in jobs:
        await (_hear if track.codec == "opus" else _look)(work, track, clusters)
    await _in_thread(work.writing.finish)


def _jobs(recording: Recording) -> Iterator[tuple[TrackInfo, Sequence[Chunk]]]:
    """Speech first, because it is what a reviewer looks for; then pictures."""
    for track in sorted(recording.tracks.values(), key=lambda each: (each.codec != "opus", each.number)):
        if clusters := recording.clusters(track.number):
            yield track, clusters


def _length(clusters: Sequence[Chunk]) -> int:
    return sum(_span(cluster) for cluster in clusters)


def _span(cluster: Chunk) -> int:
    return max(20, min(1000, cluster.t_last - cluster.t_first + 20))


def _seconds(clusters: Sequence[Chunk]) -> int:
    return LEAST_SECONDS + SECONDS_A_MINUTE * _length(clusters) // 60_000


async def _hear(work: _Work, track: TrackInfo, clusters: Sequence[Chunk]) -> None:
    """When the person of this track spoke. What was found before a decoder died is kept."""
    scores: list[Scores] = []
    try:
        async with decoding("speech", _seconds(clusters)) as decoder:
            for numbers in _batches(range(len(clusters))):
                for piece in await _in_thread(_pieces, work, track.number, numbers):
                    at_ms, values = await decoder.decode(piece)
                    scores.append(Scores(at_ms, values))
                work.did(sum(_span(clusters[number]) for number in numbers))
    except DecoderDied:
        work.failed = True
    await _in_thread(work.writing.speech, track.number, rules.spoken(scores))


async def _look(work: _Work, track: TrackInfo, clusters: Sequence[Chunk]) -> None:
    """Small pictures of this track; they are pictures of some of its moments, so all of its time is done with the last."""
    chosen = rules.pictured(clusters)
    try:
        async with decoding("pictures", _seconds(clusters)) as decoder:
            for numbers in _batches(chosen):
                for piece in await _in_thread(_pieces, work, track.number, numbers):
                    at_ms, image = await decoder.decode(piece)
                    if image:
                        work.writing.picture(track.number, at_ms, image)
                        work.pictures += 1
                    work.failed = work.failed or not image
                work.did(_length(clusters) * len(numbers) // len(chosen))
    except DecoderDied:
        work.failed = True


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE))


def _pieces(work: _Work, track: int, numbers: Sequence[int]) -> list[bytes]:
    """The plain clusters; one that does not match its seal is left out, and the player says where."""
    found = []
    for number in numbers:
        try:
            found.append(work.recording.cluster(track, number))
        except ChunkDamaged:
            work.failed = True
    return found


async def forget(state: Any, event: Any) -> None:
    """A destroyed part keeps nothing beside it (after the commit of its destruction; safe to repeat)."""
    await asyncio.to_thread(aside.remove, state.vault.path(event.recording_id, event.part))
