"""Timetables and lessons as each person may see them: SQL in, frozen dataclasses out, scoped by who asks.

Nobody learns from here why a pupil cannot join; a lesson one has no business with does not exist (policy: AC3).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from lessons import roster as rosters
from lessons import rules
from lessons.guests import queries as guests
from lessons.roster import Adult, Roster
from lessons.tables import JournalEntry, Lesson, LessonAdult, LessonLink, WordListVersion
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor
from service.foundation.kept import kept
from service.people import queries as people
from service.people.profile import Profile
from service.people.tables import GroupMember, Guardianship, TeachingGroup
from service.safeguarding.approvals import queries as approvals

SEE_ALL = LEADERS | SAFEGUARDING


@dataclass(frozen=True)
class Card:
    """One lesson in a list."""

    id: str
    title: str
    group: str
    group_id: str
    series_id: str | None
    starts_at: datetime
    ends_at: datetime
    stage: rules.Stage
    adults: tuple[Adult, ...]
    pupils: int
    can_join: int
    to_preview: int
    staff_from: datetime
    pupils_from: datetime
    until: datetime
    moved_from: datetime | None = None
    planned_by: str = ""
    decision_reason: str = ""
    asked_because: str = ""
    outside: tuple[str, ...] = ()
    pupil_id: str = ""
    """Of a one-to-one, its pupil."""

    @property
    def teacher(self) -> str:
        """Who runs it, as families and pupils read it."""
        return self.adults[0].name if self.adults else "no teacher yet"

    @property
    def is_covered(self) -> bool:
        """Whether another adult than planned runs it."""
        return any(adult.part == "cover" for adult in self.adults)

    def is_going(self, now: datetime) -> bool:
        """Whether staff have reason to go to its room."""
        return self.stage in (rules.Stage.PLANNED, rules.Stage.OPEN) and self.staff_from <= now < self.until


@dataclass(frozen=True)
class Alone:
    """What a family is told of an approved one-to-one: who is alone with their child, when, why, and who said yes."""

    adult: str
    approver: str
    why: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class PupilCard:
    """One lesson as a pupil, or the pupil's family, may see it: no other pupil, no reason. `alone` is for families."""

    lesson: Card
    may_join: bool
    joined_at: datetime | None = None
    alone: Alone | None = None

    def is_open_to(self, now: datetime) -> bool:
        going = self.lesson.stage in (rules.Stage.PLANNED, rules.Stage.OPEN)
        return self.may_join and going and self.lesson.pupils_from <= now < self.lesson.until


@dataclass(frozen=True)
class ChildDays:
    """One child's lessons in a parent's timetable."""

    child_id: str
    name: str
    lessons: tuple[PupilCard, ...]


@dataclass(frozen=True)
class Today:
    """A member of staff's day: their own lessons, and for leaders and safeguarding leads everybody else's."""

    own: tuple[Card, ...]
    others: tuple[Card, ...] = ()

    @property
    def to_preview(self) -> tuple[Card, ...]:
        return tuple(card for card in self.own if card.to_preview)


@dataclass(frozen=True)
class ToCome(Today):
    """The next lessons after a day, as many as were asked for. `has_more`: of either list there are others."""

    has_more: bool = False


@dataclass(frozen=True)
class LessonView:
    """A lesson for one person. `part` is theirs in it: `teacher`, `cover`, `second`, `guest`, `leader` or `pupil`; `planner`
    for one who planned it and is not in it.
    """

    card: Card
    roster: Roster
    part: str
    may_take_part: bool
    may_change: bool
    doors: rules.Doors

    @property
    def is_staff(self) -> bool:
        return self.part != "pupil"

    def is_at_the_door(self, now: datetime) -> bool:
        """Whether this person sees the room's page: on the roster, within the window of a lesson that stands."""
        if self.part == "planner":
            return False
        opens = self.doors.staff_from if self.is_staff else self.doors.pupils_from
        return self.card.stage in (rules.Stage.PLANNED, rules.Stage.OPEN) and opens <= now < self.doors.until


