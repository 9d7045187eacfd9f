"""Open breakout rooms, move a pupil, bring everybody back: load, ask the rule, write, publish. Only those who run the lesson
may; a pupil never (policy: RL1, RL7)."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.breakouts import queries, rules
from lessons.breakouts.events import BreakoutOpened, BreakoutsClosed, PupilPlaced
from lessons.breakouts.queries import Arrangement
from lessons.breakouts.rules import Refusal, Wanted
from lessons.tables import BreakoutPlace, Lesson, LessonAdult
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Actor
from service.people.tables import School


class ArrangementRefused(Invalid):
    """These breakout rooms cannot be opened."""

    code = "breakouts-refused"

    def __init__(self, found: Sequence[Refusal]):
        self.refusals = tuple(found)
        super().__init__(f"{found[0].words}.", fields={each.room or "rooms": f"{each.words}." for each in reversed(found)})


class AlreadyOpen(Conflict):
    """Breakout rooms are open already. Bring everybody back first."""

    code = "breakouts-open"


class NoSuchRoom(Invalid):
    """That room has closed. Choose another one."""

    code = "no-such-room"


async def open_rooms(session: AsyncSession, actor: Actor, main_id: str, rooms: Sequence[Wanted], now: datetime) -> list[str]:
    """Open these rooms inside a lesson that is on; they end with it. Raises ArrangementRefused; then nothing was written."""
    await _hold(session, actor)
    found = await queries.arrangement(session, actor, main_id)
    if found.rooms:
        raise AlreadyOpen()
    _refuse(rules.refusals(rooms, found.main))
    return [await _open(session, actor, found, room, now) for room in rooms]


async def _open(session: AsyncSession, actor: Actor, found: Arrangement, room: Wanted, now: datetime) -> str:
    """A room as a lesson of its own: everything that guards a lesson guards it."""
    main = found.roster
    lesson = Lesson(
        school_id=actor.school_id, group_id=main.group.id, breakout_of=main.lesson_id, title=room.name.strip(), starts_at=now,
        ends_at=main.ends_at, planned_by=actor.person_id, planned_at=now,
    )
    session.add(lesson)
    await session.flush()
    for position, person in enumerate(room.adults):
        part = "guest" if found.main.adults[person].part == "guest" else "second" if position else "teacher"
        session.add(LessonAdult(lesson_id=lesson.id, person_id=person, school_id=actor.school_id, part=part))
    for pupil in room.pupils:
        session.add(BreakoutPlace(main_id=main.lesson_id, person_id=pupil, school_id=actor.school_id, lesson_id=lesson.id))
    await session.flush()
    await publish(session, BreakoutOpened(
        lesson_id=main.lesson_id, breakout_id=lesson.id, adults=" ".join(room.adults), pupils=" ".join(room.pupils),
    ), actor)
    return lesson.id


async def place(session: AsyncSession, actor: Actor, main_id: str, *, person_id: str, to: str) -> None:
    """A pupil belongs in another of the open rooms from now on, or in the main room (`to` empty)."""
    await _hold(session, actor)
    found = await queries.arrangement(session, actor, main_id)
    name = next((room.name for room in found.rooms if room.lesson_id == to), "")
    if to and not name:
        raise NoSuchRoom()
    if person_id not in found.main.pupils:
        raise Invalid("There is a problem", fields={"person": "Choose a pupil of this lesson"})
    _refuse(rules.refusals(rules.moved(found.wanted, person_id, name), found.main, may_be_empty=True))
    row = await session.get(BreakoutPlace, (main_id, person_id))
    if row is not None:
        await session.delete(row)
        await session.flush()
    if to:
        session.add(BreakoutPlace(main_id=main_id, person_id=person_id, school_id=actor.school_id, lesson_id=to))
    await publish(session, PupilPlaced(lesson_id=main_id, person_id=person_id, breakout_id=to), actor)


async def close(session: AsyncSession, actor: Actor, main_id: str, now: datetime) -> None:
    """Bring everybody back: every room ends, also one to which nobody came."""
    await _hold(session, actor)
    await queries.arrangement(session, actor, main_id)
    rows = (await session.exec(
        select(Lesson).where(Lesson.breakout_of == main_id, col(Lesson.ended_at).is_(None))
    )).all()
    for row in rows:
        row.ended_at, row.end_reason = now, "brought-back"
    await session.exec(delete(BreakoutPlace).where(col(BreakoutPlace.main_id) == main_id))
    await publish(session, BreakoutsClosed(lesson_id=main_id, breakouts=" ".join(row.id for row in rows)), actor)


def _refuse(found: Sequence[Refusal]) -> None:
    if found:
        raise ArrangementRefused(found)


async def _hold(session: AsyncSession, actor: Actor) -> None:
    """Of two arrangements at one moment the second is measured against the first."""
    await session.exec(select(School.id).where(School.id == actor.school_id).with_for_update())
