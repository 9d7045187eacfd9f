"""What families are told although nobody does anything at that moment: a child has not come, somebody watched (N5).

Worked out from what is true when it is told; a message is a row that can exist only once, so that a restart repeats nothing.
"""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from lessons.breakouts.family import ids_of
from lessons.family import commands, rules
from lessons.family.rules import News
from lessons.family.tables import FamilyMessage
from lessons.tables import JournalEntry, Lesson
from recordings.told import queries as views
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.people.tables import School

EVERY = 60.0
"""Seconds between two looks."""
FROM = time(8)
"""Views are told in the morning after: one notice for a day of them, and a concern that they led to hides them first."""
DAYS = 3
"""For how many days a view that was not told is still told, when the service was off."""


Due = list[tuple[str, str, str]]
"""(lesson or recording, child, day) of each thing that the child's family is told."""


async def sweep(database: Database, clock: Clock) -> int:
    """Tell every school's families but the self-test's. Returns how many children's were told."""
    now, told = clock.now(), 0
    async with database.reading() as session:
        schools = (await session.exec(select(School.id, School.zone).where(~col(School.is_self_test)))).all()
    for school_id, zone in schools:
        async with database.reading() as session:
            late = await _tellable(session, school_id, await missing(session, school_id, now))
            watched = await _tellable(session, school_id, await watched_before(session, school_id, now, ZoneInfo(zone)))
        for lesson_id, child_id, _ in late:
            async with database.writing() as session:
                await commands.tell_of_absence(session, school_id, lesson_id, child_id)
        for recording_id, child_id, day in watched:
            async with database.writing() as session:
                await commands.tell_of_views(session, school_id, recording_id, child_id, day)
        told += len(late) + len(watched)
    return told


async def missing(session: AsyncSession, school_id: str, now: datetime) -> Due:
    """The children who may be in a lesson that has been on for some minutes, and whom it has not seen."""
    since = now - rules.STILL_NEWS
    rows = (await session.exec(select(Lesson).where(
        Lesson.school_id == school_id, Lesson.status == "planned", col(Lesson.breakout_of).is_(None),
        col(Lesson.started_at).is_not(None), col(Lesson.ended_at).is_(None), Lesson.ends_at > now,
        or_(Lesson.starts_at > since, col(Lesson.started_at) > since)))).all()
    told, found = await _told(session, school_id, News.NOT_JOINED, since), []
    for row in rows:
        if row.started_at is not None and rules.is_late(row.starts_at, row.started_at, now):
            here = set((await session.exec(select(JournalEntry.person_id).where(
                col(JournalEntry.lesson_id).in_(ids_of(row.id)), JournalEntry.kind == "joined"))).all())
            expected = (await rosters.roster(session, row.id)).expected
            found += [(row.id, one.id, "") for one in expected if one.id not in here and (row.id, one.id) not in told]
    return found


async def watched_before(session: AsyncSession, school_id: str, now: datetime, zone: ZoneInfo) -> Due:
    """The children in recordings that somebody watched on one of the days before this one."""
    local = now.astimezone(zone)
    if local.time() < FROM:
        return []
    midnight = datetime.combine(local.date(), time(), zone).astimezone(now.tzinfo)
    seen = await views.told_between(session, school_id, midnight - timedelta(days=DAYS), midnight)
    told = await _told(session, school_id, News.WATCHED, midnight - timedelta(days=DAYS))
    due = {(recording, child, at.astimezone(zone).date().isoformat()) for recording, child, at in seen}
    return sorted(one for one in due if (f"{one[0]} {one[2]}", one[1]) not in told)


async def _told(session: AsyncSession, school_id: str, kind: News, since: datetime) -> set[tuple[str, str]]:
    """(what it is about, child) of the messages of one kind."""
    return set((await session.exec(select(FamilyMessage.about, FamilyMessage.child_id).where(
        FamilyMessage.school_id == school_id, FamilyMessage.kind == kind, FamilyMessage.made_at >= since).distinct())).all())


async def _tellable(session: AsyncSession, school_id: str, due: Due) -> Due:
    """Without the children of whom nobody may be told: what is due for them stays due, and would be written for nobody."""
    pairs = await commands.families(session, school_id, {child for _, child, _ in due}) if due else set()
    children = {child for _, child in pairs}
    return [one for one in due if one[1] in children]
