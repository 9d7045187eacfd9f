"""Who misses lessons, who has to be contacted by when, and who was (policy: RC2)."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.attendance import queries as attendance
from lessons.attendance.queries import LessonRecord, Line
from lessons.engagement import rules
from lessons.engagement.rules import Missing
from lessons.engagement.tables import KnownAbsence, LeadershipTold
from lessons.tables import Lesson, LessonAdult
from service.calls import queries as calls
from service.foundation.events import Actor
from service.people import queries as people
from service.people import school_days
from service.people.rules import sort_key
from service.people.tables import GroupMember

AROUND = timedelta(days=14)
BACK, LESSONS = timedelta(days=28), 20
"""How far back a row of missed lessons is looked for, and in how many of a class: a class at a time, so that no lesson that is
on waits for all of it (goal G3)."""


async def has_lessons_with(session: AsyncSession, adult_id: str, child_id: str) -> bool:
    """Whether an adult is on the roster of a lesson with this child, within two weeks of now: guests are not (policy: AC7)."""
    now = session.info["clock"].now()
    groups = select(GroupMember.group_id).where(GroupMember.person_id == child_id, GroupMember.part == "pupil")
    found = await session.exec(select(Lesson.id).join(LessonAdult, col(LessonAdult.lesson_id) == Lesson.id).where(
        LessonAdult.person_id == adult_id, col(LessonAdult.part).in_(("teacher", "second", "cover")),
        col(Lesson.group_id).in_(groups), col(Lesson.pupil_id).is_(None) | (col(Lesson.pupil_id) == child_id),
        Lesson.status == "planned", Lesson.starts_at > now - AROUND, Lesson.starts_at < now + AROUND,
    ).limit(1))
    return found.first() is not None


# -- one lesson ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Absent:
    """A pupil who was not there, or hardly. `known`: why, if somebody knows; `reached_at`: the last contact with the family;
    `is_late`: leadership was told, and nobody spoke to them since."""

    line: Line
    known: str
    reached_at: datetime | None
    is_late: bool

    @property
    def id(self) -> str:
        return self.line.person.id


def was_away(line: Line, record: LessonRecord) -> bool:
    """Whether somebody did not join, or was there for less than half of it."""
    return not line.stands.came or line.stands.minutes * 120 < (record.window.ends_at - record.window.starts_at).total_seconds()


async def absent(session: AsyncSession, actor: Actor, lesson_id: str) -> tuple[LessonRecord, list[Absent]]:
    """The pupils who were away from one lesson. Raises NotFound for whoever has no business in it."""
    record = await attendance.lesson_record(session, actor, lesson_id)
    away = [line for line in record.pupils if was_away(line, record)] if record.has_begun else []
    ids = [line.person.id for line in away]
    reached = await calls.last_reached(session, actor.school_id, ids)  # what is late is late for everybody
    shown = await calls.last_reached(session, actor.school_id, ids, actor)
    known = await _known(session, [lesson_id])
    told = dict((await session.exec(select(LeadershipTold.child_id, func.max(LeadershipTold.told_at)).where(
        col(LeadershipTold.child_id).in_(ids)).group_by(col(LeadershipTold.child_id)))).all())
    return record, [Absent(
        line, known.get((lesson_id, line.person.id), ""), shown.get(line.person.id),
        line.person.id in told and not (line.person.id in reached and reached[line.person.id] > told[line.person.id]),
    ) for line in away]


async def _known(session: AsyncSession, lesson_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    rows = (await session.exec(select(KnownAbsence).where(
        col(KnownAbsence.lesson_id).in_(list(lesson_ids))).order_by(col(KnownAbsence.noted_at)))).all()
    return {(row.lesson_id, row.child_id): row.reason for row in rows}


# -- everybody ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A child on the worklist."""

    child_id: str
    name: str
    group: str
    missing: Missing
    told_at: datetime | None
    is_late: bool


async def worklist(session: AsyncSession, actor: Actor) -> list[Row]:
    """The children who do not engage: everybody's for those who see all, else those whom the actor teaches; the latest first."""
    found = await of_school(session, actor.school_id)
    if actor.is_any(attendance.SEE_ALL):
        return found
    return [row for row in found if await people.teaches(session, actor.person_id, row.child_id)]


async def of_school(session: AsyncSession, school_id: str) -> list[Row]:
    now: datetime = session.info["clock"].now()
    zone = ZoneInfo((await people.school(session, school_id)).zone)
    over = (Lesson.school_id == school_id, Lesson.status == "planned", Lesson.ends_at <= now, Lesson.starts_at > now - BACK,
            col(Lesson.breakout_of).is_(None), col(Lesson.pupil_id).is_(None))
    lessons: dict[str, list[tuple[datetime, rules.Lesson]]] = {}
    groups: dict[str, tuple[str, str]] = {}
    for group_id in (await session.exec(select(Lesson.group_id).where(*over).distinct())).all():
        rows = (await session.exec(select(Lesson).where(*over, Lesson.group_id == group_id).order_by(
            col(Lesson.starts_at).desc()).limit(LESSONS))).all()
        await _add(session, school_id, list(rows), lessons, groups)
        await asyncio.sleep(0)
    stands = {child: [(at.astimezone(zone).date(), how) for at, how in sorted(found, reverse=True)]
              for child, found in lessons.items()}
    return await _rows(session, school_id, stands, groups, now, zone)


async def _add(session: AsyncSession, school_id: str, rows: list[Lesson], lessons: dict[str, list[tuple[datetime, rules.Lesson]]],
               groups: dict[str, tuple[str, str]]) -> None:
    """How some lessons of one class stand for each of its children."""
    records = [one for one in await attendance.of_lessons(session, school_id, rows) if one.is_over and one.was_held]
    known = await _known(session, [one.id for one in records])
    for record in records:
        for line in record.pupils:
            child = line.person.id
            excused = (record.id, child) in known
            how = rules.Lesson.CAME if not was_away(line, record) else rules.Lesson.EXCUSED if excused else rules.Lesson.MISSED
            lessons.setdefault(child, []).append((record.window.starts_at, how))
            groups.setdefault(child, (line.person.full_name, record.group))


async def _rows(session: AsyncSession, school_id: str, stands: dict[str, list[tuple[date, rules.Lesson]]],
                groups: dict[str, tuple[str, str]], now: datetime, zone: ZoneInfo) -> list[Row]:
    profile, days = await people.profile(session, school_id), await school_days.school_days(session, school_id)
    reached = await calls.last_reached(session, school_id, stands)
    told: dict[str, list[LeadershipTold]] = {}
    for each in (await session.exec(select(LeadershipTold).where(
            LeadershipTold.school_id == school_id, col(LeadershipTold.child_id).in_(list(stands))))).all():
        told.setdefault(each.child_id, []).append(each)
    found = []
    for child, lessons in stands.items():
        one = rules.missing(lessons, least=profile.missed_lessons, contact_days=profile.contact_days, school_day_after=days.after,
                            reached_at=reached.get(child), zone_day=lambda at: at.astimezone(zone).date())
        if one is not None:
            name, group = groups[child]
            at = max((each.told_at for each in told.get(child, ()) if each.since == one.since.isoformat()
                      or each.told_at.astimezone(zone).date() > one.since), default=None)
            found.append(Row(child, name, group, one, at, one.is_late(now.astimezone(zone).date())))
    return sorted(found, key=lambda row: (row.missing.reached_at is not None, row.missing.contact_by, sort_key(row.name)))
