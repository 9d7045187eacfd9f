"""The safeguarding team's review queue. Nothing outside an opened item says what it is about: the screen may be shared."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.banners import Banner
from service.foundation.errors import Conflict, Invalid
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, say_moment, say_time, see_other
from service.people import queries as people
from service.people.pages.forms import saved
from service.safeguarding import commands, queries, rules
from service.safeguarding.concerns import queries as concerns
from service.safeguarding.rules import INBOX, Tab
from service.safeguarding.tables import Alert

router = APIRouter(prefix="/safeguarding")
Team = Annotated[Actor, Depends(Audience(INBOX))]
Text = Annotated[str, Form()]
KINDS = {
    "worry": "Worry", "flag": "Flag", "chat-held": "Chat, urgent", "teacher-not-arrived": "No teacher",
    "teacher-away": "Teacher away", "recorder-failed": "Recording fault", "address-shared": "Shared address",
    "device-shared": "Shared log-in", "stopped": "Lesson stopped", "one-pupil": "One pupil, two adults planned",
    "forbidden-delivery": "Stopped by the monitor", "parent": "Parent", "concern": "Concern", "nearly-alone": "Nearly alone",
    "paused": "Lesson paused", "chat": "Chat held back", "one-to-one": "One-to-one", "recording": "Recording incomplete",
    "withdrawn": "Permission taken back",
}
TITLES = {
    "worry": "Worry from a pupil", "flag": "Flag in a lesson", "chat-held": "Chat that was held back",
    "teacher-not-arrived": "The teacher has not arrived", "teacher-away": "The teacher has gone",
    "recorder-failed": "Recording stopped", "address-shared": "A pupil and an adult at one address",
    "device-shared": "One device for two people", "stopped": "A lesson was stopped", "one-pupil": "One pupil, two adults planned",
    "forbidden-delivery": "The monitor stopped a lesson", "parent": "A parent is worried", "concern": "A concern from staff",
    "nearly-alone": "An adult would have been alone with a pupil", "paused": "A lesson was paused",
    "chat": "Chat that was held back", "one-to-one": "A one-to-one took place", "recording": "A recording is incomplete",
    "withdrawn": "A permission was taken back during a lesson",
}
TABS = {Tab.NEW: "New", Tab.MINE: "Mine", Tab.WAITING: "Waiting", Tab.CLOSED: "Closed"}
A_PAGE = 100
"""Closed items on one page."""
NOT_YET = frozenset({"one-pupil", "teacher-not-arrived", "concern", "parent"})
"""Kinds of which there may be no recording to watch."""


@router.get("")
async def queue(request: Request, actor: Team, session: Reading, now: Now, tab: Tab = Tab.NEW,
                page: Annotated[int, Query(ge=1, le=10_000)] = 1) -> Response:
    opened, has_more = await queries.inbox(session, actor, now), False
    shown = [one for one in opened if one.tab is tab]
    if tab is Tab.CLOSED:
        found = await queries.closed(session, actor, now, skip=(page - 1) * A_PAGE, limit=A_PAGE + 1)
        shown, has_more = found[:A_PAGE], len(found) > A_PAGE
    return await render(
        request, "safeguarding/queue.html", title="Review", alerts=shown, kinds=KINDS, tab=tab, tabs=TABS, page=page,
        has_more=has_more,
        numbers={each: sum(one.tab is each for one in opened) for each in Tab if each is not Tab.CLOSED},
        late=sum(one.late not in ("", "New") for one in opened if one.tab is Tab.NEW), words=rules.SEVERITY_WORDS,
        outcomes=rules.OUTCOME_WORDS,
    )


@router.get("/closed")
async def closed(actor: Team) -> Response:
    """Where the closed items were listed before."""
    return see_other("/safeguarding?tab=closed")


@router.get("/rows")
async def rows(actor: Team, session: Reading, now: Now, tab: Tab = Tab.NEW) -> dict[str, Any]:
    """One tab of the queue as rows, and how many each holds, for the open page to bring itself up to date."""
    zone = (await people.school(session, actor.school_id)).zone
    opened = await queries.inbox(session, actor, now)
    return {
        "numbers": {each: sum(one.tab is each for one in opened) for each in Tab if each is not Tab.CLOSED},
        "rows": [
            {"id": view.id, "at": say_moment(view.raised_at, zone), "kind": KINDS[view.kind], "owner": view.owner,
             "mine": view.mine, "late": view.late, "times": view.times, "severity": rules.SEVERITY_WORDS[view.severity],
             "handed_to": view.handed_to, "to_me": view.handed_to_me, "waits_for": bool(view.waits_for)}
            for view in opened if view.tab is tab
        ],
    }


async def banners(session: AsyncSession, actor: Actor, now: datetime) -> list[Banner]:
    """That something waits and since when: all that may stand on a page that others can see."""
    waiting = await queries.waiting(session, actor, now)
    if not waiting:
        return []
    since = say_time(waiting[0].raised_at, (await people.school(session, actor.school_id)).zone)
    where = "/safeguarding?tab=mine" if all(one.handed_to_me for one in waiting) else "/safeguarding"
    return [Banner("Safeguarding alert", f"Safeguarding alert, {since}.", where)]


@router.get("/{alert_id}")
async def alert(request: Request, alert_id: str, actor: Team, session: Writing, now: Now) -> Response:
    await commands.open_alert(session, actor, alert_id=alert_id, now=now)
    return await _page(request, actor, session, alert_id, now)


@router.post("/{alert_id}/take")
async def take(request: Request, alert_id: str, actor: Team, session: Reading, now: Now, seen: Text = "") -> Response:
    return await _do(request, actor, session, alert_id, now, saved(
        request, lambda writing: commands.take(writing, actor, alert_id=alert_id, seen=seen, now=now)))


@router.post("/{alert_id}/hand-over")
async def hand_over(request: Request, alert_id: str, actor: Team, session: Reading, now: Now, to: Text = "",
                    handing: Text = "") -> Response:
    return await _do(request, actor, session, alert_id, now, saved(
        request, lambda writing: commands.hand_over(writing, actor, alert_id=alert_id, to_id=to, words=handing, now=now)),
        given={"to": to, "handing": handing})


@router.post("/{alert_id}/answer")
async def answer(request: Request, alert_id: str, actor: Team, session: Reading, now: Now,
                 said: Annotated[str, Form(alias="answer")] = "") -> Response:
    return await _do(request, actor, session, alert_id, now, saved(
        request, lambda writing: commands.answer_parent(writing, actor, alert_id=alert_id, answer=said, now=now)), to="#notes")


@router.post("/{alert_id}/wait")
async def put_aside(request: Request, alert_id: str, actor: Team, session: Reading, now: Now, waits_for: Text = "") -> Response:
    return await _do(request, actor, session, alert_id, now, saved(
        request, lambda writing: commands.put_aside(writing, actor, alert_id=alert_id, waits_for=waits_for, now=now)))


@router.post("/{alert_id}/resume")
async def resume(request: Request, alert_id: str, actor: Team, session: Reading, now: Now) -> Response:
    return await _do(request, actor, session, alert_id, now, saved(
        request, lambda writing: commands.resume(writing, actor, alert_id=alert_id, now=now)))


@router.post("/{alert_id}/notes")
async def add_note(
    request: Request, alert_id: str, actor: Team, session: Reading, now: Now, words: Text = "", outcome: Text = "",
    close: Text = "",
) -> Response:
    if not close:
        return await _do(request, actor, session, alert_id, now, saved(
            request, lambda writing: commands.add_note(writing, actor, alert_id=alert_id, words=words, now=now)), to="#notes")
    return await _do(request, actor, session, alert_id, now, saved(
        request, lambda writing: commands.close(writing, actor, alert_id=alert_id, outcome=outcome, words=words, now=now)),
        then="/safeguarding?tab=mine", given={"words": words, "outcome": outcome})


async def _do(request: Request, actor: Actor, session: AsyncSession, alert_id: str, now: datetime, done: Awaitable[None], *,
              then: str = "", to: str = "", given: dict[str, str] | None = None) -> Response:
    """Carry it out; what is refused is said on the item's page, with what was typed."""
    try:
        await done
    except Invalid as refused:
        return await _page(request, actor, session, alert_id, now, 422, refused.fields, given)
    except Conflict as refused:
        return await _page(request, actor, session, alert_id, now, 409, {"notes": refused.message}, given)
    return see_other(then or f"/safeguarding/{alert_id}{to}")


async def _page(request: Request, actor: Actor, session: AsyncSession, alert_id: str, now: datetime, status: int = 200,
                errors: dict[str, str] | None = None, given: dict[str, str] | None = None) -> Response:
    view = await queries.alert(session, actor, alert_id, now)
    return await render(
        request, "safeguarding/alert.html", status, title=TITLES.get(view.kind, "Alert"), alert=view, errors=errors,
        given=given or {}, outcomes=rules.OUTCOME_WORDS, words=rules.SEVERITY_WORDS, quiet=rules.QUIET,
        colleagues=await queries.colleagues(session, actor, alert_id) if view.mine else [],
        may_watch=bool(view.lesson_id) and view.kind not in NOT_YET and actor.is_any(SAFEGUARDING),
        answers=rules.ANSWER_WORDS if view.mine and await queries.may_be_answered(
            session, await session.get_one(Alert, alert_id)) else {},
        concern=await concerns.number_for(session, actor, view.concern_id),
        officer=await concerns.officer(session, actor.school_id) if view.routed_to is not Role.DSL else None,
    )
