"""A personal telephone: its number, asking for it, deciding, ending (policy: CM3)."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import grants, numbers, personal, queries
from service.calls.grants import Grant, State
from service.calls.rules import CALLERS
from service.calls.way import By, offered
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import LEADERS, Actor
from service.foundation.web import Audience, Now, Reading, render, say_day, see_other
from service.people import queries as people
from service.people import step_up
from service.people.pages.forms import saved, words
from service.people.rules import read_day
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter()
Caller = Annotated[Actor, Depends(Audience(CALLERS))]
Leader = Annotated[Actor, Depends(Audience(LEADERS))]
Text = Annotated[str, Form()]


@router.get("/calls/phone")
async def own(request: Request, actor: Caller, session: Reading) -> Response:
    return await _own(request, actor, session, {"why": "", "until": ""})


async def _own(request: Request, actor: Actor, session: AsyncSession, given: dict[str, str],
               refusal: Invalid | Conflict | None = None) -> Response:
    now = request.app.state.clock.now()
    known = await numbers.known(session, request.app.state.pepper, actor.school_id, [actor.person_id], numbers.OWN)
    found = await queries.grants(session, actor.school_id, actor.person_id)
    return await render(
        request, "calls/own_phone.html", 422 if refusal else 200, title="Your own phone", given=given,
        errors=words(refusal) if refusal else {}, by_computer=By.COMPUTER in offered(request.app.state.way),
        noted=known[actor.person_id].noted_at if known else None,
        grants=[(one, one.state(now)) for one in found], may_ask=all(one.state(now) is not State.WAITING for one in found),
    )


@router.post("/calls/phone")
async def keep_number(request: Request, actor: Caller, session: Reading, now: Now, number: Text = "") -> Response:
    try:
        await saved(request, lambda writing: personal.keep_own_number(writing, actor, request.app.state.pepper, number, now))
    except Invalid as refusal:
        return await _own(request, actor, session, {"why": "", "until": ""}, refusal)
    return see_other("/calls/phone")


@router.post("/calls/phone/ask")
async def ask(request: Request, actor: Caller, session: Reading, now: Now, why: Text = "", until: Text = "") -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    day, today = read_day(until), now.astimezone(ZoneInfo(zone)).date()
    ends_at = await personal.last_moment(session, actor.school_id, day)
    try:
        await saved(request, lambda writing: personal.ask(
            writing, actor, why=why, until=day, ends_at=ends_at, today=today, now=now))
    except (Invalid, Conflict) as refusal:
        return await _own(request, actor, session, {"why": why, "until": until}, refusal)
    return see_other("/calls/phone")


@router.get("/calls/phones")
async def show_list(request: Request, actor: Leader, session: Reading, now: Now) -> Response:
    found = await queries.grants(session, actor.school_id)
    names = await people.people(session, actor.school_id, {one.person_id for one in found})
    groups = {state: [(one, names[one.person_id].full_name) for one in found if one.state(now) is state] for state in State}
    return await render(request, "calls/phones.html", title="Personal phones", groups=groups)


@router.get("/calls/phones/{request_id}")
async def show(request: Request, actor: Caller, session: Reading, request_id: str) -> Response:
    return await _page(request, actor, session, request_id)


async def _page(request: Request, actor: Actor, session: AsyncSession, request_id: str,
                refusal: Invalid | Conflict | NotAllowed | None = None, *, answer: str = "", reason: str = "") -> Response:
    one, now = await queries.grant(session, actor.school_id, request_id), request.app.state.clock.now()
    is_own, is_leader = one.person_id == actor.person_id, actor.is_any(LEADERS)
    if not (is_own or is_leader):
        raise NotFound()
    names = await people.people(session, actor.school_id, {one.person_id, one.decided_by})
    return await render(
        request, "calls/phone.html", 422 if refusal else 200, title=f"Personal phone: {names[one.person_id].full_name}", one=one,
        name=names[one.person_id].name, decider=names[one.decided_by].name if one.decided_by in names else "",
        state=one.state(now), errors=words(refusal) if refusal else {}, answer=answer, reason=reason, is_own=is_own,
        is_leader=is_leader, may_decide=is_leader and not is_own,
    )


@router.post("/calls/phones/{request_id}")
async def decide(request: Request, actor: Leader, session: Reading, now: Now, request_id: str, proof: Confirming,
                 answer: Text = "", reason: Text = "") -> Response:
    try:
        one, said = await personal.decidable(session, actor, request_id, reason, now)
        if answer == "approve":
            action = grants.approval_action(one, said, await _approving(session, actor, one))
            if not proof.is_given:
                return await step_up.ask(request, session, actor, action, back=f"/calls/phones/{request_id}")
            try:
                await saved(request, lambda writing: personal.approve(
                    writing, actor, request_id, reason=reason, proof=proof, now=now))
            except NotConfirmed as refusal:
                return await step_up.ask(request, session, actor, action, refusal, back=f"/calls/phones/{request_id}")
        elif answer == "refuse":
            await saved(request, lambda writing: personal.refuse(writing, actor, request_id, reason=reason, now=now))
        else:
            raise Invalid(fields={"answer": "Choose what you decide"})
    except (Invalid, Conflict, NotAllowed) as refused:
        return await _page(request, actor, session, request_id, refused, answer=answer, reason=reason)
    return see_other(f"/calls/phones/{request_id}")


async def _approving(session: AsyncSession, actor: Actor, one: Grant) -> str:
    person = await people.person(session, actor.school_id, one.person_id)
    zone = (await people.school(session, actor.school_id)).zone
    return f"let {person.full_name} use a personal phone for masked calls until {say_day(one.until, zone)}"


@router.post("/calls/phones/{request_id}/end")
async def end(request: Request, actor: Caller, session: Reading, now: Now, request_id: str, because: Text = "") -> Response:
    one = await queries.grant(session, actor.school_id, request_id)
    if one.person_id != actor.person_id and not actor.is_any(LEADERS):
        raise NotFound()
    try:
        await saved(request, lambda writing: personal.end(writing, actor, request_id, because=because, now=now), closes=True)
    except (Invalid, Conflict) as refusal:
        return await _page(request, actor, session, request_id, refusal)
    return see_other(f"/calls/phones/{request_id}")
