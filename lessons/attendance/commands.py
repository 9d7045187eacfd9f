"""Adding to what the journal says, with a name and a reason. The journal stays as it is (policy: RL9)."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.attendance import queries, rules
from lessons.attendance.events import AttendanceCorrected, AttendanceExported
from lessons.tables import AttendanceCorrection, Lesson
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import NotFound
from service.foundation.events import Actor


async def correct(
    session: AsyncSession, actor: Actor, *, lesson_id: str, person_id: str, joined_at: datetime | None, left_at: datetime | None,
    reason: str, now: datetime,
) -> None:
    """Say when a pupil was really there; both times None: they were not. Raises Invalid for what could not have happened."""
    record = await queries.lesson_record(session, actor, lesson_id)
    lesson = await session.get_one(Lesson, lesson_id)
    if not await queries.may_correct(session, actor, lesson) or person_id not in {line.person.id for line in record.pupils}:
        raise NotFound()
    rules.check_correction(joined_at, left_at, reason, record.window)
    row = AttendanceCorrection(
        id=new_id(), school_id=actor.school_id, lesson_id=lesson_id, person_id=person_id, joined_at=joined_at, left_at=left_at,
        reason=reason.strip()[:500], made_by=actor.person_id, made_at=now,
    )
    session.add(row)
    await publish(session, AttendanceCorrected(person_id, lesson_id, row.id), actor)


async def exported(session: AsyncSession, actor: Actor, *, lesson_id: str, rows: int) -> None:
    """Keep that somebody took a copy away."""
    await publish(session, AttendanceExported(lesson_id, rows), actor)
