"""Asking for a one-to-one lesson and deciding about it: the lesson is made here, the approval in `safeguarding.approvals`.

A one-to-one is a lesson for one pupil, measured by the same rules as any lesson but for the number of pupils. It waits until
somebody else approves exactly it; what changes afterwards needs a new request (policy: RL1, CM6).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import commands as planning
from lessons import proposals
from lessons import roster as rosters
from lessons.events import LessonApproved, LessonCancelled, LessonPlanned, LessonRefused, SecondAdultAdded
from lessons.one_to_one import rules
from lessons.proposals import Measured, Wanted
from lessons.tables import Lesson, LessonAdult, Series
from service.foundation.bus import publish
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import LEADERS, Actor
from service.people import queries as people
from service.people.step_up import Proof
from service.people.tables import GroupMember, TeachingGroup
from service.safeguarding.approvals import commands as approvals
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals.commands import Changed, NewRequest, TooLate, Verdict
from service.safeguarding.approvals.events import OneToOneRevoked
from service.safeguarding.approvals.queries import Request
from service.safeguarding.approvals.rules import PARENT, TRIED, Kind, Status
from service.safeguarding.commands import raise_alert


@dataclass(frozen=True)
class Wish:
    """What a teacher asks for: `starts` are the dates of a series, or one. `until`: the day typed as the last of a series."""

    pupil_id: str
    adult_id: str
    starts: tuple[datetime, ...]
    minutes: int
    why: str
    tried: tuple[str, ...] = ()
    safeguards: str = ""
    parent_present: str = "unknown"
    camera_on: bool = False
    until: date | None = None


# Asking


async def ask(session: AsyncSession, actor: Actor, wish: Wish, now: datetime) -> str:
    """Make the lessons, waiting, and the request about them. Raises Invalid with words for each field; returns its id."""
    group = await shared_class(session, actor, wish.adult_id, wish.pupil_id)
    await planning.hold_timetable(session, actor.school_id)
    wanted = Wanted(group_id=group, title=rules.TITLE, starts=wish.starts, minutes=wish.minutes, adults=(wish.adult_id,),
                    pupil_id=wish.pupil_id, until=wish.until)
    measured = await proposals.measure(session, actor.school_id, wanted, now)
    wrong = await _wrong(session, actor, wish, measured, now)
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    lessons = await _write(session, actor, wish, group, measured, now)
    return await approvals.ask(session, actor, NewRequest(
        Kind.PLANNED, wish.adult_id, wish.pupil_id, tuple((row.id, row.starts_at, row.ends_at) for row in lessons), wish.why,
        wish.tried, wish.safeguards, wish.parent_present, wish.camera_on,
    ), now)


async def shared_class(session: AsyncSession, actor: Actor, adult_id: str, pupil_id: str) -> str:
    """A class that the adult teaches the pupil in; for a leader, who plans for every class, any class of the pupil."""
    if adult_id != actor.person_id and not actor.is_any(LEADERS):
        raise NotFound()
    adult = (await people.people(session, actor.school_id, [adult_id])).get(adult_id)
    if adult is None or adult.is_child or not adult.roles & proposals.TEACHING:
        raise Invalid("There is a problem", fields={"adult": "Choose a member of staff"})
    theirs = select(GroupMember.group_id).where(GroupMember.person_id == adult_id, GroupMember.part == "teacher")
    classes = select(GroupMember.group_id).join(TeachingGroup, col(TeachingGroup.id) == GroupMember.group_id).where(
        GroupMember.school_id == actor.school_id, GroupMember.person_id == pupil_id, GroupMember.part == "pupil",
        col(TeachingGroup.archived_on).is_(None),
    ).order_by(col(TeachingGroup.name))
    found = (await session.exec(classes.where(col(GroupMember.group_id).in_(theirs)))).first()
    if found is None and actor.is_any(LEADERS):
        found = (await session.exec(classes)).first()
    if found is None:
        raise Invalid("There is a problem", fields={"pupil": "Choose a pupil you teach"})
    return found


async def _wrong(session: AsyncSession, actor: Actor, wish: Wish, measured: Sequence[Measured], now: datetime) -> dict[str, str]:
    hours, profile = await proposals.school_hours(session, actor.school_id), await people.profile(session, actor.school_id)
    wrong = proposals.first_words(refusal for one in measured for refusal in one.refusals)
    wrong = {{"group": "pupil"}.get(field, field): words for field, words in wrong.items()}
    for field, words in rules.problems(wish.starts, hours, profile, now).items():
        wrong.setdefault(field, words)
    if not wish.why.strip():
        wrong["why"] = "Say why this cannot be a group"
    if not wish.safeguards.strip():
        wrong["safeguards"] = "Say what will keep it safe"
    if not set(wish.tried) <= set(TRIED) or wish.parent_present not in PARENT:
        wrong["tried"] = "Choose from the list"
    return wrong


async def _write(session: AsyncSession, actor: Actor, wish: Wish, group: str, measured: Sequence[Measured],
                 now: datetime) -> list[Lesson]:
    series = Series(school_id=actor.school_id, until=wish.until) if wish.until and len(measured) > 1 else None
    if series is not None:
        session.add(series)
        await session.flush()
    rows = [Lesson(
        school_id=actor.school_id, group_id=group, pupil_id=wish.pupil_id, series_id=series.id if series else None,
        title=rules.TITLE, starts_at=one.starts_at, ends_at=one.ends_at, status="waiting", planned_by=actor.person_id,
        planned_at=now, outside=rules.OUTSIDE, asked_because=wish.why[:500],
    ) for one in measured]
    session.add_all(rows)
    await session.flush()
    session.add_all(LessonAdult(lesson_id=row.id, person_id=wish.adult_id, school_id=actor.school_id, part="teacher")
                    for row in rows)
    await session.flush()
    for row in rows:
        await publish(session, LessonPlanned(
            lesson_id=row.id, group_id=group, starts_at=row.starts_at.isoformat(), ends_at=row.ends_at.isoformat(),
            status=row.status, outside=row.outside, pupils=1, adults=1,
        ), actor)
    return rows


async def withdraw(session: AsyncSession, actor: Actor, request_id: str, now: datetime) -> None:
    """Whoever asked takes the request back; its lessons never take place."""
    found = await approvals.withdraw(session, actor, request_id, now)
    await _refuse_lessons(session, actor, found, "The request was taken back.")


# Deciding


async def versions_of(session: AsyncSession, request: Request) -> dict[str, int]:
    """The lessons of a request as they stand: a decision is bound to them."""
    ids = [one.lesson_id for one in request.asked.lessons]
    return dict((await session.exec(select(Lesson.id, Lesson.version).where(col(Lesson.id).in_(ids)))).all())


async def to_decide(session: AsyncSession, actor: Actor, verdict: Verdict, now: datetime, *, is_yes: bool) -> Request:
    """The request, when this decision could be made now; else what stands in its way. Nothing is written."""
    found, verdict = await _as_it_stands(session, actor, verdict)
    _, found = await approvals.to_decide(session, actor, verdict, now)
    if is_yes:
        await approvals.to_approve(session, actor, found, verdict)
    if is_yes and found.asked.kind == Kind.PLANNED:
        await _measure_again(session, actor, found, now)
    return found


async def approve(session: AsyncSession, actor: Actor, verdict: Verdict, proof: Proof, now: datetime) -> None:
    """Approve exactly what was read. The rules of planning are measured again: an approval lifts none of them."""
    found, verdict = await _as_it_stands(session, actor, verdict)
    if found.asked.kind == Kind.PLANNED and found.is_open(now):
        await _measure_again(session, actor, found, now)
    holds = await approvals.approve(session, actor, verdict, proof, now)
    if found.asked.kind == Kind.NOW:
        return
    for row in await lessons_of(session, found):
        is_approved = row.id in holds
        row.status, row.decided_by = "planned" if is_approved else "refused", actor.person_id
        row.decision_reason, row.version = verdict.reason.strip(), row.version + 1
        event = LessonApproved if is_approved else LessonRefused
        await publish(session, event(lesson_id=row.id, reason=row.decision_reason), actor)


async def refuse(session: AsyncSession, actor: Actor, verdict: Verdict, proof: Proof, now: datetime) -> None:
    _, verdict = await _as_it_stands(session, actor, verdict)
    found = await approvals.refuse(session, actor, verdict, proof, now)
    await _refuse_lessons(session, actor, found, verdict.reason.strip())


async def question(session: AsyncSession, actor: Actor, verdict: Verdict, now: datetime) -> None:
    """“Ask for more.”"""
    _, verdict = await _as_it_stands(session, actor, verdict)
    await approvals.question(session, actor, verdict, now)


async def _as_it_stands(session: AsyncSession, actor: Actor, verdict: Verdict) -> tuple[Request, Verdict]:
    """The request, and the verdict with the versions of its lessons. Whoever may not decide learns nothing else."""
    found = await approved.request(session, actor.school_id, verdict.request_id)
    await approvals.refuse_if_barred(session, actor, found)
    return found, replace(verdict, versions=await versions_of(session, found))


async def _measure_again(session: AsyncSession, actor: Actor, found: Request, now: datetime) -> None:
    await planning.hold_timetable(session, actor.school_id)
    rows = await lessons_of(session, found)
    if any(row.status != "waiting" for row in rows):
        raise Changed()
    broken = [refusal.words for row in rows for one in await measure(session, row, now) for refusal in one.refusals]
    if broken:
        raise Invalid("There is a problem", fields={"verdict": ". ".join(dict.fromkeys(broken))})


async def measure(session: AsyncSession, row: Lesson, now: datetime, adults: tuple[str, ...] = ()) -> list[Measured]:
    """A one-to-one against the rules of planning, as it is or with other adults."""
    wanted = await planning.as_wanted(session, row)
    but = frozenset(await _of_the_same(session, row))
    return await proposals.measure(session, row.school_id, replace(wanted, adults=adults or wanted.adults, except_for=but), now)


async def _of_the_same(session: AsyncSession, row: Lesson) -> list[str]:
    if row.series_id is None:
        return [row.id]
    return list((await session.exec(select(Lesson.id).where(Lesson.series_id == row.series_id))).all())


async def lessons_of(session: AsyncSession, found: Request) -> list[Lesson]:
    ids = [one.lesson_id for one in found.asked.lessons]
    return list((await session.exec(select(Lesson).where(col(Lesson.id).in_(ids)).order_by(col(Lesson.starts_at)))).all())


async def _refuse_lessons(session: AsyncSession, actor: Actor, found: Request, reason: str) -> None:
    if found.asked.kind == Kind.NOW:
        return
    for row in await lessons_of(session, found):
        row.status, row.decided_by, row.decision_reason, row.version = "refused", actor.person_id, reason, row.version + 1
        await publish(session, LessonRefused(lesson_id=row.id, reason=reason), actor)


async def add_second(session: AsyncSession, actor: Actor, request_id: str, person_id: str, now: datetime) -> None:
    """A colleague joins every lesson of a request instead: two cleared adults need no exception, and the DSL is told."""
    found = await approved.request(session, actor.school_id, request_id)
    await approvals.refuse_if_barred(session, actor, found)
    if found.asked.kind == Kind.NOW:
        raise NotFound()
    if person_id in (found.parties.adult, found.parties.child):
        raise Invalid("There is a problem", fields={"second": "They are already in this lesson"})
    await planning.hold_timetable(session, actor.school_id)
    rows = await lessons_of(session, found)
    if not found.is_open(now):
        raise TooLate() if found.status in (Status.WAITING, Status.QUESTIONED) else approvals.Decided()
    await _refuse_unfit_second(session, actor, rows, found.parties.adult, person_id, now)
    await approvals.close_as_not_needed(session, actor, request_id, person_id, now)
    for row in rows:
        session.add(LessonAdult(lesson_id=row.id, person_id=person_id, school_id=row.school_id, part="second"))
        row.status, row.version, row.outside = "planned", row.version + 1, ""
        await publish(session, SecondAdultAdded(lesson_id=row.id, person_id=person_id), actor)
    group = await people.group(session, actor.school_id, rows[0].group_id)
    await raise_alert(session, actor, kind="one-pupil", lesson_id=rows[0].id, place=f"{rules.TITLE}, {group.name}",
                      present=(found.parties.adult, person_id), now=now)


async def _refuse_unfit_second(session: AsyncSession, actor: Actor, rows: Sequence[Lesson], adult_id: str, person_id: str,
                               now: datetime) -> None:
    staff = {person.id for person in await people.holders(session, actor.school_id, proposals.TEACHING)}
    cleared = await rosters.adults_of(session, actor.school_id, {adult_id: "teacher", person_id: "second"}, now.date())
    words = [] if person_id in staff else ["Choose a member of staff"]
    words += [f"{one.name} cannot be in it: a guest, or not cleared" for one in cleared if one.is_guest or not one.is_cleared]
    measured = [one for row in rows for one in await measure(session, row, now, (adult_id, person_id))]
    words += [refusal.words for one in measured for refusal in one.refusals]
    if words:
        raise Invalid("There is a problem", fields={"second": words[0]})


# Ending


async def cancel_what_is_to_come(session: AsyncSession, event: OneToOneRevoked, actor: Actor) -> None:
    """A one-to-one whose approval ends before its doors open does not take place, and everybody can see that.

    One that is on, or about to be, is held by its room.
    """
    row = await session.get(Lesson, event.lesson_id)
    if row is None or row.pupil_id != event.child_id or row.status != "planned" or row.started_at is not None:
        return
    profile = await people.profile(session, row.school_id)
    if session.info["clock"].now() < planning.rules.doors(row.starts_at, row.ends_at, profile).staff_from:
        row.status, row.cancelled_because, row.version = "cancelled", "", row.version + 1
        await publish(session, LessonCancelled(lesson_id=row.id, because=""), actor)
