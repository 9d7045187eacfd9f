"""Reading what lessons need, each by those for whom it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.adults import planned
from lessons.attention import rules
from lessons.attention.rules import Need, Reason, Viewer
from lessons.attention.tables import AttentionSeen, LessonAttention
from lessons.tables import Lesson
from service.foundation.errors import NotFound
from service.foundation.events import STAFF, Actor, Role
from service.people import queries as people
from service.safeguarding import queries as safeguarding
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals import rules as approving


@dataclass(frozen=True)
class NeedView:
    """One need as somebody reads it. `told` and `seen`: names. `owner`: who is dealing with it."""

    id: str
    need: Need
    lesson_id: str
    request_id: str
    why: str
    title: str
    group: str
    raised_by: str
    told: tuple[str, ...]
    seen: tuple[str, ...]
    owner: str
    mine: bool
    calls: bool
    child: str = ""
    adult: str = ""
    cleared_because: str = ""


async def waiting(session: AsyncSession, actor: Actor, now: datetime) -> list[LessonAttention]:
    """What calls this person now, oldest first."""
    rows = (await session.exec(_open(actor.school_id).where(LessonAttention.taken_by == ""))).all()
    if not rows:
        return []
    who = await _who(session, actor.school_id, now)
    return [row for row in rows if rules.calls(await _need(session, row, now), actor.person_id, *who)]


def _open(school_id: str):  # type: ignore[no-untyped-def]
    return select(LessonAttention).where(
        LessonAttention.school_id == school_id, col(LessonAttention.over_at).is_(None)
    ).order_by(col(LessonAttention.raised_at))


async def of_lesson(session: AsyncSession, lesson_id: str) -> list[LessonAttention]:
    """Everything a lesson needed, the newest first."""
    return list((await session.exec(select(LessonAttention).where(
        LessonAttention.lesson_id == lesson_id).order_by(col(LessonAttention.raised_at).desc()))).all())


async def one(session: AsyncSession, actor: Actor, attention_id: str, now: datetime) -> NeedView:
    """One need; NotFound when it is not for this person."""
    row = await session.get(LessonAttention, attention_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    need = await _need(session, row, now)
    if not rules.may_open(need, Viewer(actor.person_id, actor.roles)):
        raise NotFound()
    holders, duty = await _who(session, actor.school_id, now)
    lesson = await session.get_one(Lesson, row.lesson_id)
    told, seen = rules.called(need, holders, duty), await seen_by(session, [row.id])
    known = {*told, *seen[row.id], row.taken_by, row.raised_by, row.child_id, row.adult_id}
    names = await people.people(session, actor.school_id, known)
    return NeedView(
        row.id, need, row.lesson_id, row.request_id, row.why, lesson.title,
        (await people.group(session, actor.school_id, lesson.group_id)).name, _one_name(names, row.raised_by),
        _names(names, told), _names(names, seen[row.id]), _one_name(names, row.taken_by), row.taken_by == actor.person_id,
        rules.calls(need, actor.person_id, holders, duty), _one_name(names, row.child_id), _one_name(names, row.adult_id),
        row.cleared_because,
    )


async def seen_by(session: AsyncSession, ids: list[str]) -> dict[str, list[str]]:
    """Who opened each, in the order in which they did."""
    found: dict[str, list[str]] = {each: [] for each in ids}
    for row in (await session.exec(select(AttentionSeen).where(
            col(AttentionSeen.attention_id).in_(ids)).order_by(col(AttentionSeen.seen_at)))).all():
        found[row.attention_id].append(row.person_id)
    return found


async def who_is_called(session: AsyncSession, row: LessonAttention, now: datetime) -> frozenset[str]:
    return rules.called(await _need(session, row, now), *await _who(session, row.school_id, now))


async def _who(session: AsyncSession, school_id: str, now: datetime) -> tuple[list[Viewer], frozenset[str]]:
    holders = [Viewer(one.id, one.roles) for one in await people.holders(session, school_id, rules.ON_DUTY)]
    return holders, await safeguarding.on_duty(session, school_id, now)


async def _need(session: AsyncSession, row: LessonAttention, now: datetime) -> Need:
    adults = await planned(session, row.lesson_id)
    asks_for, is_over = frozenset({row.person_id} - {""}), row.over_at is not None
    if row.alert_id:
        adults |= await safeguarding.barred(session, row.alert_id)
    if row.request_id:
        request = await approved.request(session, row.school_id, row.request_id)
        asks_for, is_over = await deciders(session, row.school_id, request), is_over or not request.is_open(now)
    return Need(Reason(row.reason), row.raised_at, adults, asks_for, row.taken_by, is_over)


async def deciders(session: AsyncSession, school_id: str, request: approved.Request) -> frozenset[str]:
    """Who may decide about a one-to-one as the school's rules stand: never its adult, nor whoever asked (policy: RL1)."""
    profile = await people.profile(session, school_id)
    holders = await people.holders(session, school_id, STAFF | {Role.CHAIR})
    return frozenset(one.id for one in holders if approving.bar(one.id, one.roles, request.parties, profile) is None)


def _names(names: dict[str, people.PersonView], ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names[each].full_name for each in ids if each in names))


def _one_name(names: dict[str, people.PersonView], person_id: str) -> str:
    return names[person_id].full_name if person_id in names else ""
