"""Reading about recordings for teaching practice, always within one school."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as consents
from consent.rules import Purpose, Status
from recordings.ending import queries as endings
from recordings.ending import rules as ending
from recordings.ending.tables import Destruction
from recordings.erasure import queries as erasures
from recordings.grants import queries as granted
from recordings.practice import rules
from recordings.practice.rules import Plan, Shown, Verdict
from recordings.practice.tables import PracticeAdult, PracticePlan, PracticeView
from recordings.tables import Recording, RecordingParticipant
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.people.tables import Person
from service.safeguarding.concerns.tables import Concern


async def plan(session: AsyncSession, school_id: str, plan_id: str) -> Plan:
    found = await _plans(session, PracticePlan.school_id == school_id, PracticePlan.id == plan_id)
    if not found:
        raise NotFound()
    return found[0]


async def of_lesson(session: AsyncSession, school_id: str, lesson_id: str) -> Plan | None:
    """What stands for a lesson; None where nothing was asked, or it has ended."""
    found = await _plans(session, PracticePlan.school_id == school_id, PracticePlan.lesson_id == lesson_id,
                         col(PracticePlan.ended_at).is_(None))
    return found[0] if found else None


async def open_plans(session: AsyncSession, school_id: str = "") -> list[Plan]:
    """What has not ended, of every school or of one."""
    mine = () if not school_id else (PracticePlan.school_id == school_id,)
    return await _plans(session, col(PracticePlan.ended_at).is_(None), *mine)


async def unmade_plans(session: AsyncSession) -> list[Plan]:
    """What has ended, of every school, without a recording."""
    return await _plans(session, col(PracticePlan.ended_at).is_not(None), col(Recording.id).is_(None))


async def open_with(session: AsyncSession, school_id: str, child_id: str) -> list[Plan]:
    """What has not ended and shows this child."""
    shows = select(Recording.lesson_id).join(
        RecordingParticipant, col(RecordingParticipant.recording_id) == Recording.id,
    ).where(RecordingParticipant.person_id == child_id)
    return await _plans(session, PracticePlan.school_id == school_id, col(PracticePlan.ended_at).is_(None),
                        col(PracticePlan.lesson_id).in_(shows))


async def listed(session: AsyncSession, actor: Actor, limit: int = 200) -> list[Plan]:
    """What is theirs, the newest lesson first; everything for those who answer for it."""
    if actor.is_any(rules.OVERSEERS):
        return (await _plans(session, PracticePlan.school_id == actor.school_id))[:limit]
    asked = select(PracticeAdult.plan_id).where(PracticeAdult.person_id == actor.person_id)
    return (await _plans(session, PracticePlan.school_id == actor.school_id, or_(
        PracticePlan.teacher_id == actor.person_id, PracticePlan.mentor_id == actor.person_id,
        PracticePlan.asked_by == actor.person_id, col(PracticePlan.id).in_(asked))))[:limit]


async def _plans(session: AsyncSession, *wanted: object) -> list[Plan]:
    rows = (await session.exec(
        select(PracticePlan, Recording.id, Destruction.recording_id)
        .join(Recording, col(Recording.id) == PracticePlan.id, isouter=True)
        .join(Destruction, col(Destruction.recording_id) == PracticePlan.id, isouter=True)
        .where(*wanted).order_by(col(PracticePlan.starts_at).desc())  # type: ignore[arg-type]
    )).all()
    adults = (await session.exec(select(PracticeAdult).where(
        col(PracticeAdult.plan_id).in_([row.id for row, _, _ in rows])))).all()
    return [
        Plan(row.id, row.school_id, row.lesson_id, row.title, row.class_name, row.starts_at, row.teacher_id, row.mentor_id,
             row.asked_by, row.asked_at, frozenset(each.person_id for each in adults if each.plan_id == row.id),
             frozenset(each.person_id for each in adults if each.plan_id == row.id and each.agreed_at), row.ended_at,
             made is not None, gone is not None)
        for row, made, gone in rows
    ]


# -- what it depends on -------------------------------------------------------------------------------------------------------


async def shown(session: AsyncSession, found: Plan) -> Shown:
    """Everybody who was let into the lesson's room."""
    rows = (await session.exec(
        select(Person.id, Person.kind).join(RecordingParticipant, col(RecordingParticipant.person_id) == Person.id)
        .join(Recording, col(Recording.id) == RecordingParticipant.recording_id)
        .where(Recording.school_id == found.school_id, Recording.lesson_id == found.lesson_id)
    )).all()
    children = frozenset(person_id for person_id, kind in rows if kind == "child")
    return Shown(children, frozenset(person_id for person_id, _ in rows) - children)


async def allowed(session: AsyncSession, school_id: str, children: Iterable[str]) -> frozenset[str]:
    """Those of the children whose family allows it now; a conflict, or a yes that ran out, is none (policy: CO2)."""
    said = await consents.statuses(session, school_id, children)
    return frozenset(child for child, by in said.items() if by[Purpose.TEACHING_PRACTICE] is Status.GIVEN)


async def judged(session: AsyncSession, found: Plan, now: datetime) -> Verdict:
    """Whether it may be made and kept, by everything that is true now."""
    there = await shown(session, found)
    yes = await allowed(session, found.school_id, there.children)
    rooms = await _rooms(session, found)
    is_open = await erasures.is_open_about(session, found.school_id, [found.lesson_id, *rooms.values()], there.adults)
    return rules.verdict(found, there, yes, is_clear=await _is_clear(session, found, there, rooms, now), is_open=is_open, now=now)


async def _rooms(session: AsyncSession, found: Plan) -> dict[str, str]:
    """The recordings of the lesson and of its rooms, with which of them each is."""
    return dict((await session.exec(select(Recording.id, Recording.lesson_id).where(
        Recording.school_id == found.school_id,
        or_(col(Recording.lesson_id) == found.lesson_id, col(Recording.main_id) == found.lesson_id)))).all())


async def _is_clear(session: AsyncSession, found: Plan, there: Shown, recordings: dict[str, str], now: datetime) -> bool:
    """Whether nothing keeps the lesson's recording, or that of one of its rooms, for an inquiry. A copy of evidence is what must
    not exist (decision 81), and nobody looks for lessons in teaching at what a concern is about."""
    steps = await endings.steps_of(session, found.school_id)
    if any(ending.in_force(steps.get(recording_id, []), now) for recording_id in recordings):
        return False
    rooms = [found.lesson_id, *recordings.values()]
    if await granted.subjects_of(session, found.school_id, rooms, there.children | there.adults):
        return False
    concerned = select(Concern.id).where(Concern.school_id == found.school_id, col(Concern.lesson_id).in_(rooms)).limit(1)
    return (await session.exec(concerned)).first() is None


@dataclass(frozen=True)
class Watched:
    """Who watched, and when."""

    person_id: str
    at: datetime


async def views(session: AsyncSession, plan_id: str) -> list[Watched]:
    rows = await session.exec(select(PracticeView).where(PracticeView.plan_id == plan_id).order_by(
        col(PracticeView.granted_at).desc()))
    return [Watched(row.person_id, row.granted_at) for row in rows.all()]


async def waiting(session: AsyncSession, actor: Actor) -> int:
    """How many lessons wait for this person's own yes."""
    return (await session.exec(select(func.count()).select_from(PracticeAdult).join(
        PracticePlan, col(PracticePlan.id) == PracticeAdult.plan_id).where(
        PracticeAdult.school_id == actor.school_id, PracticeAdult.person_id == actor.person_id,
        col(PracticeAdult.agreed_at).is_(None), col(PracticePlan.ended_at).is_(None)))).one()
