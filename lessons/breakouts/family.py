"""A lesson and its breakout rooms belong together: one main room, the rooms that are open now, and who belongs where."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import BindParameter
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from lessons.tables import BreakoutPlace, Lesson, LessonAdult


@dataclass(frozen=True)
class OpenRoom:
    """A breakout room that is open now. `adults`: its own, by id."""

    lesson_id: str
    name: str
    adults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """`places`: pupil to the breakout room they belong in; who is not in it belongs in the main room."""

    main_id: str
    rooms: tuple[OpenRoom, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def posts(self) -> Mapping[str, str]:
        """Adult to the breakout room they were named for."""
        return {adult: room.lesson_id for room in self.rooms for adult in room.adults}

    def pupils_of(self, lesson_id: str) -> frozenset[str]:
        return frozenset(pupil for pupil, place in self.places.items() if place == lesson_id)


def ids_of(lesson_id: "str | BindParameter[str]") -> "SelectOfScalar[str]":
    """The main lesson of `lesson_id` and every breakout room it ever had, as a query of ids."""
    main = select(func.coalesce(Lesson.breakout_of, Lesson.id)).where(Lesson.id == lesson_id).scalar_subquery()
    return select(Lesson.id).where(or_(col(Lesson.id) == main, col(Lesson.breakout_of) == main))


async def family(session: AsyncSession, main_id: str) -> Family:
    """What is open of a lesson now."""
    found = (await session.exec(
        select(Lesson.id, Lesson.title).where(Lesson.breakout_of == main_id, col(Lesson.ended_at).is_(None))
        .order_by(col(Lesson.title))
    )).all()
    if not found:
        return Family(main_id)
    ids = [lesson_id for lesson_id, _ in found]
    adults = (await session.exec(select(LessonAdult).where(col(LessonAdult.lesson_id).in_(ids)))).all()
    places = (await session.exec(select(BreakoutPlace).where(BreakoutPlace.main_id == main_id))).all()
    rooms = [
        OpenRoom(lesson_id, name, tuple(sorted(adult.person_id for adult in adults if adult.lesson_id == lesson_id)))
        for lesson_id, name in found
    ]
    return Family(main_id, tuple(rooms), {row.person_id: row.lesson_id for row in places if row.lesson_id in ids})
