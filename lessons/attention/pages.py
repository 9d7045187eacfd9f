"""What those on duty see of a lesson that needs somebody; the banner says no more than that one does."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.attention import commands, queries, rules
from lessons.attention.rules import Reason
from service.foundation.banners import CALLED, Banner
from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Writing, render, say_time, see_other
from service.people import queries as people

router = APIRouter(prefix="/attention")
Called = Annotated[Actor, Depends(Audience(CALLED))]
WHY = {
    "stopped-by-school": "The school stopped it.", "approval-ended": "The approval for this one-to-one ended.",
    "not-recorded": "Recording has stopped.", "no-adult": "No adult is in it.",
    "lone-adult": "An adult would be alone with one pupil.", "not-permitted": "A permission is missing.",
    "outside-window": "It is outside its time.", "starting": "It has not opened again.",
}
"""In the words of “Live now”. Never which pupil (policy: CO2)."""
PAUSED_BEFORE = 2
"""Minutes for which a lesson was paused when somebody was called."""


async def banners(session: AsyncSession, actor: Actor, now: datetime) -> list[Banner]:
    found = await queries.waiting(session, actor, now)
    if not found:
        return []
    zone = (await people.school(session, actor.school_id)).zone
    invited = [row for row in found if row.reason == Reason.INVITED]
    others = [row for row in found if row.reason != Reason.INVITED]
    asks = "A colleague asks you to join a lesson now, so that nobody is alone in it."
    shown = [Banner("Join a lesson", asks, f"/lessons/{row.lesson_id}", "Open the lesson") for row in invited[:1]]
    if others:
        first = others[0]
        words = f"A lesson needs attention, {say_time(first.raised_at, zone)}."
        shown.insert(0, Banner("Lesson", words, f"/attention/{first.id}"))
    return shown


@router.get("/{attention_id}")
async def show(request: Request, attention_id: str, actor: Called, session: Writing, now: Now) -> Response:
    return await _page(request, actor, session, await commands.read(session, actor, attention_id, now), now)


@router.post("/{attention_id}/take")
async def take(attention_id: str, actor: Called, session: Writing, now: Now) -> Response:
    await commands.take(session, actor, attention_id, now)
    return see_other(f"/attention/{attention_id}")


@router.post("/{attention_id}/clear")
async def clear(request: Request, attention_id: str, actor: Called, session: Writing, now: Now,
                because: Annotated[str, Form()] = "") -> Response:
    """For this lesson, with a reason that the audit keeps (threat T3)."""
    try:
        await commands.clear(session, actor, attention_id, because, now)
    except Invalid as refused:
        view = await queries.one(session, actor, attention_id, now)
        return await _page(request, actor, session, view, now, refused.fields)
    return see_other(f"/attention/{attention_id}")


async def _page(request: Request, actor: Actor, session: AsyncSession, view: queries.NeedView, now: datetime,
                errors: dict[str, str] | None = None) -> Response:
    minutes = int((now - view.need.raised_at).total_seconds() // 60) + PAUSED_BEFORE
    return await render(
        request, "lessons/attention/need.html", 422 if errors else 200, title=rules.say_reason(view.need.reason, minutes),
        one=view, why=WHY.get(view.why, ""), Reason=Reason, errors=errors,
        office=(await people.school(session, actor.school_id)).office,
    )
