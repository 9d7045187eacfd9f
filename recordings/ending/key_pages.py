"""The keys of recordings, for the technician: a new wrapping key, and recovery keys by two people (policy: AC4, AC6)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending import queries, recovery
from recordings.keystore import StillNeeded
from service.foundation.errors import Conflict, Invalid, NotAllowed, SafeguardError
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter(prefix="/keys")
Asker = Annotated[Actor, Depends(Audience(Role.TECHNICIAN, Role.DSL, Role.HEADTEACHER))]
SECOND = frozenset({Role.DSL, Role.HEADTEACHER})
Second = Annotated[Actor, Depends(Audience(SECOND))]
Technician = Annotated[Actor, Depends(Audience(Role.TECHNICIAN))]


@router.get("")
async def keys(request: Request, actor: Asker, session: Reading) -> Response:
    return await _page(request, actor, session)


async def _page(request: Request, actor: Actor, session: AsyncSession, refusal: SafeguardError | None = None,
                given: dict[str, str] | None = None) -> Response:
    rows = await queries.recipients(session, actor.school_id)
    names = await people.people(session, actor.school_id, {who for row in rows for who in (row.asked_by, row.decided_by)})
    standing = request.app.state.vault.key_store(actor.school_id).standing()
    return await render(
        request, "recordings/ending/keys.html", 422 if refusal else 200, title="Keys of recordings", rows=rows, names=names,
        standing=standing, may_rotate=Role.TECHNICIAN in actor.roles, may_agree=actor.is_any(SECOND),
        errors=(refusal.fields or {"": refusal.message}) if refusal else None, given=given or {},
    )


@router.post("/rotate")
async def rotate(request: Request, actor: Technician, session: Reading, now: Now, proof: Confirming) -> Response:
    try:
        if not proof.is_given:
            return await step_up.ask(request, session, actor, recovery.ROTATING, back="/keys")
        async with request.app.state.database.writing() as writing:
            await step_up.confirmed(writing, actor, recovery.ROTATING, proof, now)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, recovery.ROTATING, refusal, back="/keys")
    try:
        await recovery.rotate(request.app.state.database, request.app.state.vault, actor)
    except StillNeeded as refusal:
        return await _page(request, actor, session, refusal)
    return see_other("/keys")


@router.post("/recovery")
async def ask(
    request: Request, actor: Asker, session: Reading, now: Now, proof: Confirming, name: Annotated[str, Form()] = "",
    public_key: Annotated[str, Form()] = "",
) -> Response:
    action = recovery.asking(name, public_key)
    try:
        recovery.check(name, public_key)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back="/keys")
        async with request.app.state.database.writing() as writing:
            await recovery.ask(writing, actor, name=name, public_key=public_key, proof=proof, now=now)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back="/keys")
    except (Invalid, Conflict, NotAllowed) as refusal:
        # A private half that was typed by mistake is not sent back into the page.
        kept = public_key if public_key.strip().startswith("age1") else ""
        return await _page(request, actor, session, refusal, {"name": name, "public_key": kept})
    return see_other("/keys")


@router.post("/recovery/{recipient_id}")
async def agree(request: Request, actor: Second, session: Reading, now: Now, recipient_id: str, proof: Confirming) -> Response:
    try:
        action = recovery.agreeing(await recovery.waiting(session, actor, recipient_id))
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back="/keys")
        async with request.app.state.database.writing() as writing:
            await recovery.agree(writing, actor, recipient_id, proof=proof, now=now)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back="/keys")
    except (Conflict, NotAllowed) as refusal:
        return await _page(request, actor, session, refusal)
    await recovery.apply(request.app.state.database, request.app.state.vault)
    return see_other("/keys")


@router.post("/recovery/{recipient_id}/end")
async def end(request: Request, actor: Second, session: Reading, now: Now, recipient_id: str) -> Response:
    try:
        async with request.app.state.database.writing() as writing:
            await recovery.end(writing, actor, recipient_id, now=now)
    except Conflict as refusal:
        return await _page(request, actor, session, refusal)
    return see_other("/keys")