@dataclass(frozen=True)
class Waiting:
    """What senior leaders are shown: lessons waiting for one of them, and those that the rules approved."""

    waiting: tuple[Card, ...]
    by_rule: tuple[Card, ...]


def _is_lesson() -> Any:
    """A breakout room is found from its lesson: lists and timetables hold lessons."""
    return col(Lesson.breakout_of).is_(None)


_EARLIEST = col(Lesson.starts_at), col(Lesson.title)


def day_bounds(day: date, zone: str, days: int = 1) -> tuple[datetime, datetime]:
    """The moments at which `day` begins in the school's zone and `days` later ends."""
    return rules.moment(day, time(), zone), rules.moment(day + timedelta(days), time(), zone)


def local_day(now: datetime, zone: str) -> date:
    """The day that it is at the school."""
    return now.astimezone(ZoneInfo(zone)).date()


async def today(session: AsyncSession, actor: Actor, day: date) -> Today:
    """The lessons of one day, earliest first."""
    school = await people.school(session, actor.school_id)
    bounds = day_bounds(day, school.zone)
    cards = await _cards(session, actor.school_id, *_between(*bounds), _is_lesson())
    cards += await _cards(session, actor.school_id, *_between(*bounds), col(Lesson.id).in_(_helped(actor.person_id)))
    own = tuple(card for card in cards if any(adult.id == actor.person_id for adult in card.adults))
    others = tuple(card for card in cards if card not in own) if actor.is_any(SEE_ALL) else ()
    return Today(own, others)


async def to_come(session: AsyncSession, actor: Actor, day: date, limit: int) -> ToCome:
    """The next lessons after `day` that somebody runs, helps in or planned, also those that wait for a senior leader or were
    refused; and for leaders and safeguarding leads everybody else's. At most `limit` of each."""
    school = await people.school(session, actor.school_id)
    mine = col(Lesson.id).in_(_run_by(actor.person_id)) | (col(Lesson.planned_by) == actor.person_id)
    ahead = (Lesson.starts_at >= day_bounds(day, school.zone)[1], col(Lesson.status).in_(("planned", "waiting", "refused")),
             _is_lesson())
    own = await _cards(session, actor.school_id, *ahead, mine, limit=limit + 1)
    others = await _cards(session, actor.school_id, *ahead, ~mine, limit=limit + 1) if actor.is_any(SEE_ALL) else []
    return ToCome(tuple(own[:limit]), tuple(others[:limit]), max(len(own), len(others)) > limit)


async def pupil_day(session: AsyncSession, actor: Actor, day: date, days: int = 1) -> tuple[PupilCard, ...]:
    """A pupil's own lessons of one day, or of several from it on."""
    school = await people.school(session, actor.school_id)
    return await _of_child(session, actor.school_id, actor.person_id, *day_bounds(day, school.zone, days))


async def family(session: AsyncSession, actor: Actor, day: date, days: int = 7) -> tuple[ChildDays, ...]:
    """The lessons of a parent's children, from `day` on. A child somebody must not be told about is not there (policy: CM1)."""
    school = await people.school(session, actor.school_id)
    children = await people.people(session, actor.school_id, await _children(session, actor),
                                   here_on=session.info["clock"].now().date())
    bounds = day_bounds(day, school.zone, days)
    untold = await approvals.not_to_be_told(session, actor.school_id, children)
    return tuple([
        ChildDays(child.id, child.name, await _told(session, actor.school_id, child.id, child.id in untold,
                                                    await _of_child(session, actor.school_id, child.id, *bounds)))
        for child in sorted(children.values(), key=lambda child: child.name)
    ])


