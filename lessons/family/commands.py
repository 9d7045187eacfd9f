"""Telling families what happened, and keeping what they say. policy: IN2, RL11, RL1"""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import events as consents
from lessons import roster as rosters
from lessons.events import CoverArranged, LessonCancelled, LessonMoved
from lessons.family import rules
from lessons.family.events import DataLimitSet, PresenceSaid
from lessons.family.rules import News
from lessons.family.tables import DataLimit, FamilyMessage, Presence
from lessons.live.facts import LessonStopped
from lessons.tables import Lesson
from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.errors import NotFound
from service.foundation.events import Actor, system
from service.people import family
from service.people import queries as people
from service.people.phones.events import PhoneAdded, RefreshReused
from service.people.rules import may_be_told
from service.people.tables import Guardianship
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals.events import OneToOneApproved, OneToOneRevoked
from service.safeguarding.events import ParentAnswered
from service.safeguarding.incidents.events import FamilyToldOfIncident
from service.safeguarding.tables import Alert

OfALesson = LessonStopped | CoverArranged | LessonMoved | LessonCancelled
OF_A_LESSON: dict[type, News] = {
    LessonStopped: News.LESSON_STOPPED, CoverArranged: News.ADULT_CHANGED, LessonMoved: News.LESSON_MOVED,
    LessonCancelled: News.LESSON_CANCELLED,
}


async def tell_of_lesson(session: AsyncSession, event: OfALesson, actor: Actor) -> None:
    """The families of a lesson that was stopped, moved or cancelled, or that another adult takes."""
    roster = await rosters.roster(session, event.lesson_id)
    occasion = f"{event.kind} {getattr(event, 'person_id', '') or getattr(event, 'starts_at', '')}"
    pairs = await families(session, actor.school_id, [pupil.id for pupil in roster.expected])
    await _write(session, actor, pairs, OF_A_LESSON[type(event)], event.lesson_id, f"{event.lesson_id} {occasion}"[:80])


async def tell_of_one_to_one(session: AsyncSession, event: OneToOneApproved | OneToOneRevoked, actor: Actor) -> None:
    """What was approved waits for an answer; what has ended is told at once (N7), as it may be on just now."""
    if isinstance(event, OneToOneApproved):
        await _tell(session, actor, News.ONE_TO_ONE, event.child_id, event.lesson_id, event.approval_id)
        return
    told = await _tell(session, actor, News.ONE_TO_ONE_ENDED, event.child_id, event.lesson_id, event.approval_id)
    await mail.queue(session, school_id=actor.school_id, people=told, text="N7", about=event.approval_id,
                     now=session.info["clock"].now(), zone=(await people.school(session, actor.school_id)).zone)


async def tell_of_absence(session: AsyncSession, school_id: str, lesson_id: str, child_id: str) -> int:
    """The child's family, once a lesson: nobody has seen the child in it yet (N5). Returns how many adults."""
    return await _news(session, system(school_id), News.NOT_JOINED, child_id, lesson_id, lesson_id)


async def tell_of_views(session: AsyncSession, school_id: str, recording_id: str, child_id: str, day: str) -> int:
    """The child's family, once for each day on which a recording was watched (N5). Returns how many adults."""
    return await _news(session, system(school_id), News.WATCHED, child_id, "", f"{recording_id} {day}")


async def _news(session: AsyncSession, actor: Actor, kind: News, child_id: str, lesson_id: str, about: str) -> int:
    told = await _tell(session, actor, kind, child_id, lesson_id, about)
    await mail.queue(session, school_id=actor.school_id, people=told, text="N5", about=child_id, occasion=f"{kind} {about}",
                     now=session.info["clock"].now(), zone=(await people.school(session, actor.school_id)).zone)
    return len(told)


async def tell_of_permission(session: AsyncSession, event: consents.ConsentWithdrawn, actor: Actor) -> None:
    """Whoever withdrew it reads that it was done. Nobody else is told who said what."""
    await _write(session, actor, [(event.respondent_id, event.child_id)], News.PERMISSION_ENDED, "", event.response_id)


async def tell_of_incident(session: AsyncSession, event: FamilyToldOfIncident, actor: Actor) -> None:
    """That there was something, and that the school will speak to them. What it was, they hear from a person (policy: IN2)."""
    told = await _tell(session, actor, News.INCIDENT, event.child_id, "", event.entry_id)
    await mail.queue(session, school_id=actor.school_id, people=told, text="N5", about=event.entry_id,
                     now=session.info["clock"].now(), zone=(await people.school(session, actor.school_id)).zone)


