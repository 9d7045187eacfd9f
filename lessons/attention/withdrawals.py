"""A family takes back its permission while their child is in a lesson: the room closes for the child at once (`wiring`), and what
was recorded until then stays sealed, for the safeguarding team to decide about (policy: CO2, RE1).
"""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.events import ConsentRecorded, ConsentWithdrawn
from consent.rules import TO_JOIN, Answer
from lessons.attention.sweep import of_lesson
from lessons.breakouts.family import ids_of
from lessons.tables import JournalEntry, Lesson
from service.foundation.events import Actor
from service.people import queries as people
from service.people.tables import GroupMember
from service.safeguarding import commands as safeguarding
from service.safeguarding.rules import Kind


async def put_before_the_team(session: AsyncSession, event: ConsentWithdrawn | ConsentRecorded, actor: Actor) -> None:
    """One item for each lesson that is on and that the child has been in."""
    is_no = isinstance(event, ConsentWithdrawn) or event.answer == Answer.REFUSED
    if not is_no or event.purpose not in TO_JOIN:
        return
    lessons = (await session.exec(select(Lesson).join(GroupMember, col(GroupMember.group_id) == Lesson.group_id).where(
        Lesson.school_id == actor.school_id, GroupMember.person_id == event.child_id, col(Lesson.breakout_of).is_(None),
        col(Lesson.started_at).is_not(None), col(Lesson.ended_at).is_(None),
    ))).all()
    for lesson in lessons:
        if await _was_in(session, lesson.id, event.child_id):
            child = await people.person(session, actor.school_id, event.child_id)
            words = (f"The family of {child.full_name} took back a permission during this lesson. What was recorded until then "
                     "is sealed. Decide what becomes of it. Keeping a child safe does not depend on their permission.")
            place, present = await of_lesson(session, actor.school_id, lesson.id)
            await safeguarding.find(
                session, actor.school_id, kind=Kind.WITHDRAWN, source=f"withdrawn:{lesson.id}:{event.child_id}",
                lesson_id=lesson.id, place=place, present=present, times=1, words=words, now=session.info["clock"].now(),
            )


async def _was_in(session: AsyncSession, lesson_id: str, child_id: str) -> bool:
    return (await session.exec(select(JournalEntry.id).where(
        col(JournalEntry.lesson_id).in_(ids_of(lesson_id)), JournalEntry.person_id == child_id, JournalEntry.kind == "joined",
    ).limit(1))).first() is not None