async def _told(session: AsyncSession, school_id: str, child_id: str, is_unsafe: bool,
                cards: tuple[PupilCard, ...]) -> tuple[PupilCard, ...]:
    """Families are told of their child's one-to-ones, unless the DSL marked that telling them is unsafe (policy: RL1)."""
    if is_unsafe:
        return tuple(one for one in cards if not one.lesson.pupil_id)
    given = {
        one.approval.lesson_id: one
        for one in await approvals.of_lessons(session, school_id, [card.lesson.id for card in cards])
        if one.approval.parties.child == child_id and one.approval.revoked_at is None
    }
    names = await people.people(session, school_id, {p for one in given.values()
                                                     for p in (one.approval.parties.adult, one.approval.approver)})
    whys = await approvals.whys(session, [one.request_id for one in given.values()])
    return tuple(
        replace(card, alone=Alone(
            names[one.approval.parties.adult].name, names[one.approval.approver].name, whys[one.request_id],
            one.approval.starts_at, one.approval.ends_at,
        )) if (one := given.get(card.lesson.id)) else card
        for card in cards
    )


async def _children(session: AsyncSession, actor: Actor) -> list[str]:
    """Only those whom this adult may see here (policy: CM1)."""
    rows = await session.exec(select(Guardianship.child_id).where(
        Guardianship.school_id == actor.school_id, Guardianship.guardian_id == actor.person_id, *people.VISIBLE))
    return list(rows.all())


async def lesson_view(session: AsyncSession, actor: Actor, lesson_id: str, *, known: Roster | None = None) -> LessonView:
    """One lesson, for somebody who has business in it. Raises NotFound for everybody else. `known`: its roster, where it is."""
    roster = known or await rosters.roster(session, lesson_id)
    if roster.school_id != actor.school_id:
        raise NotFound()
    pupil, adult = roster.pupil(actor.person_id), roster.adult(actor.person_id)
    card = await _card_of(session, roster)
    part = adult.part if adult else "planner" if card.planned_by == actor.person_id else "pupil"
    if part == "pupil" and (pupil is None or roster.status in ("waiting", "refused")):
        raise NotFound()
    may = adult.is_cleared if adult else pupil is not None and pupil.may_take_part and pupil.id not in roster.removed
    may_change = actor.is_any(LEADERS) or part in ("teacher", "cover", "second", "planner")
    return LessonView(card, roster, part, may, may_change, rules.doors(roster.starts_at, roster.ends_at, roster.profile))


async def waiting(session: AsyncSession, actor: Actor, now: datetime) -> Waiting:
    """Lessons still to come that a senior leader decides about, and those approved by rule."""
    cards = await _cards(session, actor.school_id, Lesson.ends_at > now, col(Lesson.status).in_(("waiting", "planned")),
                         Lesson.decided_by == "", col(Lesson.pupil_id).is_(None), _is_lesson())
    held = tuple(card for card in cards if card.stage is rules.Stage.WAITING)
    return Waiting(held, tuple(card for card in cards if card not in held))


async def calendar(session: AsyncSession, school_id: str, person_id: str, since: datetime) -> list[Card]:
    """What one member of staff teaches, for their private feed."""
    return await _cards(session, school_id, Lesson.ends_at > since, col(Lesson.id).in_(_run_by(person_id)),
                        col(Lesson.status).in_(("planned", "cancelled")), _is_lesson())


def _run_by(person_id: str) -> "SelectOfScalar[str]":
    """The lessons on whose roster somebody is as an adult."""
    return select(LessonAdult.lesson_id).where(LessonAdult.person_id == person_id)


def _helped(person_id: str) -> "SelectOfScalar[str]":
    """The open breakout rooms of colleagues' lessons that somebody was named for: nothing else shows them the way there."""
    mine = _run_by(person_id)
    return select(Lesson.id).where(col(Lesson.id).in_(mine), col(Lesson.breakout_of).not_in(mine), col(Lesson.ended_at).is_(None))


def _between(start: datetime, end: datetime) -> tuple[object, ...]:
    return Lesson.starts_at >= start, Lesson.starts_at < end


