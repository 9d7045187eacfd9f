"""Planning lessons: load, ask the rules, write, publish. The school's timetable is held while a plan is measured against it,
so that of two plans for one teacher and one time exactly one is made.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import proposals, rules
from lessons import roster as rosters
from lessons.events import (
    CoverArranged,
    LessonApproved,
    LessonCancelled,
    LessonMoved,
    LessonPlanned,
    LessonRefused,
    LinkAdded,
    LinkPreviewed,
    LinkRemoved,
    SecondAdultAdded,
    WordListChanged,
)
from lessons.proposals import Measured, Wanted
from lessons.tables import Lesson, LessonAdult, LessonLink, Series, WordListVersion
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import LEADERS, Actor
from service.people import queries as people
from service.people.tables import School
from service.safeguarding.commands import raise_alert


class PlanRefused(Invalid):
    """The plan does not meet the school's rules."""

    code = "plan-refused"

    def __init__(self, measured: Sequence[Measured]):
        self.measured = tuple(measured)
        super().__init__("There is a problem", fields=proposals.first_words(self.refusals))

    @property
    def refusals(self) -> list[rules.Refusal]:
        return list(dict.fromkeys(refusal for one in self.measured for refusal in one.refusals))

    @property
    def may_be_asked(self) -> bool:
        """Whether a reason would send this one lesson to a senior leader."""
        return len(self.measured) == 1 and all(refusal.may_be_asked for refusal in self.refusals)


class LessonOver(Conflict):
    """This lesson has started or is over, so it cannot be changed."""

    code = "lesson-over"


class OneToOneIsFixed(Conflict):
    """An approval is for one exact time, adult and pupil. Cancel this lesson and ask for another one-to-one."""

    code = "one-to-one-is-fixed"


class OneToOneWaits(Conflict):
    """This waits for approval. Take the request back instead."""

    code = "one-to-one-waits"


class OwnDecision(NotAllowed):
    """You cannot decide this. You planned it or you are the adult in it."""

    code = "own-decision"


@dataclass(frozen=True)
class Made:
    """What a plan became: the lessons, earliest first, and how they were decided."""

    lesson_ids: tuple[str, ...]
    decision: rules.Decision


# Planning


async def plan(session: AsyncSession, actor: Actor, wanted: Wanted, now: datetime) -> Made:
    """Plan one lesson or a weekly series. Raises PlanRefused with every date's refusals; then nothing was written."""
    await proposals.own_group(session, actor, wanted.group_id)
    for person_id in wanted.adults[1:]:
        await _of_staff(session, actor, person_id, field="second")
    await hold_timetable(session, actor.school_id)
    measured = await proposals.measure(session, actor.school_id, wanted, now)
    decision = _decide(measured, wanted)
    if decision is rules.Decision.REFUSED:
        raise PlanRefused(measured)
    series = await _series(session, actor, wanted) if wanted.until else None
    made = await _write(session, actor, wanted, measured, series, decision, now)
    return Made(tuple(lesson.id for lesson in made), decision)


def _decide(measured: Sequence[Measured], wanted: Wanted) -> rules.Decision:
    """An exception is for one exact lesson: a series is inside the profile on every date, or not planned."""
    found = [refusal for one in measured for refusal in one.refusals]
    return rules.decide(found, because=wanted.because if len(measured) == 1 and not wanted.until else "")


async def hold_timetable(session: AsyncSession, school_id: str) -> None:
    """Until this transaction ends nobody else plans in this school. SQLite's writer is already alone."""
    await session.exec(select(School.id).where(School.id == school_id).with_for_update())


async def _series(session: AsyncSession, actor: Actor, wanted: Wanted) -> Series:
    assert wanted.until is not None
    series = Series(school_id=actor.school_id, until=wanted.until)
    session.add(series)
    await session.flush()
    return series


