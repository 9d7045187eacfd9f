"""Reading passes: who comes to which lesson, and what each page about guests shows (policy: AC7)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.guests import rules
from lessons.guests.rules import Kind, Pass, State
from lessons.guests.tables import GuestPass, GuestPassChild, GuestPassLesson
from lessons.tables import Lesson, LessonAdult
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.people import queries as people
from service.people.tables import TeachingGroup

SEE_ALL = LEADERS | SAFEGUARDING | {Role.OFFICE}


@dataclass(frozen=True)
class Admission:
    """What a guest's passes for one lesson come to. `is_now`: one lets them in at this moment. `until`: the end of that."""

    guest_id: str
    is_now: bool
    until: datetime
    serves: frozenset[str]


async def passes(session: AsyncSession, school_id: str, ids: Collection[str] | None = None) -> list[Pass]:
    """Passes of this school, newest first; all of them, or those of `ids`."""
    wanted = select(GuestPass).where(GuestPass.school_id == school_id).order_by(col(GuestPass.asked_at).desc())
    rows = (await session.exec(wanted if ids is None else wanted.where(col(GuestPass.id).in_(ids)))).all()
    known = [row.id for row in rows]
    lessons = (await session.exec(select(GuestPassLesson).where(col(GuestPassLesson.pass_id).in_(known)))).all()
    children = (await session.exec(select(GuestPassChild).where(col(GuestPassChild.pass_id).in_(known)))).all()
    return [Pass(
        row.id, row.guest_id, row.sponsor_id, Kind(row.kind), row.purpose, row.identity_note, row.starts_at, row.ends_at,
        frozenset(each.lesson_id for each in lessons if each.pass_id == row.id),
        frozenset(each.child_id for each in children if each.pass_id == row.id),
        row.asked_at, row.decided_by, row.decided_at, row.approved, row.decision_reason, row.revoked_by, row.revoked_at,
        row.revoked_because,
    ) for row in rows]


async def one_pass(session: AsyncSession, school_id: str, pass_id: str) -> Pass:
    found = await passes(session, school_id, [pass_id])
    if not found:
        raise NotFound()
    return found[0]


async def standing(session: AsyncSession, school_id: str, found: Iterable[Pass]) -> list[Pass]:
    """Those that may let somebody in, by the roles that everybody named in them holds today."""
    asked = [one for one in found if one.approved and one.revoked_at is None]
    roles = {who: await _roles_now(session, who) for one in asked for who in (one.guest_id, one.sponsor_id, one.decided_by)}
    return [one for one in asked if Role.GUEST in roles[one.guest_id]
            and rules.stands(one, sponsor=roles[one.sponsor_id], approver=roles[one.decided_by])]


async def _roles_now(session: AsyncSession, person_id: str) -> frozenset[Role]:
    """None at all once they have left."""
    found = await people.actor(session, person_id)
    return found.roles if found else frozenset()


async def admissions(
    session: AsyncSession, school_id: str, lessons: Mapping[str, datetime]
) -> dict[str, dict[str, Admission]]:
    """For each lesson (id to its start) the guests whose pass names it and is in force then, or now once it has begun."""
    now = session.info["clock"].now()
    ids = (await session.exec(select(GuestPassLesson.pass_id).where(
        col(GuestPassLesson.lesson_id).in_(list(lessons))).distinct())).all()
    found: dict[str, dict[str, Admission]] = {lesson: {} for lesson in lessons}
    if not ids:
        return found
    for one in await standing(session, school_id, await passes(session, school_id, ids)):
        for lesson in one.lesson_ids & lessons.keys():
            if one.starts_at <= max(now, lessons[lesson]) < one.ends_at:
                _add(found[lesson], one, now)
    return found


def _add(of_lesson: dict[str, Admission], one: Pass, now: datetime) -> None:
    """Of two passes for one lesson the later end holds, and only a pass that holds now adds a child now."""
    is_now = one.starts_at <= now < one.ends_at
    before = of_lesson.get(one.guest_id)
    if before is None or (is_now and not before.is_now):
        of_lesson[one.guest_id] = Admission(one.guest_id, is_now, one.ends_at, one.child_ids)
    elif is_now == before.is_now:
        until = max(before.until, one.ends_at)
        of_lesson[one.guest_id] = Admission(one.guest_id, is_now, until, before.serves | one.child_ids)


# -- pages ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """A pass in words. `lessons`: (id, what and when), earliest first."""

    it: Pass
    state: State
    guest: str
    sponsor: str
    decided_by: str
    revoked_by: str
    lessons: tuple[tuple[str, str, datetime], ...]
    children: tuple[str, ...]
    first: date
    last: date
    stands: bool

    @property
    def kind(self) -> str:
        return rules.KIND_WORDS[self.it.kind]