_OF_CHILD = select(Lesson).where(
    Lesson.school_id == bindparam("school"), Lesson.starts_at >= bindparam("start"), Lesson.starts_at < bindparam("end"),
    col(Lesson.group_id).in_(
        select(GroupMember.group_id).where(GroupMember.person_id == bindparam("child"), GroupMember.part == "pupil")),
    col(Lesson.pupil_id).is_(None) | (col(Lesson.pupil_id) == bindparam("child")),
    col(Lesson.status).in_(("planned", "cancelled")), _is_lesson(),
).order_by(*_EARLIEST)  # built once: every pupil's day begins with it
_JOINED = select(JournalEntry.lesson_id, JournalEntry.at).where(
    col(JournalEntry.lesson_id).in_(bindparam("lessons", expanding=True)), JournalEntry.person_id == bindparam("person"),
    JournalEntry.kind == "joined").order_by(col(JournalEntry.seq).desc())


async def _of_child(
    session: AsyncSession, school_id: str, child_id: str, start: datetime, end: datetime
) -> tuple[PupilCard, ...]:
    """What was cancelled or moved is told; what is not approved yet is not there."""
    rows = (await session.exec(_OF_CHILD, params={"school": school_id, "child": child_id, "start": start, "end": end})).all()
    cards = await _cards_of(session, school_id, rows, counted=False)
    purposes = (await rosters.consents.permissions(session, school_id, [child_id])).get(child_id, frozenset())
    joined = await _joined(session, child_id, [card.id for card in cards])
    return tuple(PupilCard(card, rules.may_take_part(purposes), joined.get(card.id)) for card in cards)


async def _joined(session: AsyncSession, person_id: str, lesson_ids: Sequence[str]) -> dict[str, datetime]:
    return dict((await session.exec(_JOINED, params={"lessons": lesson_ids, "person": person_id})).all())


async def _cards(session: AsyncSession, school_id: str, *wanted: object, limit: int | None = None) -> list[Card]:
    """The lessons that meet `wanted`, earliest first."""
    rows = (await session.exec(
        select(Lesson).where(Lesson.school_id == school_id, *wanted).order_by(*_EARLIEST).limit(limit)  # type: ignore[arg-type]
    )).all()
    return await _cards_of(session, school_id, rows)


async def _cards_of(session: AsyncSession, school_id: str, rows: Sequence[Lesson], *, counted: bool = True) -> list[Card]:
    """The same few look-ups, however many lessons. Families are told nothing of other pupils nor of links, so for them the class
    is not even read (`counted`), and what is shown of its adults is what a classmate was shown a moment ago."""
    now = session.info["clock"].now()
    profile = await people.profile(session, school_id)
    starts, group_ids = {row.id: row.starts_at for row in rows}, {row.group_id for row in rows}

    async def shown() -> tuple[dict[str, list[Adult]], dict[str, str]]:
        groups = (await session.exec(select(TeachingGroup).where(col(TeachingGroup.id).in_(group_ids)))).all()
        return await _adults(session, school_id, starts, now.date()), {group.id: group.name for group in groups}

    if counted:
        adults, names = await shown()
        pupils = await rosters.pupils_by_group(session, school_id, group_ids, now.date())
        to_preview = await _to_preview(session, [row.id for row in rows])
    else:
        asked = ("cards", school_id, frozenset(starts.items()), frozenset(group_ids), now.date())
        adults, names = await kept(session, asked, shown)
        pupils, to_preview = {}, []
    expected = {row.id: [p for p in pupils.get(row.group_id, ()) if row.pupil_id in (None, p.id)] for row in rows}
    return [
        _card(row, names[row.group_id], adults.get(row.id, ()), len(expected[row.id]),
              sum(pupil.may_take_part for pupil in expected[row.id]), to_preview.count(row.id), profile, now)
        for row in rows
    ]


async def _card_of(session: AsyncSession, roster: Roster) -> Card:
    """The card of a lesson whose roster was read."""
    row = await session.get_one(Lesson, roster.lesson_id)
    to_preview = sum(not link.is_previewed for link in roster.links)
    return _card(row, roster.group.name, roster.adults, len(roster.pupils), len(roster.expected), to_preview, roster.profile,
                 session.info["clock"].now())


