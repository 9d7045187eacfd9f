"""Knowing why a child was away, and telling leadership of one whose family nobody reached in time (policy: RC2)."""

from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.engagement import queries
from lessons.engagement.events import AbsenceExplained, LeadershipToldOfAbsence
from lessons.engagement.queries import Row
from lessons.engagement.rules import REASONS
from lessons.engagement.tables import KnownAbsence, LeadershipTold
from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import LEADERS, Actor, system
from service.people import queries as people
from service.people import telephones
from service.people.tables import School


async def explain(session: AsyncSession, actor: Actor, lesson_id: str, child_id: str, *, reason: str, words: str,
                  now: datetime) -> None:
    """“I know why”: by whoever has business in the lesson. The lesson then counts neither for nor against the child."""
    _record, away = await queries.absent(session, actor, lesson_id)
    if child_id not in {one.id for one in away}:
        raise NotFound()
    said = " ".join(words.split())
    wrong = {}
    if reason not in REASONS:
        wrong["reason"] = "Choose why"
    if reason == "other" and not said:
        wrong["words"] = "Say what it is"
    if len(said) > 500 or telephones.is_in(said):
        wrong["words"] = "Use 500 letters or fewer, and leave telephone numbers out"
    if wrong:
        raise Invalid(fields=wrong)
    session.add(KnownAbsence(school_id=actor.school_id, lesson_id=lesson_id, child_id=child_id, reason=reason, words=said,
                             noted_by=actor.person_id, noted_at=now))
    await publish(session, AbsenceExplained(child_id, lesson_id, reason), actor)


async def tell_leadership(state: Any) -> int:
    """Once for each row of missed lessons that nobody answered in time; on the worklist, and by a mail. Returns how many."""
    async with state.database.reading() as session:
        schools = (await session.exec(select(School.id).where(~col(School.is_self_test)))).all()
    told = 0
    for school_id in schools:
        async with state.database.reading() as session:
            due = [row for row in await queries.of_school(session, school_id) if row.is_late and row.told_at is None]
        for row in due:
            async with state.database.writing() as session:
                told += await _tell(session, school_id, row, state.clock.now())
    return told


async def _tell(session: AsyncSession, school_id: str, row: Row, now: datetime) -> int:
    since = row.missing.since.isoformat()
    if (await session.exec(select(LeadershipTold.id).where(
            LeadershipTold.child_id == row.child_id, LeadershipTold.since == since))).first() is not None:
        return 0
    one = LeadershipTold(school_id=school_id, child_id=row.child_id, since=since, told_at=now)
    session.add(one)
    await session.flush()
    await publish(session, LeadershipToldOfAbsence(row.child_id, one.id, since), system(school_id))
    leaders = [person.id for person in await people.holders(session, school_id, LEADERS)]
    zone = (await people.school(session, school_id)).zone
    await mail.queue(session, school_id=school_id, people=leaders, text="N5", about=one.id, now=now, zone=zone)
    return 1
