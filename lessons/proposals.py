"""A wanted lesson with everything the rules need to know about it: read from the database, judged by `rules`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from lessons import rules
from lessons.tables import Lesson, LessonAdult, LessonLink
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, Actor, Role
from service.people import queries as people
from service.people.profile import Profile
from service.people.queries import GroupView, PersonView
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
    pupil_id: str = ""
    """Of a one-to-one, its pupil."""
    except_for: frozenset[str] = frozenset()
    """Lessons that are moved or covered, and so do not clash with themselves."""


@dataclass(frozen=True)
class Measured:
    """One date of a wanted lesson, with what the rules say of it."""

    starts_at: datetime
    ends_at: datetime
    refusals: tuple[rules.Refusal, ...]


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
    """Every date of `wanted` against every rule. What is the same on every date is read once."""
    hours, profile = await school_hours(session, school_id), await people.profile(session, school_id)
    group = await people.group(session, school_id, wanted.group_id)
    adults = await _planned_adults(session, school_id, wanted)
    always = await _always(session, school_id, wanted, group, adults)
    taken = await _taken(session, school_id, group, adults, wanted)
    slots = await _duty(session, school_id, but=wanted.adults)
    found = []
    for starts_at in wanted.starts:
        span = (starts_at, starts_at + timedelta(minutes=wanted.minutes))
        proposal = replace(
            always, starts_at=span[0], ends_at=span[1], is_somebody_on_duty=_on_duty(slots, span, hours.zone),
            clashes=tuple(clash for clash in taken if rules.overlaps(span, (clash.starts_at, clash.ends_at))),
        )
        found.append(Measured(*span, tuple(rules.refusals(proposal, profile, hours, now))))
    return found


async def _planned_adults(session: AsyncSession, school_id: str, wanted: Wanted) -> dict[str, rosters.Adult]:
    """The adults as asked for, the teacher first, with their clearance today."""
    parts = {person: "second" if position else "teacher" for position, person in enumerate(wanted.adults)}
    found = await rosters.adults_of(session, school_id, parts, session.info["clock"].now().date())
    known = {adult.id: adult for adult in found}
    return {person: known[person] for person in wanted.adults if person in known}


async def _always(session: AsyncSession, school_id: str, wanted: Wanted, group: GroupView,
                  adults: dict[str, rosters.Adult]) -> rules.Proposal:
    """The proposal for the first date, but for what depends on the date."""
    pupils = await rosters.pupils_of(session, school_id, wanted.group_id, session.info["clock"].now().date())
    words = await rosters.word_list(session, school_id)
    if wanted.pupil_id:
        pupils = tuple(pupil for pupil in pupils if pupil.id == wanted.pupil_id)
    return rules.Proposal(
        group=group.name, key_stage=group.key_stage, starts_at=wanted.starts[0],
        ends_at=wanted.starts[0] + timedelta(minutes=wanted.minutes), pupils=sum(pupil.may_take_part for pupil in pupils),
        adults=tuple(
            rules.PlannedAdult(adult.id, adult.name, adult.has_dbs, adult.has_signed, adult.is_guest)
            for adult in adults.values()
        ),
        links=wanted.links, allowed_links=words.links + await _platform_hosts(session, school_id),
        is_platform_approved=await _is_platform_approved(session, school_id, wanted.platform_id),
        one_to_one=bool(wanted.pupil_id), dsl=await dsl_name(session, school_id),
    )


async def _taken(session: AsyncSession, school_id: str, group: GroupView, adults: dict[str, rosters.Adult],
                 wanted: Wanted) -> list[rules.Clash]:
    """What already takes the class (of a one-to-one: the pupil, in any class) or one of the adults, on any of the dates.

    A class is not taken by the one-to-one of one of its pupils: else one pupil's lesson would stop everybody's.
    """
    pupil, whom = wanted.pupil_id, "This pupil" if wanted.pupil_id else group.name
    classes_in = await _classes_of(session, pupil) if pupil else frozenset({group.id})
    of_all = and_(col(Lesson.group_id).in_(classes_in), col(Lesson.pupil_id).is_(None))
    first, last = min(wanted.starts), max(wanted.starts) + timedelta(minutes=wanted.minutes)
    theirs = select(LessonAdult.lesson_id).where(col(LessonAdult.person_id).in_(list(adults)))
    rows = (await session.exec(select(Lesson).where(
        Lesson.school_id == school_id, Lesson.starts_at < last, Lesson.ends_at > first,
        or_(of_all, Lesson.pupil_id == pupil, col(Lesson.id).in_(theirs)),
        col(Lesson.status).in_(("planned", "waiting")), col(Lesson.ended_at).is_(None), col(Lesson.id).not_in(wanted.except_for),
        col(Lesson.breakout_of).is_(None),
    ).order_by(col(Lesson.starts_at)))).all()
    persons = await _adults_of(session, [row.id for row in rows])
    names = await people.people(session, school_id, {person for found in persons.values() for person in found})
    groups = (await session.exec(select(TeachingGroup).where(col(TeachingGroup.id).in_({row.group_id for row in rows})))).all()
    classes = {row.id: row.name for row in groups}
    taken = {row.id: whom if _takes(row, pupil, classes_in) else "" for row in rows}
    return [
        clash for row in rows for clash in _clashes(row, taken[row.id], adults, persons.get(row.id, []), names, classes)
    ]


async def _classes_of(session: AsyncSession, pupil_id: str) -> frozenset[str]:
    rows = await session.exec(select(GroupMember.group_id).where(
        GroupMember.person_id == pupil_id, GroupMember.part == "pupil"
    ))
    return frozenset(rows.all())


def _takes(row: Lesson, pupil: str, classes: frozenset[str]) -> bool:
    return row.pupil_id == pupil if row.pupil_id else row.group_id in classes


def _clashes(row: Lesson, whom: str, adults: dict[str, rosters.Adult], persons: list[str],
             names: dict[str, PersonView], classes: dict[str, str]) -> Iterator[rules.Clash]:
    """`whom` the lesson takes: the class, or the pupil; empty when only an adult."""
    teacher = next((names[person].name for person in persons if person in names), classes[row.group_id])
    if whom:
        yield rules.Clash(whom, row.title, teacher, row.starts_at, row.ends_at)
        return  # one lesson in the way is one thing to put right
    for person in persons:
        if person in adults:
            yield rules.Clash(adults[person].name, row.title, classes[row.group_id], row.starts_at, row.ends_at)


async def _adults_of(session: AsyncSession, lesson_ids: Sequence[str]) -> dict[str, list[str]]:
    rows = (await session.exec(select(LessonAdult).where(col(LessonAdult.lesson_id).in_(lesson_ids)))).all()
    found: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: rosters.PARTS.index(row.part)):
        found.setdefault(row.lesson_id, []).append(row.person_id)
    return found


Slots = dict[int, list[tuple[time, time]]]


async def _duty(session: AsyncSession, school_id: str, *, but: Iterable[str]) -> Slots:
    """The safeguarding rota by weekday, `but` those who are busy in the lesson: a worry in it may be about them."""
    rows = await session.exec(select(DutySlot).where(DutySlot.school_id == school_id, col(DutySlot.person_id).not_in(list(but))))
    slots: Slots = {}
    for row in rows:
        slots.setdefault(row.weekday, []).append((time.fromisoformat(row.starts_at), time.fromisoformat(row.ends_at)))
    return slots


def _on_duty(slots: Slots, span: tuple[datetime, datetime], zone: str) -> bool:
    """Whether the rota has somebody for every moment of a lesson."""
    start, end = (at.astimezone(ZoneInfo(zone)) for at in span)
    return start.date() == end.date() and rules.is_covered(slots.get(start.weekday(), []), start.time(), end.time())


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
        select(Lesson).where(Lesson.group_id == group_id, Lesson.status == "planned", col(Lesson.id).in_(mine),
                             col(Lesson.breakout_of).is_(None))
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
