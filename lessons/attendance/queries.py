"""Reading attendance, by those with business in it: the adults of a lesson, who teaches the pupil, leaders, the safeguarding
team and the office. For everybody else it does not exist (policy: AC3)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import rules as planning
from lessons.attendance import export, rules
from lessons.attendance.rules import Attendance, Correction, Entry, Window
from lessons.tables import AttendanceCorrection, JournalEntry, Lesson, LessonAdult
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, STAFF, Actor, Role
from service.people import queries as people
from service.people.profile import Profile
from service.people.queries import PersonView
from service.people.rules import sort_key
from service.people.tables import GroupMember

AUDIENCE = STAFF - {Role.TECHNICIAN}
SEE_ALL = LEADERS | SAFEGUARDING | {Role.OFFICE}
CORRECT_ALL = LEADERS | {Role.OFFICE}
OF_THE_ROOM = ("opened", "held", "ended")
READ = ("joined", "left", *OF_THE_ROOM)


@dataclass(frozen=True)
class CorrectionView:
    joined_at: datetime | None
    left_at: datetime | None
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True)
class Line:
    """One person in one lesson. `found`: what the journal says; `stands`: what holds after the corrections."""

    person: PersonView
    found: Attendance
    stands: Attendance
    corrections: tuple[CorrectionView, ...] = ()

    @property
    def is_corrected(self) -> bool:
        return bool(self.corrections)


@dataclass(frozen=True)
class LessonRecord:
    """A lesson as it was: planned and actual times, and a line for each pupil of the class and each adult who came."""

    id: str
    title: str
    group: str
    window: Window
    register: rules.Register
    pupils: tuple[Line, ...] = ()
    adults: tuple[Line, ...] = ()
    has_begun: bool = False
    is_over: bool = False
    may_correct: bool = False

    @property
    def came(self) -> int:
        return sum(line.stands.came for line in self.pupils)

    @property
    def was_held(self) -> bool:
        """Whether it opened at all: nobody missed a lesson that there was not."""
        return self.register.began is not None

    @property
    def pause_minutes(self) -> int:
        return rules.whole_minutes(rules.total(self.register.pauses))


@dataclass(frozen=True)
class PupilRecord:
    """One pupil's lessons, newest first. Each has the pupil as its only line."""

    pupil: PersonView
    lessons: tuple[LessonRecord, ...]

    @property
    def over(self) -> tuple[LessonRecord, ...]:
        return tuple(lesson for lesson in self.lessons if lesson.is_over)


@dataclass(frozen=True)
class _Found:
    """Everything stored about some lessons, read once. `breakouts`: the journals of the rooms that each was split into."""

    entries: Mapping[str, list[Entry]]
    breakouts: Mapping[str, list[list[Entry]]]
    corrections: Mapping[tuple[str, str], list[AttendanceCorrection]]
    classes: Mapping[str, list[PersonView]]
    groups: Mapping[str, str]
    people: Mapping[str, PersonView]


async def lesson_record(session: AsyncSession, actor: Actor, lesson_id: str) -> LessonRecord:
    """One lesson's attendance. Raises NotFound for whoever has no business in it."""
    lesson = await session.get(Lesson, lesson_id)
    if lesson is None or not await may_see(session, actor, lesson):
        raise NotFound()
    return (await _records(session, actor, [lesson]))[0]


async def may_see(session: AsyncSession, actor: Actor, lesson: Lesson) -> bool:
    if lesson.school_id != actor.school_id or lesson.status in ("waiting", "refused") or lesson.breakout_of is not None:
        return False
    return actor.is_any(SEE_ALL) or await _runs(session, actor, lesson.id)


async def may_correct(session: AsyncSession, actor: Actor, lesson: Lesson) -> bool:
    return lesson.school_id == actor.school_id and (actor.is_any(CORRECT_ALL) or await _runs(session, actor, lesson.id))


async def _runs(session: AsyncSession, actor: Actor, lesson_id: str) -> bool:
    """Whether somebody is an adult of the lesson on the school's side; guests are not (policy: AC7)."""
    part = (await session.exec(select(LessonAdult.part).where(
        LessonAdult.lesson_id == lesson_id, LessonAdult.person_id == actor.person_id
    ))).first()
    return part in ("teacher", "second", "cover")


