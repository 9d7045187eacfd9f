"""Reading notes and clips, always of one recording of one school."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.marks.tables import RecordingClip, RecordingNote


@dataclass(frozen=True)
class NoteView:
    id: str
    at_ms: int
    text: str
    concern: str
    person_id: str
    written_at: datetime


@dataclass(frozen=True)
class ClipView:
    """A range to be opened by `/recordings/{lesson}?clip={number}`, by whoever may watch it."""

    id: str
    recording_id: str
    number: int
    from_ms: int
    to_ms: int
    reason: str
    concern: str
    person_id: str
    made_at: datetime


async def notes(session: AsyncSession, recording_id: str) -> list[NoteView]:
    """In the order of the lesson."""
    rows = (await session.exec(
        select(RecordingNote).where(RecordingNote.recording_id == recording_id)
        .order_by(col(RecordingNote.at_ms), col(RecordingNote.written_at))
    )).all()
    return [NoteView(row.id, row.at_ms, row.text, row.concern, row.person_id, row.written_at) for row in rows]


async def clips(session: AsyncSession, recording_id: str) -> list[ClipView]:
    rows = (await session.exec(
        select(RecordingClip).where(RecordingClip.recording_id == recording_id).order_by(col(RecordingClip.number))
    )).all()
    return [_clip(row) for row in rows]


async def clip(session: AsyncSession, school_id: str, recording_id: str, number: int) -> ClipView | None:
    """One clip by the number that people know it by; None where the recording has none of it."""
    row = (await session.exec(select(RecordingClip).where(
        RecordingClip.school_id == school_id, RecordingClip.recording_id == recording_id, RecordingClip.number == number
    ))).first()
    return _clip(row) if row else None


async def next_number(session: AsyncSession, recording_id: str) -> int:
    last = (await session.exec(
        select(func.max(RecordingClip.number)).where(RecordingClip.recording_id == recording_id)
    )).one()
    return (last or 0) + 1


def _clip(row: RecordingClip) -> ClipView:
    return ClipView(
        row.id, row.recording_id, row.number, row.from_ms, row.to_ms, row.reason, row.concern, row.person_id, row.made_at
    )
