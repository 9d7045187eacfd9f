"""“Live now”: what leaders and the safeguarding team see of the lessons that are on, and stopping one.

States and numbers only: no picture, no sound, no pupil's name (policy: AC3).
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from lessons.adults import took_part
from lessons.attention import commands as attention
from lessons.attention.rules import Reason
from lessons.live.facts import LessonStopped
from lessons.live.host import Host
from lessons.live.registry import Registry
from lessons.live.room import Phase
from lessons.live.supervision import RECORDER_PROOF
from lessons.tables import JournalEntry, Lesson
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor
from service.foundation.web import Audience, Closing, Now, Reading, render, say_time, see_other
from service.people import queries as people
from service.safeguarding import commands as safeguarding
from service.safeguarding.rules import Kind

router = APIRouter(prefix="/live")
Leader = Annotated[Actor, Depends(Audience(LEADERS | SAFEGUARDING))]

STATES = {Phase.HELD: "Paused", Phase.OPEN: "Open", Phase.LOBBY: "Waiting room", Phase.ENDED: "Ended"}
REASONS = {
    "stopped-by-school": "stopped by the school", "approval-ended": "its approval ended", "not-recorded": "not recorded",
    "no-adult": "no adult", "lone-adult": "an adult alone with one pupil", "not-permitted": "a permission is missing",
    "outside-window": "outside its time", "starting": "starting",
}
ORDER = (Phase.HELD, Phase.OPEN, Phase.LOBBY, Phase.ENDED)


@dataclass(frozen=True)
class Row:
    """One live lesson. `why` and `paused` (minutes) are for a paused one."""

    id: str
    title: str
    group: str
    teacher: str
    state: str
    why: str
    paused: int
    adults: int
    pupils: int
    recorded: bool
    left: int


async def rows(session: AsyncSession, rooms: Registry, school_id: str, now: datetime) -> list[Row]:
    """The live lessons of a school, paused ones first, then by time left."""
    hosts = [host for host in rooms.hosts() if host.room.plan.school_id == school_id]
    paused = await _paused_since(session, [h.room.plan.lesson_id for h in hosts if h.room.phase is Phase.HELD])
    found = [(ORDER.index(host.room.phase), _row(host, paused, now)) for host in hosts]
    return [row for _, row in sorted(found, key=lambda pair: (pair[0], pair[1].left, pair[1].title))]


def _row(host: Host, paused: dict[str, datetime], now: datetime) -> Row:
    room, plan = host.room, host.room.plan
    here = room.here()
    since = paused.get(plan.lesson_id)
    teacher = next((p.name for p in plan.people.values() if p.role == "teacher"), "")
    return Row(
        plan.lesson_id, plan.title, plan.class_name, teacher, STATES[room.phase],
        REASONS.get(str(room.reasons[0]), "") if room.phase is Phase.HELD and room.reasons else "",
        _minutes(since, now) if since else 0, sum(seat.is_staff for seat in here), sum(seat.is_child for seat in here),
        host.clock.boottime() < room.recorder_at + RECORDER_PROOF, max(0, _minutes(now, room.ends_at)),
    )


def _minutes(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() // 60)


async def _paused_since(session: AsyncSession, lesson_ids: list[str]) -> dict[str, datetime]:
    """When each of these rooms was last shut: the first pause after its last opening."""
    since: dict[str, datetime] = {}
    for line in (await session.exec(select(JournalEntry).where(
        col(JournalEntry.lesson_id).in_(lesson_ids), col(JournalEntry.kind).in_(("opened", "held"))
    ).order_by(col(JournalEntry.seq)))).all():
        if line.kind == "opened":
            since.pop(line.lesson_id, None)
        else:
            since.setdefault(line.lesson_id, line.at)
    return since


async def next_start(session: AsyncSession, school_id: str, now: datetime) -> datetime | None:
    """When the next lesson of today or later starts."""
    return (await session.exec(select(Lesson.starts_at).where(
        Lesson.school_id == school_id, Lesson.status == "planned", Lesson.starts_at > now, col(Lesson.breakout_of).is_(None)
    ).order_by(col(Lesson.starts_at)).limit(1))).first()


async def stop(session: AsyncSession, actor: Actor, *, lesson_id: str, reason: str, now: datetime) -> None:
    """Stop a lesson for the school, from outside its room: it is held at once and opens no more."""
    roster = await rosters.roster(session, lesson_id)
    if roster.school_id != actor.school_id:
        raise NotFound()
    if roster.ended_at is not None:
        raise Conflict("This lesson has ended.")
    if not reason.strip():
        raise Invalid("There is a problem", fields={"reason": "Say why"})
    last = (await session.exec(select(func.max(JournalEntry.seq)).where(JournalEntry.lesson_id == lesson_id))).one()
    session.add(JournalEntry(school_id=actor.school_id, lesson_id=lesson_id, seq=(last or 0) + 1, at=now, kind="stopped",
                             person_id=actor.person_id))
    await publish(session, LessonStopped(lesson_id, actor.person_id), actor)
    await attention.call(session, actor, lesson_id=lesson_id, reason=Reason.STOPPED, now=now)
    await safeguarding.raise_alert(
        session, actor, kind=Kind.STOPPED, now=now, lesson_id=lesson_id, place=f"{roster.title}, {roster.group.name}",
        present=await took_part(session, lesson_id), words=reason,
    )


# -- pages -------------------------------------------------------------------------------------------------------------


@router.get("")
async def live(request: Request, actor: Leader, session: Reading, now: Now) -> Response:
    found = await rows(session, request.app.state.rooms, actor.school_id, now)
    return await render(request, "lessons/live.html", title="Live now", rows=found,
                        next_start=await next_start(session, actor.school_id, now))


@router.get("/rows")
async def live_rows(request: Request, actor: Leader, session: Reading, now: Now) -> dict[str, Any]:
    """The same rows, for the open page to bring itself up to date."""
    found = await rows(session, request.app.state.rooms, actor.school_id, now)
    upcoming = await next_start(session, actor.school_id, now)
    zone = (await people.school(session, actor.school_id)).zone
    return {"rows": [asdict(row) for row in found], "next": say_time(upcoming, zone) if upcoming else ""}


@router.get("/{lesson_id}/stop")
async def ask_to_stop(request: Request, lesson_id: str, actor: Leader, session: Reading) -> Response:
    return await _stop_page(request, actor, session, lesson_id)


@router.post("/{lesson_id}/stop")
async def stop_lesson(
    request: Request, lesson_id: str, actor: Leader, session: Closing, now: Now, reason: Annotated[str, Form()] = "",
) -> Response:
    try:
        await stop(session, actor, lesson_id=lesson_id, reason=reason, now=now)
    except Invalid as error:
        return await _stop_page(request, actor, session, lesson_id, error.fields)
    return see_other("/live")


async def _stop_page(
    request: Request, actor: Actor, session: AsyncSession, lesson_id: str, errors: dict[str, str] | None = None,
) -> Response:
    roster = await rosters.roster(session, lesson_id)
    if roster.school_id != actor.school_id:
        raise NotFound()
    return await render(request, "lessons/stop.html", 422 if errors else 200, title="Stop lesson", lesson=roster, errors=errors)
