"""Who is on a lesson's roster at this moment, and what each of them may do: read fresh, never kept (policy: CO2, AC8, CO1).

The class as it is now, the lesson's adults, and the leaders and safeguarding leads who may come in to any lesson.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

import consent.queries as consents
from consent.agreements import queries as agreements
from lessons import rules
from lessons.breakouts.family import Family, family, ids_of
from lessons.guests import queries as guests
from lessons.guests.queries import Admission
from lessons.tables import JournalEntry, Lesson, LessonAdult, LessonLink, WordListVersion
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Role
from service.foundation.kept import kept
from service.people import queries as people
from service.people.profile import Profile
from service.people.queries import PersonView
from service.people.tables import Badge, DbsCheck, GroupMember, Person
from service.safeguarding.approvals import queries as approvals
from service.safeguarding.approvals.rules import Approval, Known, Lapse, lapse
from service.safeguarding.impact import queries as impact


@dataclass(frozen=True)
class Adult:
    """An adult of a lesson. `part`: `teacher`, `second`, `cover`, `guest`, or `leader` for one who may come in to any.

    `admission`: what a guest's pass says; None for everybody else. `let_in_by`: who made the link of the last days by which
    they chose their password.
    """

    id: str
    name: str
    part: str
    has_dbs: bool
    has_signed: bool
    admission: Admission | None = None
    let_in_by: str = ""

    @property
    def is_guest(self) -> bool:
        return self.part == "guest"

    @property
    def is_cleared(self) -> bool:
        """Whether they may come in: staff by their DBS check, a guest by a pass that holds now (policy: AC8, AC7)."""
        may = self.admission is not None and self.admission.is_now if self.is_guest else self.has_dbs
        return may and self.has_signed


@dataclass(frozen=True)
class Pupil:
    """A pupil of the class, and the purposes they have consent for. `let_in_by`: who made the badge that they sign in with."""

    id: str
    name: str
    purposes: frozenset[str] = frozenset()
    let_in_by: str = ""

    @property
    def may_take_part(self) -> bool:
        return rules.may_take_part(self.purposes)


@dataclass(frozen=True)
class PreviewedLink:
    id: str
    url: str
    previewed_by: str = ""
    previewed_at: datetime | None = None

    @property
    def is_previewed(self) -> bool:
        return self.previewed_at is not None


@dataclass(frozen=True)
class PairApproval:
    """An approval for this lesson, and why it no longer stands (None while it does), whatever the time is."""

    given: Approval
    lapse: Lapse | None

    @property
    def stands(self) -> bool:
        return self.lapse is None


@dataclass(frozen=True)
class Roster:
    """Everything that was decided about one lesson, as it stands now."""

    lesson_id: str
    school_id: str
    version: int
    title: str
    about: str
    status: str
    group: people.GroupView
    starts_at: datetime
    ends_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    profile: Profile
    adults: tuple[Adult, ...] = ()
    leaders: tuple[Adult, ...] = ()
    pupils: tuple[Pupil, ...] = ()
    links: tuple[PreviewedLink, ...] = ()
    removed: frozenset[str] = frozenset()
    outside: tuple[str, ...] = field(default=())
    pupil_id: str = ""
    approvals: tuple[PairApproval, ...] = ()

    @property
    def is_one_to_one(self) -> bool:
        return bool(self.pupil_id)

    @property
    def needs_approval(self) -> bool:
        """A lesson for one pupil with one adult of the school: without its approval nothing passes (policy: RL1)."""
        return self.is_one_to_one and sum(not adult.is_guest for adult in self.adults) < 2

    @property
    def standing(self) -> PairApproval | None:
        """The approval that a one-to-one goes by."""
        return next((one for one in self.approvals if self.is_one_to_one and one.stands), None)
    main: "Roster | None" = None
    """Of a breakout room, the lesson it is part of."""
    family: Family = field(default_factory=lambda: Family(""))

    @property
    def is_breakout(self) -> bool:
        return self.main is not None

    @property
    def over(self) -> str:
        """Why a breakout room is over: `time` and the like with its lesson, `brought-back` while that goes on; else empty."""
        if self.main is None or not (self.main.ended_at or self.ended_at):
            return ""
        return (self.main.end_reason or "time") if self.main.ended_at else "brought-back"

    @property
    def expected(self) -> tuple[Pupil, ...]:
        """The pupils who may take part."""
        return tuple(pupil for pupil in self.pupils if pupil.may_take_part)

    def adult(self, person_id: str) -> Adult | None:
        return next((adult for adult in (*self.adults, *self.leaders) if adult.id == person_id), None)

    def pupil(self, person_id: str) -> Pupil | None:
        return next((pupil for pupil in self.pupils if pupil.id == person_id), None)


async def roster(session: AsyncSession, lesson_id: str) -> Roster:
    """The lesson's roster today. Raises NotFound."""
    lesson = await session.get(Lesson, lesson_id)
    if lesson is None:
        raise NotFound()
    if lesson.breakout_of is not None:
        return await _of_breakout(session, lesson, await roster(session, lesson.breakout_of))
    school_id, today = lesson.school_id, session.info["clock"].now().date()
    admitted = (await guests.admissions(session, school_id, {lesson_id: lesson.starts_at}))[lesson_id]
    parts = await _parts(session, lesson_id) | dict.fromkeys(admitted, "guest")
    leaders = {p.id: "leader" for p in await people.holders(session, school_id, LEADERS | SAFEGUARDING)}
    may_come = await adults_of(session, school_id, leaders | parts, today, admitted)
    adults = tuple(adult for adult in may_come if adult.id in parts)
    group = await people.group(session, school_id, lesson.group_id)
    pupils = await _pupils(session, lesson, today)
    return Roster(
        lesson_id=lesson.id, school_id=school_id, version=lesson.version, title=lesson.title, about=lesson.about,
        status=lesson.status, group=group, starts_at=lesson.starts_at,
        ends_at=lesson.ends_at, started_at=lesson.started_at, ended_at=lesson.ended_at, end_reason=lesson.end_reason,
        profile=await people.profile(session, school_id, lesson.started_at), adults=adults,
        leaders=tuple(adult for adult in may_come if adult.id not in parts),
        pupils=pupils, links=await links_of(session, lesson_id), removed=await removed(session, lesson_id),
        outside=tuple(lesson.outside.split()), pupil_id=lesson.pupil_id or "",
        approvals=await _approvals(session, lesson, adults, pupils), family=await family(session, lesson_id),
    )


