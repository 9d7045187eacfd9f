"""From the audit into the review queue: near misses, one-to-ones that took place, incomplete recordings (policy: RC1, RL1).

It reads the audit from where it stopped, and works out each lesson again from its journal. What it found is written one by one,
for the school's other writers wait meanwhile, and then where it stands: a crash loses nothing, and read again, even from the
beginning, it finds nothing twice.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.adults import took_part
from lessons.attention import near_misses
from lessons.live.facts import RoomJournalled, RoomOpened
from lessons.tables import JournalEntry, Lesson
from recordings.events import RecordingEnded
from service.foundation.audit import AuditBody, AuditLeaf
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import NotFound
from service.people import queries as people
from service.people.tables import School
from service.safeguarding import commands as safeguarding
from service.safeguarding.approvals import queries as approved
from service.safeguarding.rules import Kind
from service.safeguarding.tables import ReviewProgress

EVERY = 3.0
"""Seconds between two looks."""
BATCH = 100
"""Entries in one look."""
KINDS = tuple(kind.__name__ for kind in (RoomJournalled, RoomOpened, RecordingEnded))
TELLING = ("opened", "held", "ended", "chat-held")


@dataclass(frozen=True)
class _Read:
    """An entry of the audit. `body`: what it says; empty once it was erased."""

    seq: int
    kind: str
    lesson_id: str
    at: datetime
    body: dict[str, object]


@dataclass(frozen=True)
class _Found:
    """What somebody must review: one item a `source`, however often it is found."""

    school_id: str
    kind: Kind
    source: str
    lesson_id: str
    place: str
    present: frozenset[str]
    times: int
    words: str


async def sweep(database: Database, clock: Clock) -> int:
    """Read everything that is new. Returns how many entries were."""
    read = 0
    while entries := await _new(database):
        for lesson_id in dict.fromkeys(entry.lesson_id for entry in entries):
            async with database.reading() as session:
                found = await _look_at(session, lesson_id, [entry for entry in entries if entry.lesson_id == lesson_id])
            for one in found:
                async with database.writing() as session:
                    await safeguarding.find(session, **vars(one), now=clock.now())
        async with database.writing() as session:
            await session.merge(ReviewProgress(seq=entries[-1].seq))
        read += len(entries)
    return read


async def _new(database: Database) -> list[_Read]:
    async with database.reading() as session:
        stands = await session.get(ReviewProgress, 1)
        rows = (await session.exec(
            select(AuditLeaf, AuditBody.body).join(AuditBody, col(AuditBody.seq) == AuditLeaf.seq, isouter=True)
            .where(AuditLeaf.seq > (stands.seq if stands else -1), col(AuditLeaf.kind).in_(KINDS))
            .order_by(col(AuditLeaf.seq)).limit(BATCH)
        )).all()
    return [_Read(leaf.seq, leaf.kind, leaf.lesson_id, datetime.fromisoformat(leaf.at), json.loads(body or "{}"))
            for leaf, body in rows]


async def _look_at(session: AsyncSession, lesson_id: str, entries: Sequence[_Read]) -> list[_Found]:
    """One lesson, of which something new was read."""
    lesson = await session.get(Lesson, lesson_id)
    if lesson is None or (await session.get_one(School, lesson.school_id)).is_self_test:
        return []
    seen: list[tuple[Kind, str, int, str]] = []
    kinds = {entry.kind for entry in entries}
    if kinds & {RoomJournalled.__name__, RoomOpened.__name__}:
        for one in near_misses.of_journal(await _journal(session, lesson_id)):
            seen.append((one.kind, f"{one.kind}:{lesson_id}", one.times, one.words))
    for entry in entries:
        if entry.kind == RoomOpened.__name__:
            seen += await _one_to_ones(session, lesson, entry)
        elif entry.kind == RecordingEnded.__name__ and entry.body.get("outcome") == "incomplete":
            words = f"The recording is incomplete: {entry.body.get('reason', '')}."
            seen.append((Kind.RECORDING, f"recording:{lesson_id}", 1, words))
    if not seen:
        return []
    place, present = await _place(session, lesson), await took_part(session, lesson_id)
    return [_Found(lesson.school_id, kind, source, lesson_id, place, present, times, words)
            for kind, source, times, words in seen]


async def _journal(session: AsyncSession, lesson_id: str) -> list[near_misses.Entry]:
    rows = (await session.exec(select(JournalEntry).where(
        JournalEntry.lesson_id == lesson_id, col(JournalEntry.kind).in_(TELLING)).order_by(col(JournalEntry.seq)))).all()
    return [near_misses.Entry(row.kind, tuple(json.loads(row.body).get("reasons", ()))) for row in rows]


async def _one_to_ones(session: AsyncSession, lesson: Lesson, opened: _Read) -> list[tuple[Kind, str, int, str]]:
    """An approved pair was there when the room opened: each approval is reviewed once, beside its recording."""
    seen = []
    inside = set(str(opened.body.get("people", "")).split())
    for given in await approved.of_lessons(session, lesson.school_id, [lesson.id]):
        approval = given.approval
        if {approval.parties.adult, approval.parties.child} <= inside and approval.starts_at <= opened.at < approval.ends_at:
            ids = (approval.parties.adult, approval.parties.child, approval.approver)
            found = await people.people(session, lesson.school_id, ids)
            adult, child, approver = (found[each].name if each in found else "Somebody" for each in ids)
            words = f"{adult} with {child}, approved by {approver}. The recording has all of it."
            seen.append((Kind.ONE_TO_ONE, f"one-to-one:{approval.id}", 1, words))
    return seen


async def _place(session: AsyncSession, lesson: Lesson) -> str:
    try:
        return f"{lesson.title}, {(await people.group(session, lesson.school_id, lesson.group_id)).name}"
    except NotFound:
        return lesson.title


async def of_lesson(session: AsyncSession, school_id: str, lesson_id: str) -> tuple[str, frozenset[str]]:
    """(Where, its adults) of a lesson that a concern comes from; nothing of one that is not this school's."""
    lesson = await session.get(Lesson, lesson_id) if lesson_id else None
    if lesson is None or lesson.school_id != school_id:
        return "", frozenset()
    return await _place(session, lesson), await took_part(session, lesson_id)