async def _write(session: AsyncSession, actor: Actor, wanted: Wanted, measured: Sequence[Measured], series: Series | None,
                 decision: rules.Decision, now: datetime) -> list[Lesson]:
    """Every date as a lesson of its own, and what happened told once all of them stand."""
    lessons = [_lesson_of(actor, wanted, one, series, decision, now) for one in measured]
    session.add_all(lessons)
    await session.flush()
    for lesson in lessons:
        session.add_all(
            LessonAdult(lesson_id=lesson.id, person_id=person, school_id=actor.school_id, part="second" if second else "teacher")
            for second, person in enumerate(wanted.adults)
        )
        await _write_links(session, actor, wanted, lesson.id, now)
    pupils = await rosters.pupils_of(session, actor.school_id, wanted.group_id, now.date())
    expected = sum(pupil.may_take_part for pupil in pupils)
    for lesson in lessons:
        await publish(session, LessonPlanned(
            lesson_id=lesson.id, group_id=lesson.group_id, starts_at=lesson.starts_at.isoformat(),
            ends_at=lesson.ends_at.isoformat(), status=lesson.status, outside=lesson.outside, pupils=expected,
            adults=len(wanted.adults),
        ), actor)
    if expected == 1:
        await _tell_dsl(session, actor, wanted, lessons[0].id, now)
    return lessons


def _lesson_of(actor: Actor, wanted: Wanted, one: Measured, series: Series | None, decision: rules.Decision,
               now: datetime) -> Lesson:
    outside = " ".join(dict.fromkeys(refusal.rule for refusal in one.refusals))
    return Lesson(
        school_id=actor.school_id, group_id=wanted.group_id, series_id=series.id if series else None, title=wanted.title,
        about=wanted.about, platform_id=wanted.platform_id or None, starts_at=one.starts_at, ends_at=one.ends_at,
        status=decision, planned_by=actor.person_id, planned_at=now, outside=outside,
        asked_because=wanted.because if outside else "",
    )


async def _tell_dsl(session: AsyncSession, actor: Actor, wanted: Wanted, lesson_id: str, now: datetime) -> None:
    """One pupil with two adults is allowed, and never goes unseen (policy: RL1)."""
    group = await people.group(session, actor.school_id, wanted.group_id)
    await raise_alert(session, actor, kind="one-pupil", lesson_id=lesson_id, place=f"{wanted.title}, {group.name}",
                      present=wanted.adults, now=now)


async def _write_links(session: AsyncSession, actor: Actor, wanted: Wanted, lesson_id: str, now: datetime) -> None:
    for url in wanted.links:
        link = LessonLink(school_id=actor.school_id, lesson_id=lesson_id, url=url)
        session.add(link)
        if url in wanted.previewed:
            link.previewed_by, link.previewed_at = actor.person_id, now
            await publish(session, LinkPreviewed(lesson_id=lesson_id, link_id=link.id, url=url), actor)


# Deciding what is outside the profile


async def decide(session: AsyncSession, actor: Actor, lesson_id: str, *, approve: bool, reason: str, now: datetime) -> None:
    """A senior leader approves or refuses a lesson that waits. Floors are measured again: an approval lifts none of them."""
    lesson = await _lesson(session, actor, lesson_id)
    if not actor.is_any(LEADERS):
        raise NotFound()
    await hold_timetable(session, actor.school_id)
    if lesson.status != "waiting" or lesson.pupil_id:  # a one-to-one is decided as its request (policy: RL1)
        raise Conflict()
    wanted = await as_wanted(session, lesson)
    if not rules.may_decide(actor.person_id, planned_by=lesson.planned_by, adults=wanted.adults):
        raise OwnDecision()
    if not reason.strip():
        raise Invalid("There is a problem", fields={"reason": "Give a reason"})
    if approve:
        await _refuse_broken_floors(session, actor, wanted, now)
    lesson.status, lesson.decided_by, lesson.decision_reason = "planned" if approve else "refused", actor.person_id, reason
    lesson.version += 1
    event = LessonApproved if approve else LessonRefused
    await publish(session, event(lesson_id=lesson.id, reason=reason), actor)


async def _refuse_broken_floors(session: AsyncSession, actor: Actor, wanted: Wanted, now: datetime) -> None:
    measured = await proposals.measure(session, actor.school_id, wanted, now)
    floors = [replace(one, refusals=tuple(r for r in one.refusals if not r.may_be_asked)) for one in measured]
    if any(one.refusals for one in floors):
        raise PlanRefused(floors)


# Changing


