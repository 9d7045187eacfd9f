"""What one adult is told, what a child's lessons used, and what was said about one-to-ones: each scoped by who asks (CM1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import rules as planning
from lessons.attendance import queries as attendance
from lessons.attendance.queries import LessonRecord
from lessons.family import rules
from lessons.family.tables import DataLimit, FamilyMessage, Presence
from lessons.tables import JournalEntry, Lesson
from service.foundation.events import Actor
from service.people import family
from service.people import queries as people
from service.people.tables import GroupMember
from service.safeguarding.approvals import queries as approvals

After = tuple[datetime, str] | None


@dataclass(frozen=True)
class MessageView:
    id: str
    kind: str
    words: str
    child_id: str
    lesson_id: str
    made_at: datetime
    read_at: datetime | None


async def messages(session: AsyncSession, actor: Actor, after: After, limit: int) -> list[MessageView]:
    """One's messages, the newest first, one more than `limit`. A child of whom one must not be told is in none of them."""
    names = {one.id: one.name for one in await family.children(session, actor)}
    wanted = select(FamilyMessage).where(
        FamilyMessage.person_id == actor.person_id, col(FamilyMessage.child_id).in_(["", *names])
    ).order_by(col(FamilyMessage.made_at).desc(), col(FamilyMessage.id).desc()).limit(limit + 1)
    if after is not None:
        wanted = wanted.where(or_(col(FamilyMessage.made_at) < after[0], (col(FamilyMessage.made_at) == after[0]) & (
            col(FamilyMessage.id) < after[1])))
    return [MessageView(row.id, row.kind, rules.words(row.kind, names.get(row.child_id, "")), row.child_id, row.lesson_id,
                        row.made_at, row.read_at) for row in (await session.exec(wanted)).all()]


async def unread(session: AsyncSession, actor: Actor) -> int:
    names = [one.id for one in await family.children(session, actor)]
    return (await session.exec(select(func.count()).select_from(FamilyMessage).where(
        FamilyMessage.person_id == actor.person_id, col(FamilyMessage.child_id).in_(["", *names]),
        col(FamilyMessage.read_at).is_(None)))).one()


@dataclass(frozen=True)
class Use:
    """A month's data of one child. `limit_mb` is None for no limit."""

    month: str
    used_mb: int
    limit_mb: int | None


async def use(session: AsyncSession, actor: Actor, child_id: str, now: datetime) -> Use:
    """Raises NotFound for a child of whom this adult must not be told."""
    await family.child(session, actor, child_id)
    limit, untold = await _limit(session, actor.school_id, child_id), await _is_untold(session, actor.school_id, child_id)
    return await _use(session, actor.school_id, child_id, limit, now, untold=untold)


async def left_mb(session: AsyncSession, school_id: str, child_id: str, now: datetime) -> int | None:
    """What is left of this month's limit, for the child's own page of a lesson; None without a limit (policy: RL11)."""
    limit = await _limit(session, school_id, child_id)
    if limit is None:
        return None
    return max(0, limit - (await _use(session, school_id, child_id, limit, now)).used_mb)


async def _limit(session: AsyncSession, school_id: str, child_id: str) -> int | None:
    return (await session.exec(select(DataLimit.limit_mb).where(
        DataLimit.school_id == school_id, DataLimit.child_id == child_id).order_by(
        col(DataLimit.set_at).desc(), col(DataLimit.id).desc()).limit(1))).first()


async def _use(session: AsyncSession, school_id: str, child_id: str, limit: int | None, now: datetime, *,
               untold: bool = False) -> Use:
    zone = (await people.school(session, school_id)).zone
    first = rules.month_of(now, zone)
    rows = await _lessons(session, school_id, child_id, since=planning.moment(first, datetime.min.time(), zone), now=now,
                          untold=untold)
    records = await attendance.of_child(session, school_id, child_id, rows)
    return Use(f"{first:%Y-%m}", rules.used_mb(_time(record) for record in records), limit)


def _time(record: LessonRecord) -> timedelta:
    return timedelta(seconds=sum(line.found.seconds for line in record.pupils))


async def attended(session: AsyncSession, actor: Actor, child_id: str, after: After, limit: int,
                   now: datetime) -> list[LessonRecord]:
    """The lessons that are over, newest first, one more than `limit`, each with the child as its only line. Raises NotFound."""
    await family.child(session, actor, child_id)
    untold = await _is_untold(session, actor.school_id, child_id)
    rows = await _lessons(session, actor.school_id, child_id, after=after, limit=limit + 1, now=now, untold=untold)
    return await attendance.of_child(session, actor.school_id, child_id, rows)


async def _is_untold(session: AsyncSession, school_id: str, child_id: str) -> bool:
    """Whether the DSL marked that telling this child's family of one-to-ones is unsafe (policy: RL1)."""
    return child_id in await approvals.not_to_be_told(session, school_id, [child_id])


async def _lessons(session: AsyncSession, school_id: str, child_id: str, *, now: datetime, since: datetime | None = None,
                   after: After = None, limit: int = 400, untold: bool = False) -> list[Lesson]:
    """The lessons that the child's classes had, or that the child was in; without one-to-ones where they are `untold`."""
    groups = select(GroupMember.group_id).where(GroupMember.person_id == child_id, GroupMember.part == "pupil")
    been = select(func.coalesce(Lesson.breakout_of, Lesson.id)).join(
        JournalEntry, col(JournalEntry.lesson_id) == Lesson.id).where(JournalEntry.person_id == child_id)
    wanted = select(Lesson).where(
        Lesson.school_id == school_id, Lesson.status == "planned", Lesson.ends_at <= now, col(Lesson.breakout_of).is_(None),
        (col(Lesson.group_id).in_(groups) & (col(Lesson.pupil_id).is_(None) | (col(Lesson.pupil_id) == child_id)))
        | col(Lesson.id).in_(been),
    ).order_by(col(Lesson.starts_at).desc(), col(Lesson.id).desc()).limit(limit)
    if untold:
        wanted = wanted.where(col(Lesson.pupil_id).is_(None))
    if since is not None:
        wanted = wanted.where(Lesson.starts_at >= since)
    if after is not None:
        wanted = wanted.where(or_(col(Lesson.starts_at) < after[0], (col(Lesson.starts_at) == after[0]) & (
            col(Lesson.id) < after[1])))
    return list((await session.exec(wanted)).all())


async def presence(session: AsyncSession, actor: Actor, lesson_ids: Sequence[str]) -> dict[str, bool]:
    """What this parent said last about being there, by lesson."""
    rows = (await session.exec(select(Presence).where(
        Presence.person_id == actor.person_id, col(Presence.lesson_id).in_(lesson_ids)).order_by(col(Presence.said_at)))).all()
    return {row.lesson_id: row.will_be_there for row in rows}