def _card(row: Lesson, group: str, adults: Iterable[Adult], pupils: int, can_join: int, to_preview: int, profile: Profile,
          now: datetime) -> Card:
    doors = rules.doors(row.starts_at, row.ends_at, profile)
    times = rules.Times(row.starts_at, row.ends_at, row.started_at, row.ended_at)
    return Card(
        id=row.id, title=row.title, group=group, group_id=row.group_id, series_id=row.series_id, starts_at=row.starts_at,
        ends_at=row.ends_at, stage=rules.stage(row.status, times, profile, now), adults=tuple(adults), pupils=pupils,
        can_join=can_join, to_preview=to_preview, staff_from=doors.staff_from, pupils_from=doors.pupils_from, until=doors.until,
        moved_from=row.moved_from, planned_by=row.planned_by, decision_reason=row.decision_reason,
        asked_because=row.asked_because, outside=tuple(row.outside.split()),
        pupil_id=row.pupil_id or "",
    )


async def _adults(session: AsyncSession, school_id: str, lessons: Mapping[str, datetime], on: date) -> dict[str, list[Adult]]:
    """The adults of each lesson (id to its start), guests with a pass for it last."""
    rows = (await session.exec(select(LessonAdult).where(col(LessonAdult.lesson_id).in_(list(lessons))))).all()
    admitted = await guests.admissions(session, school_id, lessons)
    visitors = {guest: one for of_lesson in admitted.values() for guest, one in of_lesson.items()}
    parts = {row.person_id: row.part for row in rows if row.part != "guest"} | dict.fromkeys(visitors, "guest")
    known = {adult.id: adult for adult in await rosters.adults_of(session, school_id, parts, on, visitors)}
    found: dict[str, list[Adult]] = {}
    for row in sorted(rows, key=lambda row: rosters.PARTS.index(row.part)):
        if row.person_id in known and not known[row.person_id].is_guest:
            found.setdefault(row.lesson_id, []).append(replace(known[row.person_id], part=row.part))
    for lesson, of_lesson in admitted.items():
        here = [replace(known[guest], admission=one) for guest, one in of_lesson.items() if guest in known]
        found.setdefault(lesson, []).extend(sorted(here, key=lambda adult: adult.name))
    return found


async def _to_preview(session: AsyncSession, lesson_ids: Sequence[str]) -> list[str]:
    rows = await session.exec(select(LessonLink.lesson_id).where(
        col(LessonLink.lesson_id).in_(lesson_ids), col(LessonLink.previewed_at).is_(None)
    ))
    return list(rows.all())


@dataclass(frozen=True)
class WordListView:
    """One version in the history of the school's lists: who, when, why, until when, and what came and went."""

    version: int
    words: int
    reason: str
    changed_by: str
    changed_at: datetime
    expires_at: datetime | None
    is_in_force: bool
    added: tuple[str, ...]
    removed: tuple[str, ...]


async def word_list(session: AsyncSession, school_id: str) -> rules.WordList:
    return await rosters.word_list(session, school_id)


async def word_lists(session: AsyncSession, school_id: str) -> list[WordListView]:
    """Every version, newest first."""
    rows = (await session.exec(
        select(WordListVersion).where(WordListVersion.school_id == school_id).order_by(col(WordListVersion.version))
    )).all()
    names = await people.people(session, school_id, {row.changed_by for row in rows})
    current = (await word_list(session, school_id)).version
    found, before = [], frozenset[str]()
    for row in rows:
        entries = frozenset(json.loads(row.words)) | frozenset(json.loads(row.allowed_links or "[]"))
        who = names[row.changed_by].name if row.changed_by in names else "Chaperone"
        found.append(WordListView(
            row.version, len(json.loads(row.words)), row.reason, who, row.changed_at, row.expires_at, row.version == current,
            tuple(sorted(entries - before)), tuple(sorted(before - entries)),
        ))
        before = entries
    return found[::-1]