async def lessons(session: AsyncSession, actor: Actor, limit: int = 60) -> list[LessonRecord]:
    """The lessons that have begun, newest first: everybody's for those who see all, else one's own."""
    now = session.info["clock"].now()
    own = select(LessonAdult.lesson_id).where(LessonAdult.person_id == actor.person_id, LessonAdult.part != "guest")
    rows = (await session.exec(select(Lesson).where(
        Lesson.school_id == actor.school_id, Lesson.status == "planned", col(Lesson.starts_at) <= now,
        col(Lesson.breakout_of).is_(None),
        *([] if actor.is_any(SEE_ALL) else [col(Lesson.id).in_(own)]),
    ).order_by(col(Lesson.starts_at).desc()).limit(limit))).all()
    return await _records(session, actor, list(rows))


async def pupil_record(session: AsyncSession, actor: Actor, pupil_id: str, limit: int = 60) -> PupilRecord:
    """One pupil's lessons: all for those who see all, else the ones that the reader ran. NotFound without any business."""
    pupil = await people.person(session, actor.school_id, pupil_id)
    if not pupil.is_child or not await may_open(session, actor, [pupil_id]):
        raise NotFound()
    groups = select(GroupMember.group_id).where(GroupMember.person_id == pupil_id, GroupMember.part == "pupil")
    journalled = select(func.coalesce(Lesson.breakout_of, Lesson.id)).join(
        JournalEntry, col(JournalEntry.lesson_id) == Lesson.id
    ).where(JournalEntry.person_id == pupil_id)
    own = select(LessonAdult.lesson_id).where(LessonAdult.person_id == actor.person_id, LessonAdult.part != "guest")
    rows = (await session.exec(select(Lesson).where(
        Lesson.school_id == actor.school_id, Lesson.status == "planned",
        col(Lesson.starts_at) <= session.info["clock"].now(),
        col(Lesson.breakout_of).is_(None),
        (col(Lesson.group_id).in_(groups) & (col(Lesson.pupil_id).is_(None) | (col(Lesson.pupil_id) == pupil_id)))
        | col(Lesson.id).in_(journalled),
        *([] if actor.is_any(SEE_ALL) else [col(Lesson.id).in_(own)]),
    ).order_by(col(Lesson.starts_at).desc()).limit(limit))).all()
    return PupilRecord(pupil, tuple(await _records(session, actor, list(rows), only=pupil_id)))


async def of_child(session: AsyncSession, school_id: str, child_id: str, rows: list[Lesson]) -> list[LessonRecord]:
    """The records of these lessons with one child as their only line, for whoever was asked whether they may see the child."""
    found, profile = await _read(session, school_id, rows, child_id), await people.profile(session, school_id)
    now = session.info["clock"].now()
    return [_record(row, found, profile, now, False, child_id) for row in rows]


async def of_lessons(session: AsyncSession, school_id: str, rows: list[Lesson]) -> list[LessonRecord]:
    """The records of these lessons, for the service itself: whoever shows them asks who may see them."""
    found, profile = await _read(session, school_id, rows), await people.profile(session, school_id)
    now = session.info["clock"].now()
    return [_record(row, found, profile, now, False, "") for row in rows]


async def may_open(session: AsyncSession, actor: Actor, pupil_ids: Iterable[str]) -> frozenset[str]:
    """Of these pupils, those whose record this person may open: all for those who see all, else whom they teach in a class. Who
    ran one lesson, as cover or as a second adult, has that lesson's record and no pupil's."""
    if actor.is_any(SEE_ALL):
        return frozenset(pupil_ids)
    taught = select(GroupMember.group_id).where(GroupMember.person_id == actor.person_id, GroupMember.part == "teacher")
    found = await session.exec(select(GroupMember.person_id).where(
        GroupMember.school_id == actor.school_id, col(GroupMember.person_id).in_(list(pupil_ids)), GroupMember.part == "pupil",
        col(GroupMember.group_id).in_(taught),
    ))
    return frozenset(found.all())


async def _records(session: AsyncSession, actor: Actor, rows: list[Lesson], only: str = "") -> list[LessonRecord]:
    """The records of some lessons; with `only`, of one pupil in them."""
    found = await _read(session, actor.school_id, rows, only)
    profile = await people.profile(session, actor.school_id)
    now = session.info["clock"].now()
    return [_record(row, found, profile, now, await may_correct(session, actor, row), only) for row in rows]


