"""An emergency: 999 and one's own telephone, and the record of it afterwards (policy: CM3)."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import commands, queries
from service.calls.rules import CALLERS
from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people.pages.forms import saved, words
from service.people.rules import read_day

router = APIRouter()
Caller = Annotated[Actor, Depends(Audience(CALLERS))]
Text = Annotated[str, Form()]


@router.get("/calls/emergency")
async def show(request: Request, actor: Caller, session: Reading, now: Now, child: str = "", told: bool = False) -> Response:
    zone = ZoneInfo((await people.school(session, actor.school_id)).zone)
    local = now.astimezone(zone)
    given = {"day": f"{local.day}/{local.month}/{local.year}", "at": f"{local:%H:%M}", "words": ""}
    return await _page(request, actor, session, child, given, told=told)


async def _page(request: Request, actor: Actor, session: AsyncSession, child_id: str, given: dict[str, str],
                refusal: Invalid | None = None, told: bool = False) -> Response:
    about = await queries.child_of(session, actor, child_id, request.app.state.has_lessons_with) if child_id else None
    return await render(request, "calls/emergency.html", 422 if refusal else 200, title="In an emergency", child=about,
                        given=given, errors=words(refusal) if refusal else {}, told=told)


@router.post("/calls/emergency")
async def tell(request: Request, actor: Caller, session: Reading, now: Now, child: Text = "", day: Text = "", at: Text = "",
               said: Annotated[str, Form(alias="words")] = "") -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    try:
        await saved(request, lambda writing: commands.tell_of_emergency(
            writing, actor, request.app.state.has_lessons_with, child_id=child, happened_at=_moment(day, at, zone), words=said,
            now=now))
    except Invalid as refusal:
        return await _page(request, actor, session, child, {"day": day, "at": at, "words": said}, refusal)
    return see_other(f"/calls/emergency?child={child}&told=yes")


def _moment(day: str, at: str, zone: str) -> datetime | None:
    on = read_day(day)
    try:
        time = datetime.strptime(at.strip(), "%H:%M").time()  # noqa: DTZ007
    except ValueError:
        return None
    return datetime.combine(on, time, ZoneInfo(zone)) if on else None
