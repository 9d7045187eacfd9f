"""What the teacher of a room that is held as `lone-adult` is offered: a senior leader's decision, or a colleague (policy: RL1).

Nothing here reaches the room: it opens by itself when its plan, read anew, says that it may. Until then nothing flows.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import commands, proposals
from lessons import roster as rosters
from lessons.attention import commands as attention
from lessons.attention import queries as needs
from lessons.attention.rules import Reason
from lessons.attention.tables import LessonAttention
from lessons.live.host import Host
from lessons.live.supervision import Hold
from lessons.one_to_one.now import NotAlone, ask_now
from lessons.roster import Roster
from lessons.tables import Lesson, LessonAdult
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import STAFF, Actor
from service.foundation.web import Audience, Now, Reading, Writing, say_time
from service.people import queries as people
from service.people.tables import SignIn
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals.rules import Lapse

router = APIRouter()
Staff = Annotated[Actor, Depends(Audience(STAFF))]
HERE_LATELY = timedelta(minutes=10)
"""Whoever did something on a page since then is likely to see a banner."""


class NeverInBreakout(Conflict):
    """Nobody can be alone with one pupil in a breakout room. Invite a colleague, or bring everybody back to the main room."""

    code = "never-in-breakout"


@dataclass(frozen=True)
class Asked:
    """What was asked of the leaders. `words` and `by`: the answer of whoever decided, or what they want to know first."""

    request_id: str
    at: str
    status: str
    seen: tuple[str, ...]
    by: str
    words: str


@dataclass(frozen=True)
class Colleague:
    id: str
    name: str
    signed_in: bool


@dataclass(frozen=True)
class Invited:
    name: str
    at: str


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid")
    why: str = Field("", max_length=1000)


class Invite(BaseModel):
    model_config = ConfigDict(extra="forbid")
    person: str = Field(max_length=32)


@router.get("/lessons/{lesson_id}/alone")
async def offers(request: Request, lesson_id: str, actor: Staff, session: Reading, now: Now) -> dict[str, Any]:
    """Whom the teacher would be alone with, what was asked about that pupil and who has seen it, and who could come.

    `approval`: of one that was given and does not hold, whether it has `ended` for good or something is `missing`; else empty.
    """
    roster = await _own_lesson(session, actor, lesson_id)
    zone = (await people.school(session, actor.school_id)).zone
    calls = await needs.of_lesson(session, lesson_id)
    child = _lone_child(roster, request.app.state.rooms.live(lesson_id))
    names = await people.people(session, actor.school_id, {call.person_id for call in calls if call.person_id})
    asked = await _asked(session, actor, calls, child[0], zone, now) if child else None
    return {
        "child": {"id": child[0], "name": child[1]} if child else None,
        "asked": asdict(asked) if asked else None,
        "approval": _approval(roster, actor, child[0] if child else "", now),
        "invited": [asdict(Invited(names[call.person_id].name, say_time(call.raised_at, zone))) for call in calls
                    if call.reason == Reason.INVITED and call.person_id in names],
        "colleagues": [asdict(one) for one in await _colleagues(session, roster, now)],
    }


@router.post("/lessons/{lesson_id}/alone/ask")
async def ask(request: Request, lesson_id: str, given: Ask, actor: Staff, session: Writing, now: Now) -> dict[str, str]:
    """Ask a senior leader whether the rest of this lesson may be with the one pupil who is here."""
    roster = await _own_lesson(session, actor, lesson_id)
    if roster.is_breakout:
        raise NeverInBreakout()
    child = _lone_child(roster, request.app.state.rooms.live(lesson_id))
    if child is None:
        raise NotAlone("The room is not waiting for this any more.")
    request_id = await ask_now(session, actor, lesson_id, child[0], given.why, now)
    await attention.call(session, actor, lesson_id=lesson_id, reason=Reason.ASKED, request_id=request_id, now=now,
                         why=Hold.LONE_ADULT)
    return {"request_id": request_id}


@router.post("/lessons/{lesson_id}/alone/invite")
async def invite(lesson_id: str, given: Invite, actor: Staff, session: Writing, now: Now) -> dict[str, str]:
    """A colleague becomes the second adult, and is told wherever they are signed in.

    Called to a breakout room they join its lesson, whose adults may come into each of its rooms.
    """
    roster = await _own_lesson(session, actor, lesson_id)
    whole = roster.main or roster
    await commands.add_second(session, actor, whole.lesson_id, person_id=given.person, now=now)
    call = await attention.call(session, actor, lesson_id=lesson_id, reason=Reason.INVITED, person_id=given.person, now=now)
    return {"call": call}


async def _own_lesson(session: AsyncSession, actor: Actor, lesson_id: str) -> Roster:
    """The lesson, for an adult of the school who is in it; for everybody else there is no such page."""
    roster = await rosters.roster(session, lesson_id)
    mine = [adult for adult in roster.adults if adult.id == actor.person_id and not adult.is_guest]
    if roster.school_id != actor.school_id or not mine:
        raise NotFound()
    return roster


def _lone_child(roster: Roster, host: Host | None) -> tuple[str, str] | None:
    """The one pupil in a room that is held so that nobody is alone with them, where a leader could allow it: no approval is ever
    for a breakout room. Nobody has to choose."""
    if roster.is_breakout or host is None or Hold.LONE_ADULT not in host.room.reasons:
        return None
    children = [seat.person for seat in host.room.here() if seat.is_child and seat.person.may.attend]
    return (children[0].id, children[0].name) if len(children) == 1 else None


async def _asked(session: AsyncSession, actor: Actor, calls: list[LessonAttention], child_id: str, zone: str,
                 now: datetime) -> Asked | None:
    """What this adult asked last about this child. An answer about another child is none for this one."""
    for latest in calls:
        if latest.reason == Reason.ASKED and latest.raised_by == actor.person_id:
            found = await approved.request(session, actor.school_id, latest.request_id)
            if found.parties.child == child_id:
                return await _answer(session, actor, latest, found, zone, now)
    return None


async def _answer(session: AsyncSession, actor: Actor, latest: LessonAttention, found: approved.Request, zone: str,
                  now: datetime) -> Asked:
    seen = (await needs.seen_by(session, [latest.id]))[latest.id]
    more = [note for note in found.notes if note.kind == "question"] if found.status == "questioned" else []
    by, words = (more[-1].by, more[-1].words) if more else (found.decided_by, found.reason)
    names = await people.people(session, actor.school_id, {*seen, by})
    return Asked(
        latest.request_id, say_time(latest.raised_at, zone), "late" if found.is_late(now) else str(found.status),
        tuple(names[each].name for each in seen if each in names),
        names[by].name if by in names else "", words,
    )


def _approval(roster: Roster, actor: Actor, child_id: str, now: datetime) -> str:
    """Whether what was approved for these two may hold again: not once it was revoked, or its time is over."""
    pair = (actor.person_id, child_id)
    mine = [one for one in roster.approvals if roster.is_one_to_one or (one.given.parties.adult, one.given.parties.child) == pair]
    may_hold = [one for one in mine if one.lapse is not Lapse.REVOKED and now < one.given.ends_at]
    if not mine or any(one.stands for one in may_hold):
        return ""
    return "missing" if may_hold else "ended"


async def _colleagues(session: AsyncSession, roster: Roster, now: datetime) -> list[Colleague]:
    """Cleared members of staff who are in no other lesson now; those who are at a screen first."""
    busy = await _busy(session, roster, now) | {adult.id for adult in roster.adults}
    staff = [one for one in await people.holders(session, roster.school_id, proposals.TEACHING) if one.id not in busy]
    cleared = await rosters.adults_of(session, roster.school_id, {one.id: "second" for one in staff}, now.date())
    here = set((await session.exec(select(SignIn.person_id).where(
        SignIn.school_id == roster.school_id, col(SignIn.ended_at).is_(None), SignIn.ends_at > now,
        SignIn.seen_at > now - HERE_LATELY,
    ))).all())
    found = [Colleague(one.id, one.name, one.id in here) for one in cleared if one.is_cleared and not one.is_guest]
    return sorted(found, key=lambda one: (not one.signed_in, one.name))


async def _busy(session: AsyncSession, roster: Roster, now: datetime) -> set[str]:
    """Who is in a lesson between now and this one's end."""
    rows = await session.exec(select(LessonAdult.person_id).join(Lesson, col(Lesson.id) == LessonAdult.lesson_id).where(
        Lesson.school_id == roster.school_id, Lesson.status == "planned", Lesson.starts_at < roster.ends_at, Lesson.ends_at > now,
        col(Lesson.ended_at).is_(None), Lesson.id != roster.lesson_id,
    ))
    return set(rows.all())