def titled(lesson: str, room: str) -> str:
    """What a breakout room is called where its lesson is not beside it: at most 120 letters, as a lesson's title."""
    return f"{lesson[:118 - len(room)]}, {room}"


async def _of_breakout(session: AsyncSession, lesson: Lesson, main: Roster) -> Roster:
    """A breakout room's roster: its own adults, those who run the lesson, and the pupils placed in it, as long as they are on
    the lesson's. Whatever is decided about the lesson holds for its rooms (policy: RL1)."""
    parts = await _parts(session, lesson.id)
    guests_here = [adult for adult in main.adults if adult.id in parts and adult.is_guest]
    own = await adults_of(session, lesson.school_id, parts, session.info["clock"].now().date(), {})
    visiting = [replace(adult, part="second") for adult in main.adults if adult.id not in parts and not adult.is_guest]
    placed = main.family.pupils_of(lesson.id)
    return replace(
        main, lesson_id=lesson.id, version=main.version + lesson.version, title=titled(main.title, lesson.title), main=main,
        pupil_id="", approvals=(),  # an approval names one lesson exactly, and is never for a room of it
        starts_at=lesson.starts_at, started_at=lesson.started_at, ended_at=lesson.ended_at or main.ended_at,
        end_reason=lesson.end_reason, adults=(*(adult for adult in own if not adult.is_guest), *visiting, *guests_here),
        leaders=tuple(leader for leader in main.leaders if leader.id not in parts),
        pupils=tuple(pupil for pupil in main.pupils if pupil.id in placed),
    )


async def _pupils(session: AsyncSession, lesson: Lesson, on: date) -> tuple[Pupil, ...]:
    """The class, or of a one-to-one its pupil, while in the class."""
    pupils = await pupils_of(session, lesson.school_id, lesson.group_id, on, lesson.started_at)
    return tuple(pupil for pupil in pupils if lesson.pupil_id in (None, pupil.id))


async def _approvals(session: AsyncSession, lesson: Lesson, adults: tuple[Adult, ...],
                     pupils: tuple[Pupil, ...]) -> tuple[PairApproval, ...]:
    """Every approval for this lesson, judged by what is true now: a lesson keeps no rules that are stricter since."""
    given = await approvals.of_lessons(session, lesson.school_id, [lesson.id])
    if not given:
        return ()
    profile = await people.profile(session, lesson.school_id)
    staff = {adult.id: adult for adult in adults if not adult.is_guest}
    purposes = {pupil.id: pupil.purposes for pupil in pupils}
    found = []
    for one in given:
        adult, child = one.approval.parties.adult, one.approval.parties.child
        known = Known(
            one.approver_roles, purposes.get(child, frozenset()), adult in staff and staff[adult].is_cleared, adult in staff,
            child in purposes,
        )
        found.append(PairApproval(one.approval, lapse(one.approval, known, profile)))
    return tuple(found)


async def _parts(session: AsyncSession, lesson_id: str) -> dict[str, str]:
    rows = (await session.exec(select(LessonAdult).where(LessonAdult.lesson_id == lesson_id))).all()
    return {row.person_id: row.part for row in rows}