def _record(row: Lesson, found: _Found, profile: Profile, now: datetime, may_correct: bool, only: str) -> LessonRecord:
    doors = planning.doors(row.starts_at, row.ends_at, profile)
    window = Window(doors.staff_from, row.starts_at, row.ends_at, doors.until)
    register = rules.register(found.entries.get(row.id, []), window, now, found.breakouts.get(row.id, []))
    here = [found.people[person] for person in register.people if person in found.people]
    planned = [view for view in found.classes[row.group_id] if row.pupil_id in (None, view.id)]
    expected = {view.id: view for view in (*planned, *here) if view.is_child and only in ("", view.id)}
    adults = [view for view in here if not view.is_child and not only]
    pupils = sorted(expected.values(), key=lambda view: sort_key(view.full_name))
    return LessonRecord(
        row.id, row.title, found.groups[row.group_id], window, register,
        tuple(_line(view, row, register, window, found) for view in pupils),
        tuple(_line(view, row, register, window, found) for view in adults),
        has_begun=now >= row.starts_at, is_over=register.ended is not None or now >= window.hard_end, may_correct=may_correct,
    )


def _line(person: PersonView, lesson: Lesson, register: rules.Register, window: Window, found: _Found) -> Line:
    own = register.people.get(person.id, Attendance(person.id))
    rows = found.corrections.get((lesson.id, person.id), [])
    stands = rules.corrected(
        own, [Correction(r.joined_at, r.left_at, r.reason, r.made_by, r.made_at) for r in rows], window
    )
    views = tuple(CorrectionView(r.joined_at, r.left_at, r.reason, _name(found.people, r.made_by), r.made_at) for r in rows)
    return Line(person, own, stands, views)


def _name(known: Mapping[str, PersonView], person_id: str) -> str:
    return known[person_id].name if person_id in known else "Chaperone"


async def _read(session: AsyncSession, school_id: str, rows: list[Lesson], only: str = "") -> _Found:
    """What is written of these lessons; with `only`, of one person and of the rooms themselves: a month of a class is long."""
    ids = [row.id for row in rows]
    rooms = dict((await session.exec(
        select(Lesson.id, Lesson.breakout_of).where(col(Lesson.breakout_of).in_(ids))
    )).all())
    entries: dict[str, list[Entry]] = {}
    for line in (await session.exec(select(JournalEntry).where(
        col(JournalEntry.lesson_id).in_([*ids, *rooms]), col(JournalEntry.kind).in_(READ),
        *([col(JournalEntry.kind).in_(OF_THE_ROOM) | (col(JournalEntry.person_id) == only)] if only else []),
    ).order_by(col(JournalEntry.seq)))).all():
        entries.setdefault(line.lesson_id, []).append(entry_of(line))
    corrections: dict[tuple[str, str], list[AttendanceCorrection]] = {}
    for row in (await session.exec(select(AttendanceCorrection).where(
        col(AttendanceCorrection.lesson_id).in_(ids)
    ).order_by(col(AttendanceCorrection.made_at)))).all():
        corrections.setdefault((row.lesson_id, row.person_id), []).append(row)
    today = session.info["clock"].now().date()
    classes = {g: await people.members(session, school_id, g, "pupil", today) for g in {row.group_id for row in rows}}
    groups = {group: (await people.group(session, school_id, group)).name for group in classes}
    breakouts: dict[str, list[list[Entry]]] = {}
    for room, main in rooms.items():
        breakouts.setdefault(str(main), []).append(entries.get(room, []))
    named = {entry.person_id for lines in entries.values() for entry in lines}
    named |= {row.made_by for found in corrections.values() for row in found}
    return _Found(entries, breakouts, corrections, classes, groups, await people.people(session, school_id, named - {""}))


def entry_of(line: JournalEntry) -> Entry:
    beside = str(json.loads(line.body).get("beside", "")) if line.kind == "joined" else ""
    return Entry(line.at, line.kind, line.person_id, "" if beside in ("nobody", "not answered") else beside)


def rows_of(records: Iterable[LessonRecord]) -> list[export.Row]:
    """The pupils of some lessons as they leave in a file."""
    return [
        export.Row(
            record.title, record.group, record.window.starts_at, line.person.full_name, line.stands.came,
            line.stands.joined_at, line.stands.left_at, line.stands.minutes, line.stands.minutes_open, line.stands.breaks,
            _minutes(line.stands.late), _minutes(line.stands.left_early), line.is_corrected,
        )
        for record in records for line in record.pupils
    ]


def _minutes(length: timedelta | None) -> int:
    return rules.whole_minutes(length.total_seconds()) if length else 0
