"""The private calendar address of a member of staff, and the feed behind it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lessons import calendar
from lessons.proposals import TEACHING
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Public, Reading, Writing, render, see_other

router = APIRouter()
Staff = Annotated[Actor, Depends(Audience(TEACHING))]


@router.get("/calendar")
async def mine(request: Request, actor: Staff, session: Reading) -> Response:
    found = await calendar.current(session, actor)
    return await render(request, "lessons/calendar.html", title="Your calendar", feed=found, url="")


@router.post("/calendar")
async def make(request: Request, actor: Staff, session: Writing, now: Now) -> Response:
    """The address is shown on this answer and never again: only its hash is kept."""
    token = await calendar.make(session, actor, now)
    url = f"{request.app.state.settings.origin}/calendar/{token}.ics"
    feed = await calendar.current(session, actor)
    return await render(request, "lessons/calendar.html", title="Your calendar", feed=feed, url=url)


@router.post("/calendar/revoke")
async def revoke(actor: Staff, session: Writing, now: Now) -> Response:
    await calendar.revoke(session, actor, now)
    return see_other("/calendar")


@router.get("/calendar/{token}.ics", dependencies=[Public])
async def feed(request: Request, token: str, session: Reading, now: Now) -> Response:
    body = await calendar.feed(session, token, now, request.app.state.settings.origin)
    return Response(body, media_type="text/calendar; charset=utf-8")
