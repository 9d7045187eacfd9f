"""After a restore: what to enter again, from when until when, and the confirmation that opens lessons (policy: AC6, CO3)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.banners import Banner
from service.foundation.errors import Invalid
from service.foundation.events import STAFF, Actor
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.step_up import Confirming, NotConfirmed
from service.safeguarding.reopening import commands, queries, rules

router = APIRouter()
Staff = Annotated[Actor, Depends(Audience(STAFF))]
Leader = Annotated[Actor, Depends(Audience(rules.MAY_REOPEN))]


@router.get("/restored")
async def show(request: Request, actor: Staff, session: Reading) -> Response:
    return await _page(request, actor, session, {}, [])


@router.post("/restored")
async def reopen(
    request: Request, actor: Leader, session: Reading, now: Now, proof: Confirming,
    entered: Annotated[list[str] | None, Form()] = None,
) -> Response:
    restoration = await queries.restoration(session, actor.school_id)
    if restoration is None:
        raise rules.OpenAlready()
    action = rules.reopen_action(restoration)
    try:
        rules.check_all_entered(entered or [])
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        async with request.app.state.database.writing() as writing:
            await commands.reopen(writing, actor, entered or [], proof, now)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except Invalid as error:
        return await _page(request, actor, session, error.fields, entered or [])
    return see_other("/restored")


async def _page(request: Request, actor: Actor, session: AsyncSession, wrong: dict[str, str], entered: list[str]) -> Response:
    school = await people.school(session, actor.school_id)
    return await render(
        request, "reopening/restored.html", 422 if wrong else 200, title="After the restore", zone=school.zone,
        restoration=await queries.restoration(session, actor.school_id), enter_again=_enter_again(request, actor), wrong=wrong,
        entered=entered, may_reopen=actor.is_any(rules.MAY_REOPEN),
    )


def _enter_again(request: Request, actor: Actor) -> dict[str, tuple[str, str, str]]:
    """What to enter again, with an address only where its page is for this person."""
    audiences = request.app.state.audiences
    return {name: (words, page if actor.is_any(audiences.get(page, frozenset())) else "", who)
            for name, (words, page, who) in rules.ENTER_AGAIN.items()}


async def banners(session: AsyncSession, actor: Actor, now: datetime) -> list[Banner]:
    """Every member of staff is told that lessons are closed."""
    if not actor.is_any(STAFF) or not await queries.is_closed(session, actor.school_id):
        return []
    return [Banner("Lessons are closed", "Lessons are closed since the restore.", "/restored")]