async def move(session: AsyncSession, actor: Actor, lesson_id: str, *, day: date, at: time, minutes: int, later: bool,
               now: datetime) -> Made:
    """Move a lesson, or it and the later ones of its series by as many days, each to the same time on the wall."""
    lesson, affected = await _changeable(session, actor, lesson_id, later=later, now=now)
    _refuse_one_to_one(affected)
    await hold_timetable(session, actor.school_id)
    zone = (await people.school(session, actor.school_id)).zone
    shift = day - lesson.starts_at.astimezone(ZoneInfo(zone)).date()
    moved = [(row, rules.moment(row.starts_at.astimezone(ZoneInfo(zone)).date() + shift, at, zone)) for row in affected]
    measured = [
        one for row, starts_at in moved
        for one in await _measure_again(session, row, now, starts=(starts_at,), minutes=minutes, but=affected)
    ]
    refused = [one for one in measured if one.refusals]
    if refused:
        raise PlanRefused(refused)
    for (row, _), one in zip(moved, measured, strict=True):
        before, row.moved_from = row.starts_at, row.starts_at if row.starts_at != one.starts_at else row.moved_from
        row.starts_at, row.ends_at, row.version = one.starts_at, one.ends_at, row.version + 1
        row.status, row.outside = "planned", row.outside if row.decided_by else ""
        await publish(session, LessonMoved(
            lesson_id=row.id, from_starts_at=before.isoformat(), starts_at=row.starts_at.isoformat(),
            ends_at=row.ends_at.isoformat(),
        ), actor)
    return Made(tuple(row.id for row in affected), rules.Decision.PLANNED)


def _refuse_one_to_one(affected: Iterable[Lesson]) -> None:
    if any(row.pupil_id for row in affected):
        raise OneToOneIsFixed()


async def _measure_again(session: AsyncSession, row: Lesson, now: datetime, *, starts: tuple[datetime, ...], minutes: int,
                         but: Iterable[Lesson], adults: tuple[str, ...] = ()) -> list[Measured]:
    """A changed lesson against the rules. What a leader approved for this lesson stays approved, if its time stays."""
    wanted = await as_wanted(session, row)
    changed = replace(wanted, starts=starts, minutes=minutes, except_for=frozenset(other.id for other in but),
                      adults=adults or wanted.adults)
    measured = await proposals.measure(session, row.school_id, changed, now)
    stays = row.decided_by and starts == wanted.starts and minutes == wanted.minutes
    return [_without(one, row.outside.split()) for one in measured] if stays else measured


def _without(one: Measured, approved: Sequence[str]) -> Measured:
    return replace(one, refusals=tuple(r for r in one.refusals if not (r.may_be_asked and r.rule in approved)))


async def cancel(session: AsyncSession, actor: Actor, lesson_id: str, *, because: str, later: bool, now: datetime) -> Made:
    """Cancel a lesson, or it and the later ones. It stays on every timetable as cancelled: that is how families are told."""
    _, affected = await _changeable(session, actor, lesson_id, later=later, now=now)
    if any(row.pupil_id and row.status == "waiting" for row in affected):
        raise OneToOneWaits()
    for row in affected:
        row.status, row.cancelled_because, row.version = "cancelled", because.strip(), row.version + 1
        await publish(session, LessonCancelled(lesson_id=row.id, because=row.cancelled_because), actor)
    return Made(tuple(row.id for row in affected), rules.Decision.REFUSED)


async def cover(session: AsyncSession, actor: Actor, lesson_id: str, *, person_id: str, later: bool, now: datetime) -> Made:
    """Another cleared adult runs the lesson instead; the first one is no longer on its roster."""
    _, affected = await _changeable(session, actor, lesson_id, later=later, now=now, started=True)
    _refuse_one_to_one(affected)
    await hold_timetable(session, actor.school_id)
    await _of_staff(session, actor, person_id)
    for row in affected:
        adults = await _adults(session, row)
        teacher = next(adult for adult in adults if adult.part in ("teacher", "cover"))
        if teacher.person_id == person_id:
            raise Invalid("There is a problem", fields={"person": "They already teach this lesson"})
        others = tuple(adult.person_id for adult in adults if adult is not teacher and adult.person_id != person_id)
        await _refuse_if_broken(session, row, now, (person_id, *others), affected)
        for adult in adults:
            if adult is teacher or adult.person_id == person_id:
                await session.delete(adult)
        await session.flush()
        session.add(LessonAdult(lesson_id=row.id, person_id=person_id, school_id=row.school_id, part="cover"))
        row.version += 1
        event = CoverArranged(lesson_id=row.id, instead_of=teacher.person_id, person_id=person_id)
        await publish(session, event, actor)
    return Made(tuple(row.id for row in affected), rules.Decision.PLANNED)


