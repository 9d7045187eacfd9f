"""Lists of approved one-to-ones: what is in force, and every one for the safeguarding team (policy: RL1)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from lessons.tables import Lesson
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people.queries import PersonView
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals import rules as approving
from service.safeguarding.approvals.queries import Given
from service.safeguarding.approvals.revocation import MAY_END


@dataclass(frozen=True)
class Listed:
    """One approval in a register. `state` says whether it stands; `recording` leads to what was recorded."""

    id: str
    lesson_id: str
    adult: str
    child: str
    approver: str
    requester: str
    starts_at: datetime
    ends_at: datetime
    state: str
    conditions: str
    reason: str
    ended: str
    has_begun: bool


async def in_force(session: AsyncSession, actor: Actor, now: datetime) -> list[Listed]:
    """Approvals whose time is not over and which nobody ended: what can be ended."""
    given = await approved.all_given(session, actor.school_id, ending_after=now)
    return [one for one in await _listed(session, actor.school_id, given, now) if not one.ended][::-1]


async def every_approval(session: AsyncSession, actor: Actor, now: datetime) -> list[Listed]:
    """Every approved one-to-one, the latest first; none of those that the reader took part in (policy: IN4)."""
    given = [one for one in await approved.all_given(session, actor.school_id) if one.approval.parties.adult != actor.person_id]
    return await _listed(session, actor.school_id, given, now)


async def one_approval(session: AsyncSession, actor: Actor, approval_id: str, now: datetime) -> Listed:
    if not actor.is_any(MAY_END):
        raise NotFound()
    return (await _listed(session, actor.school_id, [await approved.one_given(session, actor.school_id, approval_id)], now))[0]


async def _listed(session: AsyncSession, school_id: str, given: Iterable[Given], now: datetime) -> list[Listed]:
    found = list(given)
    ids = {p for one in found for p in _persons(one)}
    names = await people.people(session, school_id, ids)
    lessons = {row.id: row for row in (await session.exec(
        select(Lesson).where(col(Lesson.id).in_({one.approval.lesson_id for one in found}))
    )).all()}
    judged = await states(session, found, now)
    return [
        Listed(
            one.approval.id, one.approval.lesson_id, name_of(names, one.approval.parties.adult),
            name_of(names, one.approval.parties.child), name_of(names, one.approval.approver),
            name_of(names, one.approval.parties.requester), one.approval.starts_at, one.approval.ends_at, state,
            one.approval.conditions, one.reason,
            f"{name_of(names, one.revoked_by)}: {one.revoked_because}" if one.approval.revoked_at else "",
            lessons[one.approval.lesson_id].started_at is not None,
        )
        for one, state in zip(found, judged, strict=True)
    ]


def _persons(one: Given) -> tuple[str, ...]:
    parties = one.approval.parties
    return parties.adult, parties.child, parties.requester, one.approval.approver, one.revoked_by


async def states(session: AsyncSession, given: Collection[Given], now: datetime) -> list[str]:
    """Whether each stands, in words. What is over needs no more looking at."""
    found = []
    for one in given:
        why = approving.Lapse.REVOKED if one.approval.revoked_at else None
        if why is None and now < one.approval.ends_at:
            roster = await rosters.roster(session, one.approval.lesson_id)
            why = next(pair.lapse for pair in roster.approvals if pair.given.id == one.approval.id)
        found.append(approving.say_state(one.approval, why, now))
    return found


def name_of(names: dict[str, PersonView], person_id: str) -> str:
    return names[person_id].name if person_id in names else "Chaperone"
