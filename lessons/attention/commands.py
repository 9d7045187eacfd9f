"""Calling somebody to a lesson, reading that one is called, dealing with it; and its end, which follows the lesson."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.attention import queries
from lessons.attention.events import AddressCleared, AttentionOpened, AttentionOver, AttentionTaken, LessonNeedsAttention
from lessons.attention.rules import Reason
from lessons.attention.tables import AttentionSeen, LessonAttention
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Actor
from service.safeguarding import commands as safeguarding


async def call(session: AsyncSession, actor: Actor, *, lesson_id: str, reason: Reason, now: datetime, why: str = "",
               person_id: str = "", request_id: str = "") -> str:
    """Somebody is needed. The same need of the same lesson is one, however often it is said. Returns its id."""
    open_one = (await session.exec(select(LessonAttention.id).where(
        LessonAttention.lesson_id == lesson_id, LessonAttention.reason == reason, LessonAttention.person_id == person_id,
        LessonAttention.request_id == request_id, col(LessonAttention.over_at).is_(None),
    ))).first()
    if open_one is not None:
        return open_one
    row = LessonAttention(
        school_id=actor.school_id, lesson_id=lesson_id, reason=reason, why=why[:40], person_id=person_id, request_id=request_id,
        raised_by=actor.person_id, raised_at=now,
    )
    session.add(row)
    await session.flush()
    await publish(session, LessonNeedsAttention(row.id, lesson_id, reason), actor)
    return row.id


async def call_about_address(session: AsyncSession, actor: Actor, *, lesson_id: str, child_id: str, adult_id: str, alert_id: str,
                             now: datetime) -> None:
    """An adult and a pupil whose media comes from one address: it holds nobody, and those on duty look into it."""
    row = LessonAttention(
        school_id=actor.school_id, lesson_id=lesson_id, reason=Reason.ADDRESS, child_id=child_id, adult_id=adult_id,
        alert_id=alert_id, raised_by=actor.person_id, raised_at=now,
    )
    session.add(row)
    await session.flush()
    await publish(session, LessonNeedsAttention(row.id, lesson_id, Reason.ADDRESS), actor)


async def is_known(session: AsyncSession, *, lesson_id: str, child_id: str, adult_id: str) -> bool:
    """Whether this lesson has told of these two already, cleared or not."""
    found = await session.exec(select(LessonAttention.id).where(
        LessonAttention.lesson_id == lesson_id, LessonAttention.child_id == child_id, LessonAttention.adult_id == adult_id))
    return found.first() is not None


async def clear(session: AsyncSession, actor: Actor, attention_id: str, because: str, now: datetime) -> None:
    """These two may share an address for this lesson, says somebody who is not in it, and why. The alert is closed with it."""
    found = await queries.one(session, actor, attention_id, now)
    if found.need.reason is not Reason.ADDRESS or found.need.is_over:
        raise Conflict("There is nothing to clear.")
    if not because.strip():
        raise Invalid("There is a problem", fields={"because": "Say why"})
    row = await session.get_one(LessonAttention, attention_id)
    row.cleared_because, row.over_at = because.strip()[:500], now
    row.taken_by, row.taken_at = actor.person_id, now
    await publish(session, AddressCleared(row.id, row.lesson_id, row.child_id, row.adult_id, row.cleared_because), actor)
    await safeguarding.settle(session, actor, alert_id=row.alert_id, words=f"Cleared for this lesson: {row.cleared_because}",
                              now=now)


async def read(session: AsyncSession, actor: Actor, attention_id: str, now: datetime) -> queries.NeedView:
    """Open it; that this person did is kept, and shown to whoever asked."""
    found = await queries.one(session, actor, attention_id, now)
    if await session.get(AttentionSeen, (attention_id, actor.person_id)) is None:
        session.add(AttentionSeen(attention_id=attention_id, person_id=actor.person_id, school_id=actor.school_id, seen_at=now))
        await publish(session, AttentionOpened(attention_id, found.lesson_id), actor)
    return found


async def take(session: AsyncSession, actor: Actor, attention_id: str, now: datetime) -> None:
    """“I am dealing with it”: stops calling the others and shows whose it is. It can be taken over."""
    found = await queries.one(session, actor, attention_id, now)
    if found.mine or found.need.is_over:
        raise Conflict("You are dealing with this already." if found.mine else "This is over.")
    row = await session.get_one(LessonAttention, attention_id)
    row.taken_by, row.taken_at = actor.person_id, now
    await publish(session, AttentionTaken(attention_id, row.lesson_id), actor)


async def over(session: AsyncSession, actor: Actor, *, lesson_id: str, now: datetime,
               reasons: Collection[Reason] = tuple(Reason), person_id: str = "") -> None:
    """What a lesson no longer needs. `person_id`: only where this colleague was waited for."""
    rows = (await session.exec(select(LessonAttention).where(
        LessonAttention.lesson_id == lesson_id, col(LessonAttention.over_at).is_(None),
        col(LessonAttention.reason).in_([str(one) for one in reasons]),
    ))).all()
    for row in rows:
        if person_id in ("", row.person_id):
            row.over_at = now
            await publish(session, AttentionOver(row.id, lesson_id), actor)