async def visits(session: AsyncSession, actor: Actor) -> list[Visit]:
    """What this person may know of guests: leaders, the safeguarding team and the office all, a sponsor their own."""
    found = await passes(session, actor.school_id)
    if not actor.is_any(SEE_ALL):
        found = [one for one in found if one.sponsor_id == actor.person_id]
    return await _visits(session, actor.school_id, found)


async def waiting(session: AsyncSession, actor: Actor) -> list[Visit]:
    """What waits for a leader's decision, oldest first, but for their own requests and visits."""
    found = [visit for visit in await visits(session, actor) if visit.state is State.WAITING]
    return [visit for visit in found[::-1] if actor.person_id not in (visit.it.sponsor_id, visit.it.guest_id)]


async def visit(session: AsyncSession, actor: Actor, pass_id: str) -> Visit:
    one = await one_pass(session, actor.school_id, pass_id)
    if not actor.is_any(SEE_ALL) and one.sponsor_id != actor.person_id:
        raise NotFound()
    return (await _visits(session, actor.school_id, [one]))[0]


async def own_visits(session: AsyncSession, actor: Actor) -> list[Visit]:
    """A guest's own passes that stand and are not over. Without one there is nothing to show."""
    found = [one for one in await passes(session, actor.school_id) if one.guest_id == actor.person_id]
    now = session.info["clock"].now()
    return await _visits(session, actor.school_id, [
        one for one in await standing(session, actor.school_id, found) if now < one.ends_at])


async def _visits(session: AsyncSession, school_id: str, found: list[Pass]) -> list[Visit]:
    now, zone = session.info["clock"].now(), ZoneInfo((await people.school(session, school_id)).zone)
    names = {p.id: p.name for p in (await people.people(session, school_id, {
        who for one in found for who in (one.guest_id, one.sponsor_id, one.decided_by, one.revoked_by, *one.child_ids)
    })).values()}
    lessons = {row.id: (row, group) for row, group in (await session.exec(
        select(Lesson, TeachingGroup.name).join(TeachingGroup, col(TeachingGroup.id) == Lesson.group_id).where(
            col(Lesson.id).in_([lesson for one in found for lesson in one.lesson_ids])))).all()}
    stand = {one.id for one in await standing(session, school_id, found)}
    return [Visit(
        one, one.state(now), names.get(one.guest_id, ""), names.get(one.sponsor_id, ""), names.get(one.decided_by, ""),
        names.get(one.revoked_by, ""),
        tuple(sorted(((row.id, f"{row.title}, {group}", row.starts_at) for row, group in
                      (lessons[lesson] for lesson in one.lesson_ids)), key=lambda each: each[2])),
        tuple(sorted(names[child] for child in one.child_ids)), one.starts_at.astimezone(zone).date(),
        (one.ends_at - timedelta(seconds=1)).astimezone(zone).date(), one.id in stand,
    ) for one in found]


@dataclass(frozen=True)
class Choices:
    """What a sponsor can choose from, for the class of one lesson. `lessons`: id to what and when."""

    group_name: str
    lessons: tuple[tuple[str, str, datetime], ...]
    children: tuple[tuple[str, str], ...]
    guests: tuple[tuple[str, str], ...]


async def choices(session: AsyncSession, actor: Actor, lesson_id: str) -> Choices:
    """The lessons to come of this lesson's class that are the actor's (a leader's: all), its pupils, and known guests."""
    now = session.info["clock"].now()
    lesson = await session.get(Lesson, lesson_id)
    if lesson is None or lesson.school_id != actor.school_id:
        raise NotFound()
    mine = select(LessonAdult.lesson_id).where(LessonAdult.person_id == actor.person_id, LessonAdult.part != "guest")
    found = select(Lesson).where(
        Lesson.school_id == actor.school_id, Lesson.group_id == lesson.group_id, Lesson.ends_at > now,
        Lesson.starts_at < now + rules.LONGEST, col(Lesson.status).in_(("planned", "waiting")), col(Lesson.ended_at).is_(None),
        col(Lesson.pupil_id).is_(None))  # a one-to-one is for the two whom its approval names
    if not actor.is_any(LEADERS):
        found = found.where(col(Lesson.id).in_(mine))
    rows = (await session.exec(found.order_by(col(Lesson.starts_at)))).all()
    if lesson_id not in {row.id for row in rows}:
        raise NotFound()
    group = await people.group(session, actor.school_id, lesson.group_id)
    pupils = await people.members(session, actor.school_id, lesson.group_id, "pupil", now.date())
    guests = await people.holders(session, actor.school_id, frozenset({Role.GUEST}))
    return Choices(group.name, tuple((row.id, row.title, row.starts_at) for row in rows),
                   tuple((pupil.id, pupil.name) for pupil in pupils), tuple((guest.id, guest.name) for guest in guests))