async def adults_of(session: AsyncSession, school_id: str, parts: dict[str, str], on: date,
                    admitted: Mapping[str, Admission] | None = None) -> tuple[Adult, ...]:
    """The adults of `parts` (person id to part) with their clearance on a day; teachers first. Children are left out.

    `admitted`: the guests who have a pass; every other guest is left out (policy: AC7). None: whoever they are, for planning.
    """
    views = await people.people(session, school_id, parts, here_on=on)
    checked = await with_dbs(session, school_id, list(parts), on)
    let_in = await people.let_in(session, school_id, list(parts), on)
    signed = await agreements.signed(session, school_id, {view.id: view.roles for view in views.values()}, on)
    found = [
        Adult(view.id, view.name, "guest" if _is_guest(view) else parts[view.id], view.id in checked, view.id in signed,
              (admitted or {}).get(view.id), let_in.get(view.id, ""))
        for view in views.values() if not view.is_child
    ]
    here = [adult for adult in found if admitted is None or not adult.is_guest or adult.admission is not None]
    return tuple(sorted(here, key=lambda adult: (PARTS.index(adult.part), adult.name)))


PARTS = ("teacher", "cover", "second", "guest", "leader")


def _is_guest(view: PersonView) -> bool:
    return Role.GUEST in view.roles


async def with_dbs(session: AsyncSession, school_id: str, ids: list[str], on: date) -> frozenset[str]:
    """Those of `ids` who have a valid DBS check on a day (policy: AC8)."""
    rows = await session.exec(select(DbsCheck.person_id).where(
        DbsCheck.school_id == school_id, col(DbsCheck.person_id).in_(ids), col(DbsCheck.withdrawn_at).is_(None),
        DbsCheck.checked_on <= on, DbsCheck.recheck_on > on,
    ))
    return frozenset(rows.all())


async def pupils_of(
    session: AsyncSession, school_id: str, group_id: str, on: date, began_at: datetime | None = None
) -> tuple[Pupil, ...]:
    """The pupils of a class on a day, by name, with what they have consent for, by the rules when their lesson began."""
    return (await pupils_by_group(session, school_id, [group_id], on, began_at))[group_id]


async def pupils_by_group(
    session: AsyncSession, school_id: str, group_ids: Iterable[str], on: date, began_at: datetime | None = None
) -> dict[str, tuple[Pupil, ...]]:
    """The pupils of several classes at once, by class: two look-ups, however many classes. Whatever a family permits, no pupil
    of a school whose impact assessment is not approved may do anything; it is asked in the same look (policy: AC5)."""
    wanted = list(group_ids)
    rows = (await session.exec(
        select(GroupMember.group_id, Person, impact.takes_pupils(school_id), _BADGE_MADE_BY).join(
            Person, col(Person.id) == GroupMember.person_id).where(
            GroupMember.school_id == school_id, col(GroupMember.group_id).in_(wanted), GroupMember.part == "pupil",
            Person.kind == "child", col(Person.left_on).is_(None) | (col(Person.left_on) > on),
        )
    )).all()
    granted = await consents.permissions(session, school_id, {person.id for _, person, *_ in rows}, began_at)
    found: dict[str, list[Pupil]] = {group: [] for group in wanted}
    by_name = sorted(rows, key=lambda row: people.rules.sort_key(people.view_of(row[1], frozenset()).full_name))
    for group, person, takes_pupils, let_in_by in by_name:
        purposes = granted[person.id] if takes_pupils else frozenset()
        found[group].append(Pupil(person.id, people.name_of(person), purposes, let_in_by or ""))
    return {group: tuple(pupils) for group, pupils in found.items()}


_BADGE_MADE_BY = select(Badge.issued_by).where(
    Badge.person_id == Person.id, col(Badge.revoked_at).is_(None)).limit(1).scalar_subquery()


async def links_of(session: AsyncSession, lesson_id: str) -> tuple[PreviewedLink, ...]:
    rows = (await session.exec(
        select(LessonLink).where(LessonLink.lesson_id == lesson_id).order_by(col(LessonLink.url))
    )).all()
    return tuple(PreviewedLink(row.id, row.url, row.previewed_by, row.previewed_at) for row in rows)


_REMOVED = select(JournalEntry.person_id).where(
    col(JournalEntry.lesson_id).in_(ids_of(bindparam("lesson"))), JournalEntry.kind == "removed")  # built once: every door asks


async def removed(session: AsyncSession, lesson_id: str) -> frozenset[str]:
    """Who was sent out of the lesson, or of any of its rooms, for good."""
    return frozenset((await session.exec(_REMOVED, params={"lesson": lesson_id})).all())


async def word_list(session: AsyncSession, school_id: str) -> rules.WordList:
    """The words and addresses in force now (policy: IN6)."""
    async def read() -> tuple[rules.WordList, ...]:
        rows = (await session.exec(select(WordListVersion).where(WordListVersion.school_id == school_id))).all()
        return tuple(
            rules.WordList(row.version, tuple(json.loads(row.words)), tuple(json.loads(row.allowed_links or "[]")),
                           row.expires_at)
            for row in rows)

    return rules.in_force(await kept(session, ("word lists", school_id), read), session.info["clock"].now())