async def add_second(session: AsyncSession, actor: Actor, lesson_id: str, *, person_id: str, now: datetime) -> None:
    """A second adult joins the roster, also while the lesson is on: the way out of a lone adult (policy: RL1)."""
    row, affected = await _changeable(session, actor, lesson_id, later=False, now=now, started=True)
    if row.pupil_id and row.status == "waiting":
        raise OneToOneWaits()
    await hold_timetable(session, actor.school_id)
    await _of_staff(session, actor, person_id)
    adults = tuple(adult.person_id for adult in await _adults(session, row))
    if person_id in adults:
        raise Invalid("There is a problem", fields={"person": "They are already in this lesson"})
    await _refuse_if_broken(session, row, now, (*adults, person_id), affected)
    session.add(LessonAdult(lesson_id=row.id, person_id=person_id, school_id=row.school_id, part="second"))
    row.version += 1
    await publish(session, SecondAdultAdded(lesson_id=row.id, person_id=person_id), actor)


async def _refuse_if_broken(session: AsyncSession, row: Lesson, now: datetime, adults: tuple[str, ...],
                            but: Iterable[Lesson]) -> None:
    """Only what the change of adults can break: their clearance, their other lessons, how many of them supervise, and whether
    somebody who is not in the lesson is left on duty for it."""
    minutes = int((row.ends_at - row.starts_at) / timedelta(minutes=1))
    measured = await _measure_again(session, row, now, starts=(row.starts_at,), minutes=minutes, but=but, adults=adults)
    about = {rules.Rule.DBS, rules.Rule.AGREEMENT, rules.Rule.CLASH, rules.Rule.GUEST_ONLY, rules.Rule.ONE_PUPIL}
    broken = tuple(r for one in measured for r in one.refusals if r.rule in about)
    if any(r.rule is rules.Rule.NOBODY_ON_DUTY for one in measured for r in one.refusals):
        before = await _measure_again(session, row, now, starts=(row.starts_at,), minutes=minutes, but=but)
        if all(r.rule is not rules.Rule.NOBODY_ON_DUTY for one in before for r in one.refusals):
            broken += (rules.LEAVES_NOBODY_ON_DUTY,)
    if broken:
        raise PlanRefused([replace(measured[0], refusals=tuple(replace(refusal, field="person") for refusal in broken))])


async def _of_staff(session: AsyncSession, actor: Actor, person_id: str, field: str = "person") -> None:
    staff = await people.holders(session, actor.school_id, proposals.TEACHING)
    if person_id not in {person.id for person in staff}:
        raise Invalid("There is a problem", fields={field: "Choose a member of staff"})


# Links


async def add_link(session: AsyncSession, actor: Actor, lesson_id: str, *, url: str, now: datetime) -> str:
    """Put an address on the plan, unpreviewed. It opens in the lesson only once somebody looked at it (policy: RL10)."""
    row, _ = await _changeable(session, actor, lesson_id, later=False, now=now, started=True)
    address = rules.with_scheme(url)
    words = await rosters.word_list(session, actor.school_id)
    if not rules.is_allowed(address, words.links):
        dsl = await proposals.dsl_name(session, actor.school_id)
        problem = f"This address is not on the allowed list. Ask {dsl} to allow it, or remove it"
        raise Invalid("There is a problem", fields={"url": problem})
    link = LessonLink(school_id=actor.school_id, lesson_id=lesson_id, url=address)
    session.add(link)
    row.version += 1
    await publish(session, LinkAdded(lesson_id=lesson_id, link_id=link.id, url=address), actor)
    return link.id


async def preview_link(session: AsyncSession, actor: Actor, lesson_id: str, link_id: str, *, looked: bool, now: datetime) -> None:
    """Somebody on staff looked at the whole page today, and it suits the class. Kept with name and time."""
    row, link = await _link(session, actor, lesson_id, link_id, now)
    if not looked:
        raise Invalid("There is a problem", fields={"looked": "Look at the whole page, then tick the box"})
    link.previewed_by, link.previewed_at, row.version = actor.person_id, now, row.version + 1
    await publish(session, LinkPreviewed(lesson_id=lesson_id, link_id=link.id, url=link.url), actor)


async def remove_link(session: AsyncSession, actor: Actor, lesson_id: str, link_id: str, *, now: datetime) -> None:
    row, link = await _link(session, actor, lesson_id, link_id, now)
    await session.delete(link)
    row.version += 1
    await publish(session, LinkRemoved(lesson_id=lesson_id, link_id=link.id, url=link.url), actor)


