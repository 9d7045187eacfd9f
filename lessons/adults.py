"""Who the adults of a lesson are, for whoever must not learn of what is raised in it (policy: RC1, RC4, RE1).

Being named is not being there. Whoever runs a lesson names its second adults, its cover and the adults of its breakout rooms,
and nobody has to accept: could a name alone keep an alert from somebody, one teacher could name everybody who reads them. So
those who keep children safe are adults of a lesson that is their own, and of every lesson that they have been in.
"""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.breakouts.family import ids_of
from lessons.tables import JournalEntry, Lesson, LessonAdult
from service.people import queries as people
from service.safeguarding.rules import INBOX


async def planned(session: AsyncSession, lesson_id: str) -> frozenset[str]:
    """Those on the roster of a lesson and of all its rooms; of the people of the safeguarding inbox only its own teacher."""
    rows = (await session.exec(select(LessonAdult, Lesson.breakout_of).join(
        Lesson, col(Lesson.id) == LessonAdult.lesson_id).where(col(LessonAdult.lesson_id).in_(ids_of(lesson_id))))).all()
    readers = {one.id for adult, _ in rows[:1] for one in await people.holders(session, adult.school_id, INBOX)}
    return frozenset(adult.person_id for adult, room_of in rows
                     if adult.person_id not in readers or (adult.part == "teacher" and room_of is None))


async def took_part(session: AsyncSession, lesson_id: str) -> frozenset[str]:
    """`planned`, and every adult who has been in the lesson or in one of its rooms."""
    came = (await session.exec(select(JournalEntry.person_id).where(
        col(JournalEntry.lesson_id).in_(ids_of(lesson_id)), JournalEntry.kind == "joined").distinct())).all()
    here = await people.people(session, (await session.get_one(Lesson, lesson_id)).school_id, came)
    return await planned(session, lesson_id) | {person.id for person in here.values() if not person.is_child}
