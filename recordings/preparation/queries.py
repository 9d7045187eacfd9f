"""Which parts are still to be prepared, and what became of the others."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending.tables import Destruction
from recordings.preparation import rules
from recordings.preparation.tables import RecordingPreparation
from recordings.tables import Recording, RecordingKey, RecordingPart


@dataclass(frozen=True)
class Waiting:
    """A sealed part of a recording that ended, not prepared yet."""

    part_id: str
    part: int
    school_id: str
    lesson_id: str


@dataclass(frozen=True)
class Prepared:
    """`waiting`: the ids of parts to come; `problems`: what could not be made of the others."""

    waiting: tuple[str, ...]
    problems: tuple[str, ...]


async def waiting(session: AsyncSession, lost: Collection[str] = ()) -> list[Waiting]:
    """Of every school, what ended first comes first. `lost`: the ids of parts that were prepared, and are to be once more.

    This question is the whole queue: nothing else says what is to be done.
    """
    rows = await session.exec(
        select(RecordingPart.id, RecordingPart.part, Recording.school_id, Recording.lesson_id)
        .join(Recording, col(Recording.id) == RecordingPart.recording_id)
        .join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .where(
            Recording.outcome != "", RecordingPart.manifest != "", col(RecordingKey.destroyed_at).is_(None),
            col(Recording.id).not_in(select(Destruction.recording_id)),
            or_(col(RecordingPart.id).not_in(select(RecordingPreparation.part_id)), col(RecordingPart.id).in_(lost)),
        ).order_by(col(Recording.ended_at), col(RecordingPart.part))
    )
    return [Waiting(*row) for row in rows.all()]


async def made(session: AsyncSession) -> list[tuple[str, str, int]]:
    """(id, recording, part) of every part that has a key and should have a file beside it."""
    rows = await session.exec(
        select(RecordingPart.id, RecordingPart.recording_id, RecordingPart.part)
        .join(RecordingPreparation, col(RecordingPreparation.part_id) == RecordingPart.id)
        .join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .where(col(RecordingKey.destroyed_at).is_(None), col(RecordingPreparation.problem).not_in(rules.NOTHING_MADE))
    )
    return list(rows.all())


async def is_prepared(session: AsyncSession, part_id: str) -> bool:
    return await session.get(RecordingPreparation, part_id) is not None


async def is_destroyed(session: AsyncSession, part_id: str) -> bool:
    key = await session.get(RecordingKey, part_id)
    return key is None or key.destroyed_at is not None


async def prepared(session: AsyncSession, recording_id: str) -> Prepared:
    rows = (await session.exec(
        select(RecordingPart.id, RecordingPreparation.problem, RecordingPreparation.part_id)
        .join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .join(RecordingPreparation, col(RecordingPreparation.part_id) == RecordingPart.id, isouter=True)
        .where(RecordingPart.recording_id == recording_id, col(RecordingKey.destroyed_at).is_(None))
        .order_by(col(RecordingPart.part))
    )).all()
    return Prepared(
        tuple(part_id for part_id, _, done in rows if done is None),
        tuple(dict.fromkeys(problem for _, problem, _ in rows if problem)),
    )
