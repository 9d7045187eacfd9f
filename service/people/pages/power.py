"""The second person agrees that somebody may approve, or does not (threat T5). Shaped as a change of the rules is."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import power, queries, rules, step_up
from service.people.pages.forms import saved, words
from service.people.step_up import Confirming, NotConfirmed, Proof

router = APIRouter(prefix="/roles")
Holder = Annotated[Actor, Depends(Audience(rules.POWERFUL))]
Chair = Annotated[Actor, Depends(Audience(frozenset({Role.CHAIR})))]


@router.get("/waiting")
async def show_list(request: Request, actor: Holder, session: Reading) -> Response:
    return await render(request, "people/power/list.html", title="Roles that wait for a second person",
                        waiting=await power.waiting(session, actor.school_id),
                        asks_for_head=Role.CHAIR in actor.roles and not await queries.has_head(session, actor.school_id))


@router.get("/headteacher")
async def head_form(request: Request, actor: Chair, session: Reading) -> Response:
    return await _head_form(request, actor, session)


async def _head_form(request: Request, actor: Actor, session: AsyncSession, email: str = "",
                     refusal: Invalid | Conflict | NotAllowed | None = None) -> Response:
    return await render(
        request, "people/power/headteacher.html", 422 if refusal else 200, title="Ask for the next headteacher", email=email,
        has_head=await queries.has_head(session, actor.school_id), errors=words(refusal) if refusal else None)


@router.post("/headteacher")
async def ask_for_head(request: Request, actor: Chair, session: Reading, now: Now, proof: Confirming,
                       email: Annotated[str, Form()] = "") -> Response:
    try:
        action = await power.asking_for_head(session, actor, email)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        await saved(request, lambda writing: power.ask_for_head(writing, actor, email, proof=proof, now=now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except (Invalid, Conflict, NotAllowed) as refusal:
        return await _head_form(request, actor, session, email, refusal)
    return see_other("/roles/waiting")


@router.get("/waiting/{request_id}")
async def show(request: Request, actor: Holder, session: Reading, request_id: str) -> Response:
    return await _request(request, actor, session, request_id)


async def _request(request: Request, actor: Actor, session: AsyncSession, request_id: str,
                   refusal: Invalid | Conflict | NotAllowed | None = None) -> Response:
    asked = await power.request(session, actor.school_id, request_id)
    return await render(
        request, "people/power/request.html", 422 if refusal else 200, asked=asked, nobody_else=rules.NOBODY_ELSE,
        is_mine=asked.asked_by_id == actor.person_id, is_me=asked.person_id == actor.person_id,
        title=f"{asked.asked_by} wants {asked.person} to be {rules.ROLE_WORDS[asked.role]}",
        errors=words(refusal) if refusal else None,
    )


@router.post("/waiting/{request_id}")
async def decide(request: Request, actor: Holder, session: Reading, request_id: str, now: Now, proof: Confirming,
                 answer: Annotated[str, Form()] = "") -> Response:
    try:
        if answer == "agree":
            return await _agree(request, actor, session, request_id, now, proof)
        if answer != "refuse":
            raise Invalid(fields={"answer": "Choose one"})
        await saved(request, lambda writing: power.refuse(writing, actor, request_id, now=now))
    except (Invalid, Conflict, NotAllowed) as refusal:
        return await _request(request, actor, session, request_id, refusal)
    return see_other(f"/roles/waiting/{request_id}")


async def _agree(request: Request, actor: Actor, session: AsyncSession, request_id: str, now: Now, proof: Proof) -> Response:
    action = await power.agreeing(session, actor, request_id)
    if not proof.is_given:
        return await step_up.ask(request, session, actor, action)
    try:
        await saved(request, lambda writing: power.agree(writing, actor, request_id, proof=proof, now=now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    return see_other(f"/roles/waiting/{request_id}")