async def tell_of_reply(session: AsyncSession, event: ParentAnswered, actor: Actor) -> None:
    """Who wrote what worries them, and nobody else of the family. It names no child."""
    row = await session.get_one(Alert, event.alert_id)
    await _write(session, actor, [(row.raised_by, "")], News(event.answer), "", event.note_id)
    await mail.queue(session, school_id=actor.school_id, people=[row.raised_by], text="N5", about=event.note_id,
                     now=session.info["clock"].now(), zone=(await people.school(session, actor.school_id)).zone)


async def tell_of_phone(session: AsyncSession, event: PhoneAdded | RefreshReused, actor: Actor) -> None:
    kind = News.NEW_PHONE if isinstance(event, PhoneAdded) else News.SIGNED_OUT
    about = event.phone_id if isinstance(event, PhoneAdded) else f"{event.phone_id} {actor.session_id}"
    await _write(session, actor, [(event.person_id, "")], kind, "", about)


async def _tell(session: AsyncSession, actor: Actor, kind: News, child_id: str, lesson_id: str, about: str) -> frozenset[str]:
    """Each adult who may be told of the child. Returns whom."""
    pairs = await families(session, actor.school_id, [child_id])
    await _write(session, actor, pairs, kind, lesson_id, about)
    return frozenset(adult for adult, _ in pairs)


async def families(session: AsyncSession, school_id: str, child_ids: Iterable[str]) -> set[tuple[str, str]]:
    """(adult, child) for each adult who may be told of the child; none of a child whose family is not safe to tell."""
    children = set(child_ids)
    children -= await approved.not_to_be_told(session, school_id, children)
    rows = await session.exec(select(Guardianship).where(
        Guardianship.school_id == school_id, col(Guardianship.child_id).in_(sorted(children))))
    return {(row.guardian_id, row.child_id) for row in rows.all() if may_be_told(people.flags_of(row))}


async def _write(session: AsyncSession, actor: Actor, pairs: Collection[tuple[str, str]], kind: News, lesson_id: str,
                 about: str) -> None:
    had = set((await session.exec(select(FamilyMessage.person_id, FamilyMessage.child_id).where(
        col(FamilyMessage.person_id).in_({person for person, _ in pairs}), FamilyMessage.kind == kind,
        FamilyMessage.about == about))).all())
    now = session.info["clock"].now()
    session.add_all(
        FamilyMessage(school_id=actor.school_id, person_id=person, kind=kind, child_id=child, lesson_id=lesson_id, about=about,
                      made_at=now)
        for person, child in sorted(set(pairs) - had))


async def read(session: AsyncSession, actor: Actor, message_id: str, now: datetime) -> None:
    """Raises NotFound for a message that is not one's own, or about a child of whom one must not be told."""
    names = {one.id for one in await family.children(session, actor)}
    row = await session.get(FamilyMessage, message_id)
    if row is None or row.person_id != actor.person_id or row.child_id not in {"", *names}:
        raise NotFound()
    row.read_at = row.read_at or now


async def set_limit(session: AsyncSession, actor: Actor, child_id: str, limit_mb: int | None, now: datetime) -> None:
    """What a child's lessons may use in a month (policy: RL11). Raises NotFound, Invalid."""
    await family.child(session, actor, child_id)
    rules.check_limit(limit_mb)
    session.add(DataLimit(school_id=actor.school_id, child_id=child_id, limit_mb=limit_mb, set_by=actor.person_id, set_at=now))
    await session.flush()
    await publish(session, DataLimitSet(child_id, limit_mb), actor)


async def say_presence(session: AsyncSession, actor: Actor, child_id: str, lesson_id: str, will_be_there: bool,
                       now: datetime) -> None:
    """Whether a parent will sit with the child (policy: RL1). Raises NotFound for any but a one-to-one of theirs."""
    await family.child(session, actor, child_id)
    row = (await session.exec(select(Lesson).where(
        Lesson.id == lesson_id, Lesson.school_id == actor.school_id, col(Lesson.pupil_id) == child_id))).first()
    if row is None:
        raise NotFound()
    session.add(Presence(school_id=actor.school_id, lesson_id=lesson_id, person_id=actor.person_id, will_be_there=will_be_there,
                         said_at=now))
    await publish(session, PresenceSaid(actor.person_id, lesson_id, will_be_there), actor)
