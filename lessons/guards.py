"""What lessons have to say about changes elsewhere, inside the change's own transaction: an objection undoes it."""

from datetime import timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.tables import Lesson, LessonAdult
from service.foundation.events import Actor
from service.people.commands import IsTheirTeacher
from service.people.events import BadgeIssued, BadgeUnlocked
from service.people.tables import GroupMember

LATELY = timedelta(days=1)


async def refuse_adults_of_their_lessons(session: AsyncSession, event: BadgeIssued | BadgeUnlocked, actor: Actor) -> None:
    """An adult on a lesson makes no badge for its pupils: with it they could be the second child in the room (threat T3)."""
    since = session.info["clock"].now() - LATELY
    theirs = select(GroupMember.group_id).where(GroupMember.person_id == event.person_id, GroupMember.part == "pupil")
    shared = (await session.exec(
        select(Lesson.id).join(LessonAdult, col(LessonAdult.lesson_id) == Lesson.id).where(
            LessonAdult.person_id == actor.person_id, col(Lesson.group_id).in_(theirs), Lesson.status != "cancelled",
            Lesson.ends_at > since).limit(1)
    )).first()
    if shared is not None:
        raise IsTheirTeacher()
