"""A wanted lesson with everything the rules need to know about it: read from the database, judged by `rules`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from lessons import rules
from lessons.tables import Lesson, LessonAdult, LessonLink
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, Actor, Role
from service.people import queries as people
from service.people.queries import GroupView, PersonView
from service.people.rules import Profile
from service.people.tables import Closure, DutySlot, GroupMember, School, TeachingGroup, TermDate
from service.safeguarding.tables import ApprovedPlatform

TEACHING = frozenset({Role.TEACHER, Role.SUPPORT}) | LEADERS


@dataclass(frozen=True)
class Wanted:
    """What a person asks for. `starts_at` is the first of `starts`; `adults` has the teacher first, then the second adult."""

    group_id: str
    title: str
    starts: tuple[datetime, ...]
    minutes: int
    adults: tuple[str, ...]
    about: str = ""
    links: tuple[str, ...] = ()
    previewed: frozenset[str] = frozenset()
    """Those of `links` whose whole page the planner looked at (policy: RL10)."""
    platform_id: str = ""
    until: date | None = None
    because: str = ""
    except_for: frozenset[str] = frozenset()
    """Lessons that are moved or covered, and so do not clash with themselves."""


@dataclass(frozen=True)
class Measured:
    """One date of a wanted lesson, with what the rules say of it."""

    starts_at: datetime
    ends_at: datetime
    refusals: tuple[rules.Refusal, ...]

    @property
    def is_fine(self) -> bool:
        return not self.refusals


@dataclass(frozen=True)
class Prefill:
    """The last lesson with a class: what the next one is most likely to be."""

    title: str
    at: time
    minutes: int
    about: str
    second: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class Choices:
    """What the form offers to this person."""

    groups: tuple[GroupView, ...]
    seconds: tuple[PersonView, ...]
    platforms: tuple[ApprovedPlatform, ...]
    hours: rules.Hours
    profile: Profile


@dataclass(frozen=True)
class Outlook:
    """What a lesson with this class would be like, in numbers: the inset beside the form."""

    pupils: int
    can_join: int
    longest: int
    recorded_until: date


async def measure(session: AsyncSession, school_id: str, wanted: Wanted, now: datetime) -> list[Measured]:
    """Every date of `wanted` against every rule."""
    found = []
    hours, profile = await school_hours(session, school_id), await people.profile(session, school_id)
    for starts_at in wanted.starts:
        proposal = await _proposal(session, school_id, wanted, starts_at, hours.zone)
        refusals = rules.refusals(proposal, profile, hours, now)
        found.append(Measured(proposal.starts_at, proposal.ends_at, tuple(refusals)))
    return found


async def _proposal(session: AsyncSession, school_id: str, wanted: Wanted, starts_at: datetime, zone: str) -> rules.Proposal:
    group = await people.group(session, school_id, wanted.group_id)
    today, ends_at = session.info["clock"].now().date(), starts_at + timedelta(minutes=wanted.minutes)
    parts = {person: "second" if position else "teacher" for position, person in enumerate(wanted.adults)}
    adults = {adult.id: adult for adult in await rosters.adults_of(session, school_id, parts, today)}
    pupils = await rosters.pupils_of(session, school_id, wanted.group_id, today)
    clashes = await _clashes(session, school_id, group, adults, wanted, (starts_at, ends_at))
    words = await rosters.word_list(session, school_id)
    return rules.Proposal(
        group=group.name, key_stage=group.key_stage, starts_at=starts_at, ends_at=ends_at,
        pupils=sum(pupil.may_take_part for pupil in pupils),
        adults=tuple(
            rules.PlannedAdult(adult.id, adult.name, adult.has_dbs, adult.has_signed, adult.is_guest)
            for person in wanted.adults if (adult := adults.get(person))
        ),
        clashes=tuple(clashes), links=wanted.links, allowed_links=words.links + await _platform_hosts(session, school_id),
        is_platform_approved=await _is_platform_approved(session, school_id, wanted.platform_id),
        is_somebody_on_duty=await is_somebody_on_duty(session, school_id, zone, starts_at, ends_at, but=wanted.adults),
        dsl=await dsl_name(session, school_id),
    )


async def _clashes(session: AsyncSession, school_id: str, group: GroupView, adults: dict[str, rosters.Adult], wanted: Wanted,
                   time_of: tuple[datetime, datetime]) -> list[rules.Clash]:
    """What already takes the class or one of its adults at that time."""
    rows = (await session.exec(select(Lesson).where(
        Lesson.school_id == school_id, Lesson.starts_at < time_of[1], Lesson.ends_at > time_of[0],
        col(Lesson.status).in_(("planned", "waiting")), col(Lesson.ended_at).is_(None), col(Lesson.id).not_in(wanted.except_for),
    ))).all()
    taken = [(row, await _adults_of(session, row.id)) for row in rows]
    names = await people.people(session, school_id, {person for _, persons in taken for person in persons})
    clashes = []
    for row, persons in taken:
        its_group = (await people.group(session, school_id, row.group_id)).name
        its_teacher = names[persons[0]].name if persons and persons[0] in names else its_group
        if row.group_id == group.id:
            clashes.append(rules.Clash(group.name, row.title, its_teacher, row.starts_at, row.ends_at))
        clashes += [rules.Clash(adults[person].name, row.title, its_group, row.starts_at, row.ends_at)
                    for person in persons if person in adults]
    return clashes


async def _adults_of(session: AsyncSession, lesson_id: str) -> list[str]:
    rows = (await session.exec(select(LessonAdult).where(LessonAdult.lesson_id == lesson_id))).all()
    return [row.person_id for row in sorted(rows, key=lambda row: rosters.PARTS.index(row.part))]


async def is_somebody_on_duty(session: AsyncSession, school_id: str, zone: str, starts_at: datetime, ends_at: datetime, *,
                              but: Iterable[str]) -> bool:
    """Whether the rota has a safeguarding lead or leader for every moment of a lesson, `but` those who are busy in it."""
    start, end = starts_at.astimezone(ZoneInfo(zone)), ends_at.astimezone(ZoneInfo(zone))
    rows = (await session.exec(select(DutySlot).where(
        DutySlot.school_id == school_id, DutySlot.weekday == start.weekday(), col(DutySlot.person_id).not_in(list(but))
    ))).all()
    slots = [(time.fromisoformat(row.starts_at), time.fromisoformat(row.ends_at)) for row in rows]
    return start.date() == end.date() and rules.is_covered(slots, start.time(), end.time())


async def _is_platform_approved(session: AsyncSession, school_id: str, platform_id: str) -> bool:
    """No platform named means this service itself, which the school approved by opening it."""
    if not platform_id:
        return True
    return platform_id in {platform.id for platform in await platforms(session, school_id)}


async def platforms(session: AsyncSession, school_id: str) -> tuple[ApprovedPlatform, ...]:
    """The approved platforms (policy: RL8) whose approval stands today."""
    today = session.info["clock"].now().date()
    rows = await session.exec(select(ApprovedPlatform).where(
        ApprovedPlatform.school_id == school_id, col(ApprovedPlatform.withdrawn_on).is_(None), ApprovedPlatform.review_on > today,
    ).order_by(col(ApprovedPlatform.name)))
    return tuple(rows.all())


async def _platform_hosts(session: AsyncSession, school_id: str) -> tuple[str, ...]:
    return tuple(platform.host for platform in await platforms(session, school_id) if platform.host)


async def dsl_name(session: AsyncSession, school_id: str) -> str:
    found = await people.holders(session, school_id, frozenset({Role.DSL}))
    return found[0].name if found else "the DSL"


async def school_hours(session: AsyncSession, school_id: str) -> rules.Hours:
    school = await session.get_one(School, school_id)
    terms = (await session.exec(select(TermDate).where(TermDate.school_id == school_id))).all()
    closures = (await session.exec(select(Closure).where(Closure.school_id == school_id))).all()
    return rules.Hours(
        school.zone, time.fromisoformat(school.opens_at), time.fromisoformat(school.closes_at),
        tuple((term.starts_on, term.ends_on) for term in terms), frozenset(day.closed_on for day in closures),
        frozenset(map(int, school.teaches_on)),
    )


# What the form offers


async def choices(session: AsyncSession, actor: Actor) -> Choices:
    """Their own classes for a teacher, every class for a leader; colleagues who could be the second adult."""
    seconds = [p for p in await people.holders(session, actor.school_id, TEACHING) if p.id != actor.person_id]
    return Choices(
        await groups(session, actor), tuple(seconds), await platforms(session, actor.school_id),
        await school_hours(session, actor.school_id), await people.profile(session, actor.school_id),
    )


async def groups(session: AsyncSession, actor: Actor) -> tuple[GroupView, ...]:
    query = select(TeachingGroup).where(TeachingGroup.school_id == actor.school_id, col(TeachingGroup.archived_on).is_(None))
    if not actor.is_any(LEADERS):
        mine = select(GroupMember.group_id).where(GroupMember.person_id == actor.person_id, GroupMember.part == "teacher")
        query = query.where(col(TeachingGroup.id).in_(mine))
    rows = (await session.exec(query.order_by(col(TeachingGroup.name)))).all()
    return tuple(GroupView(row.id, row.name, row.key_stage) for row in rows)


async def own_group(session: AsyncSession, actor: Actor, group_id: str) -> GroupView:
    """A class this person may plan for. Raises NotFound for any other."""
    found = next((group for group in await groups(session, actor) if group.id == group_id), None)
    if found is None:
        raise NotFound()
    return found


async def prefill(session: AsyncSession, actor: Actor, group_id: str, zone: str) -> Prefill | None:
    """The last lesson this class had or will have, with this teacher if there is one."""
    mine = select(LessonAdult.lesson_id).where(LessonAdult.person_id == actor.person_id)
    row = (await session.exec(
        select(Lesson).where(Lesson.group_id == group_id, Lesson.status == "planned", col(Lesson.id).in_(mine))
        .order_by(col(Lesson.planned_at).desc(), col(Lesson.starts_at)).limit(1)
    )).first()
    if row is None:
        return None
    links = (await session.exec(select(LessonLink.url).where(LessonLink.lesson_id == row.id))).all()
    adults = (await session.exec(select(LessonAdult).where(LessonAdult.lesson_id == row.id))).all()
    second = next((adult.person_id for adult in adults if adult.part == "second"), "")
    minutes = int((row.ends_at - row.starts_at).total_seconds() // 60)
    return Prefill(row.title, row.starts_at.astimezone(ZoneInfo(zone)).time(), minutes, row.about, second, tuple(links))


async def last_group(session: AsyncSession, actor: Actor, offered: Sequence[GroupView]) -> str:
    """The class this person planned for last, else the first they have."""
    row = (await session.exec(
        select(Lesson.group_id).where(Lesson.planned_by == actor.person_id).order_by(col(Lesson.planned_at).desc()).limit(1)
    )).first()
    ids = [group.id for group in offered]
    return row if row in ids else ids[0] if ids else ""


async def outlook(session: AsyncSession, school_id: str, group: GroupView, day: date) -> Outlook:
    pupils = await rosters.pupils_of(session, school_id, group.id, session.info["clock"].now().date())
    profile = await people.profile(session, school_id)
    longest = int(profile.longest(group.key_stage).total_seconds() // 60)
    return Outlook(len(pupils), sum(p.may_take_part for p in pupils), longest, day + timedelta(profile.retention_days))


def first_words(refusals: Iterable[rules.Refusal]) -> dict[str, str]:
    """Words by form field: the first of each, since a field shows one error at a time."""
    fields: dict[str, str] = {}
    for refusal in refusals:
        fields.setdefault(refusal.field, refusal.words)
    return fields
