"""Lessons that are kept for teaching practice: whose they are, agreeing, watching, ending (policy: RE1, CO2)."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import queries as recordings
from recordings.practice import commands, queries, rules
from recordings.practice.rules import State
from service.foundation.banners import Banner
from service.foundation.errors import Conflict
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.pages.forms import saved, words
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter(prefix="/practice")
ADULTS = rules.MENTORS | rules.ENDERS | {Role.SUPPORT}
Adult = Annotated[Actor, Depends(Audience(ADULTS))]
Watcher = Annotated[Actor, Depends(Audience(rules.MENTORS))]


@router.get("")
async def show_list(request: Request, actor: Adult, session: Reading) -> Response:
    found = await queries.listed(session, actor)
    groups = {state: [plan for plan in found if plan.state is state] for state in State}
    names = await people.people(session, actor.school_id, {plan.teacher_id for plan in found})
    return await render(request, "recordings/practice/list.html", title="Teaching practice", groups=groups, names=names,
                        pauses=rules.PAUSES)


@router.get("/{plan_id}")
async def show(request: Request, actor: Adult, session: Reading, now: Now, plan_id: str) -> Response:
    return await _page(request, actor, session, plan_id, now)


@router.post("/{plan_id}/agree")
async def agree(request: Request, actor: Adult, session: Reading, now: Now, plan_id: str) -> Response:
    return await _does(commands.agree, request, actor, session, now, plan_id)


@router.post("/{plan_id}/end")
async def end(request: Request, actor: Adult, session: Reading, now: Now, plan_id: str) -> Response:
    return await _does(commands.end, request, actor, session, now, plan_id)


async def _does(command: Callable[[AsyncSession, Actor, str, datetime], Awaitable[None]], request: Request, actor: Actor,
                session: AsyncSession, now: datetime, plan_id: str) -> Response:
    try:
        await saved(request, lambda writing: command(writing, actor, plan_id, now))
    except Conflict as refusal:
        return await _page(request, actor, session, plan_id, now, words(refusal))
    return see_other(f"/practice/{plan_id}")


@router.post("/{plan_id}/watch")
async def watch(request: Request, actor: Watcher, session: Reading, now: Now, plan_id: str, proof: Confirming) -> Response:
    try:
        action = rules.watching(await commands.check_watches(session, actor, plan_id, now))
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=f"/practice/{plan_id}")
        view_id = await saved(request, lambda writing: commands.watch(writing, actor, plan_id, proof, now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=f"/practice/{plan_id}")
    except rules.Pauses as refusal:
        return await _page(request, actor, session, plan_id, now, words(refusal))
    return see_other(f"/recordings/{plan_id}/views/{view_id}")


async def _page(request: Request, actor: Actor, session: AsyncSession, plan_id: str, now: datetime,
                errors: Any = None) -> Response:
    plan = await queries.plan(session, actor.school_id, plan_id)
    there = await queries.shown(session, plan)
    rules.check_sees(actor, plan, there)
    views = await queries.views(session, plan.id)
    adults = plan.asked | there.adults
    names = await people.people(session, actor.school_id, {
        plan.mentor_id, plan.teacher_id, plan.asked_by, *adults, *(view.person_id for view in views)})
    kept = await recordings.recording(session, actor.school_id, plan.id) if plan.state is State.READY else None
    return await render(
        request, "recordings/practice/plan.html", 422 if errors else 200, title=f"Teaching practice: {plan.title}", plan=plan,
        pauses=rules.PAUSES, State=State, names=names, views=views, errors=errors or {},
        kept_until=kept.kept_until if kept else None,
        missing=sorted((adults | {plan.teacher_id}) - plan.agreed, key=lambda who: names[who].name if who in names else ""),
        may_agree=rules.may_agree(actor, plan, there),
        may_watch=actor.person_id in (plan.teacher_id, plan.mentor_id) and actor.is_any(rules.MENTORS),
    )


async def banners(session: AsyncSession, actor: Actor, now: datetime) -> list[Banner]:
    """That somebody's own yes is waited for."""
    if not actor.is_any(ADULTS) or not await queries.waiting(session, actor):
        return []
    return [Banner("Decision", "A lesson may be kept for teaching practice, if you agree.", "/practice")]
