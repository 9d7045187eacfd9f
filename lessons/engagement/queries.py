"""Who misses lessons, who has to be contacted by when, and who was (policy: RC2)."""

from datetime import timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.tables import Lesson, LessonAdult
from service.people.tables import GroupMember

AROUND = timedelta(days=14)


async def has_lessons_with(session: AsyncSession, adult_id: str, child_id: str) -> bool:
    """Whether an adult is on the roster of a lesson with this child, within two weeks of now: guests are not (policy: AC7)."""
    now = session.info["clock"].now()
    groups = select(GroupMember.group_id).where(GroupMember.person_id == child_id, GroupMember.part == "pupil")
    found = await session.exec(select(Lesson.id).join(LessonAdult, col(LessonAdult.lesson_id) == Lesson.id).where(
        LessonAdult.person_id == adult_id, col(LessonAdult.part).in_(("teacher", "second", "cover")),
        col(Lesson.group_id).in_(groups), col(Lesson.pupil_id).is_(None) | (col(Lesson.pupil_id) == child_id),
        Lesson.status == "planned", Lesson.starts_at > now - AROUND, Lesson.starts_at < now + AROUND,
    ).limit(1))
    return found.first() is not None