async def _link(session: AsyncSession, actor: Actor, lesson_id: str, link_id: str, now: datetime) -> tuple[Lesson, LessonLink]:
    row, _ = await _changeable(session, actor, lesson_id, later=False, now=now, started=True)
    link = await session.get(LessonLink, link_id)
    if link is None or link.lesson_id != row.id:
        raise NotFound()
    return row, link


async def change_words(session: AsyncSession, actor: Actor, *, words: Sequence[str], links: Sequence[str], reason: str,
                       expires_at: datetime | None, now: datetime) -> int:
    """A new version of the school's lists, with who and why; `expires_at` makes it temporary (policy: IN6)."""
    wrong = {}
    if not reason.strip():
        wrong["reason"] = "Say why"
    if bad := next((link for link in links if not rules.is_web_address(rules.with_scheme(link))), None):
        wrong["links"] = f"{bad} is not a web address"
    if expires_at is not None and expires_at <= now:
        wrong["expires"] = "Choose a day that has not passed"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    newest = await session.exec(
        select(WordListVersion.version).where(WordListVersion.school_id == actor.school_id)
        .order_by(col(WordListVersion.version).desc()).limit(1)
    )
    version = (newest.first() or 0) + 1
    row = WordListVersion(
        school_id=actor.school_id, version=version, words=json.dumps(list(words)), allowed_links=json.dumps(list(links)),
        reason=reason.strip(), changed_by=actor.person_id, changed_at=now, expires_at=expires_at,
    )
    session.add(row)
    await publish(session, WordListChanged(
        list_id=row.id, version=version, reason=row.reason, words=len(words), links=len(links),
        expires_at=expires_at.isoformat() if expires_at else "",
    ), actor)
    return version


# Loading


async def _lesson(session: AsyncSession, actor: Actor, lesson_id: str) -> Lesson:
    """A breakout room is not planned or changed by itself: it is as its lesson is."""
    lesson = await session.get(Lesson, lesson_id)
    if lesson is None or lesson.school_id != actor.school_id or lesson.breakout_of is not None:
        raise NotFound()
    return lesson


async def _adults(session: AsyncSession, lesson: Lesson) -> list[LessonAdult]:
    rows = (await session.exec(select(LessonAdult).where(LessonAdult.lesson_id == lesson.id))).all()
    return sorted(rows, key=lambda row: rosters.PARTS.index(row.part))


async def as_wanted(session: AsyncSession, lesson: Lesson) -> Wanted:
    """An existing lesson as it was wanted."""
    links = (await session.exec(select(LessonLink.url).where(LessonLink.lesson_id == lesson.id))).all()
    return Wanted(
        group_id=lesson.group_id, title=lesson.title, starts=(lesson.starts_at,),
        minutes=int((lesson.ends_at - lesson.starts_at) / timedelta(minutes=1)), about=lesson.about, links=tuple(links),
        adults=tuple(adult.person_id for adult in await _adults(session, lesson)), platform_id=lesson.platform_id or "",
        pupil_id=lesson.pupil_id or "", except_for=frozenset({lesson.id}),
    )


async def _changeable(session: AsyncSession, actor: Actor, lesson_id: str, *, later: bool, now: datetime,
                      started: bool = False) -> tuple[Lesson, list[Lesson]]:
    """The lesson, and those that a change reaches: itself, or with `later` the rest of its series too.

    Only its planner, its adults and senior leaders may change it; `started`: also while it is on.
    """
    lesson = await _lesson(session, actor, lesson_id)
    adults = {adult.person_id for adult in await _adults(session, lesson)}
    if actor.person_id not in adults | {lesson.planned_by} and not actor.is_any(LEADERS):
        raise NotFound()
    is_over = lesson.ended_at is not None or now >= lesson.ends_at or lesson.status in ("cancelled", "refused")
    if is_over or (lesson.started_at is not None and not started):
        raise LessonOver()
    if not later or lesson.series_id is None:
        return lesson, [lesson]
    rows = (await session.exec(select(Lesson).where(
        Lesson.series_id == lesson.series_id, Lesson.starts_at >= lesson.starts_at, col(Lesson.started_at).is_(None),
        col(Lesson.status).in_(("planned", "waiting")),
    ).order_by(col(Lesson.starts_at)))).all()
    return lesson, list(rows)
