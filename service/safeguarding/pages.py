"""The safeguarding team's inbox of alerts. Nothing outside an opened alert says what it is about: the screen may be shared."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.banners import Banner
from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, Writing, render, say_moment, say_time, see_other
from service.people import queries as people
from service.safeguarding import commands, queries
from service.safeguarding.rules import INBOX

router = APIRouter(prefix="/safeguarding")
Team = Annotated[Actor, Depends(Audience(INBOX))]
KINDS = {
    "worry": "Worry", "flag": "Flag", "chat-held": "Chat", "teacher-not-arrived": "No teacher", "teacher-away": "Teacher away",
    "recorder-failed": "Recording fault", "address-shared": "Shared address", "device-shared": "Shared device",
    "stopped": "Lesson stopped", "one-pupil": "One pupil, two adults planned",
    "forbidden-delivery": "Stopped by the monitor",
}


@router.get("")
async def inbox(request: Request, actor: Team, session: Reading, now: Now) -> Response:
    found = await queries.inbox(session, actor, now)
    return await render(request, "safeguarding/inbox.html", title="Alerts", alerts=found, kinds=KINDS)


@router.get("/closed")
async def closed(request: Request, actor: Team, session: Reading, now: Now) -> Response:
    found = await queries.closed(session, actor, now)
    return await render(request, "safeguarding/closed.html", title="Closed alerts", alerts=found, kinds=KINDS)


@router.get("/rows")
async def rows(actor: Team, session: Reading, now: Now) -> list[dict[str, Any]]:
    """The inbox as rows, for the open page to bring itself up to date."""
    zone = (await people.school(session, actor.school_id)).zone
    return [
        {"id": view.id, "at": say_moment(view.raised_at, zone), "kind": KINDS[view.kind], "owner": view.owner,
         "mine": view.mine, "late": view.late}
        for view in await queries.inbox(session, actor, now)
    ]


async def banners(session: AsyncSession, actor: Actor, now: datetime) -> list[Banner]:
    """That something waits and since when: all that may stand on a page that others can see."""
    waiting = await queries.waiting(session, actor, now)
    if not waiting:
        return []
    since = say_time(waiting[0].raised_at, (await people.school(session, actor.school_id)).zone)
    return [Banner("Safeguarding alert", f"Safeguarding alert, {since}.", "/safeguarding")]


@router.get("/{alert_id}")
async def alert(request: Request, alert_id: str, actor: Team, session: Writing, now: Now) -> Response:
    return await _alert_page(request, actor, await commands.open_alert(session, actor, alert_id=alert_id, now=now))


@router.post("/{alert_id}/take")
async def take(alert_id: str, actor: Team, session: Writing, now: Now) -> Response:
    await commands.take(session, actor, alert_id=alert_id, now=now)
    return see_other(f"/safeguarding/{alert_id}")


@router.post("/{alert_id}/notes")
async def add_note(
    request: Request, alert_id: str, actor: Team, session: Writing, now: Now, words: Annotated[str, Form()] = "",
    close: Annotated[str, Form()] = "",
) -> Response:
    try:
        if close:
            await commands.close(session, actor, alert_id=alert_id, words=words, now=now)
        else:
            await commands.add_note(session, actor, alert_id=alert_id, words=words, now=now)
    except Invalid as error:
        return await _alert_page(request, actor, await queries.alert(session, actor, alert_id, now), error.fields)
    return see_other("/safeguarding" if close else f"/safeguarding/{alert_id}#notes")


async def _alert_page(
    request: Request, actor: Actor, view: queries.AlertView, errors: dict[str, str] | None = None,
) -> Response:
    return await render(request, "safeguarding/alert.html", 422 if errors else 200, title=TITLES.get(view.kind, "Alert"),
                        alert=view, errors=errors)


TITLES = {
    "worry": "Worry from a pupil", "flag": "Flag in a lesson", "chat-held": "Chat that was held back",
    "teacher-not-arrived": "The teacher has not arrived", "teacher-away": "The teacher has gone",
    "recorder-failed": "Recording stopped", "address-shared": "A pupil and an adult at one address",
    "device-shared": "One device for two people", "stopped": "A lesson was stopped",
    "forbidden-delivery": "The monitor stopped a lesson",
}
