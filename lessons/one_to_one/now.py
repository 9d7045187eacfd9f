"""The teacher of a lesson that is on, left alone with one child, asks a senior leader for the rest of it (policy: RL1)."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor
from service.safeguarding.approvals import commands as approvals
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals.commands import NewRequest
from service.safeguarding.approvals.rules import Kind


class NotAlone(Conflict):
    """This can be asked only by an adult of a lesson that is on, for a pupil of it."""

    code = "not-alone"


class AlreadyAsked(Conflict):
    """This has been asked already."""

    code = "already-asked"


class EndedForGood(Conflict):
    """This was decided already for you and this pupil. It cannot be asked for again in this lesson."""

    code = "ended-for-good"


async def ask_now(session: AsyncSession, actor: Actor, lesson_id: str, child_id: str, why: str, now: datetime) -> str:
    """The teacher of a lesson that is on, left alone with one child, asks for the rest of it. Nothing flows meanwhile.

    No notice is needed; the approval ends with the lesson. Returns the request's id.
    """
    roster = await rosters.roster(session, lesson_id)
    is_on = roster.status == "planned" and roster.ended_at is None and roster.starts_at <= now < roster.ends_at
    mine, pupil = next((a for a in roster.adults if a.id == actor.person_id), None), roster.pupil(child_id)
    if roster.school_id != actor.school_id or mine is None or pupil is None:
        raise NotFound()
    if not (is_on and mine.is_cleared and not mine.is_guest and pupil.may_take_part and child_id not in roster.removed):
        raise NotAlone()
    if not why.strip():
        raise Invalid("There is a problem", fields={"why": "Say why this cannot be a group"})
    if any(one.given.parties.adult == actor.person_id and one.given.parties.child == child_id for one in roster.approvals):
        raise EndedForGood()
    if await _is_asked(session, actor, lesson_id, child_id, now):
        raise AlreadyAsked()
    lessons = ((lesson_id, now, roster.ends_at),)
    return await approvals.ask(session, actor, NewRequest(Kind.NOW, actor.person_id, child_id, lessons, why.strip()), now)


async def _is_asked(session: AsyncSession, actor: Actor, lesson_id: str, child_id: str, now: datetime) -> bool:
    waiting = await approved.open_requests(session, actor.school_id)
    return any(
        one.is_open(now) and one.asked.lessons[0].lesson_id == lesson_id
        and (one.parties.adult, one.parties.child) == (actor.person_id, child_id) for one in waiting
    )
