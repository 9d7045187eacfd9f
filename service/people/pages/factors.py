"""A person's passkeys and one-time codes on their account page, and removing somebody's who lost them."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import challenges, factors, one_time_codes, passkeys, queries, rules, step_up
from service.people.actions import ENROLMENT_LASTS, Action, NotConfirmed
from service.people.pages.badges import square
from service.people.pages.forms import saved, words
from service.people.step_up import Confirming, Proof

router = APIRouter()
Prover = Annotated[Actor, Depends(Audience(rules.PROVERS))]
Resetter = Annotated[Actor, Depends(Audience(rules.FACTOR_RESETTERS))]
Text = Annotated[str, Form()]
T = TypeVar("T")
PURPOSES = {True: "register-confirmed", False: "register"}


async def _confirming(request: Request, session: AsyncSession, actor: Actor, action: Action, proof: Proof,
                      write: Callable[[AsyncSession], Awaitable[T]], then: Callable[[T], Awaitable[Response] | Response], *,
                      is_needed: bool = True, back: str = "/account") -> Response:
    """Ask for a proof where one is needed, write with it, and show what comes `then`."""
    if is_needed and not proof.is_given:
        return await step_up.ask(request, session, actor, action, back=back)
    try:
        answer = then(await saved(request, write))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=back)
    return answer if isinstance(answer, Response) else await answer


# -- passkeys ---------------------------------------------------------------------------------------------------------


@router.post("/account/passkeys/add")
async def add_passkey(request: Request, actor: Prover, session: Reading, now: Now, proof: Confirming) -> Response:
    """The page that makes a passkey; before it, a proof with what the person has already."""
    return await _confirming(
        request, session, actor, factors.adding(actor, "passkey"), proof,
        lambda writing: factors.proven(writing, actor, "passkey", proof, now),
        lambda is_proven: _passkey_form(request, actor, is_proven=is_proven, now=now),
        is_needed=(await step_up.held(session, actor.person_id, now)).can_prove,
    )


async def _passkey_form(request: Request, actor: Actor, *, is_proven: bool, now: datetime, name: str = "",
                        refusal: Invalid | None = None) -> Response:
    state = request.app.state
    challenge = challenges.new(state.pepper, PURPOSES[is_proven], (actor.session_id,), now + ENROLMENT_LASTS)
    async with state.database.glance() as session:
        own = await queries.account(session, actor.person_id)
        existing = await passkeys.of(session, actor.person_id)
        rests = await factors.rest(session, actor, is_proven=is_proven, now=now)
    asked_for = passkeys.creation(passkeys.site(state), actor, own.email, challenge, existing)
    return await render(
        request, "people/factors/passkey.html", 422 if refusal else 200, title="Add a passkey", name=name,
        options=json.dumps({"ticket": challenge.ticket, "publicKey": asked_for}), rests=rests if rests > now else None,
        errors=words(refusal) if refusal else None,
    )


@router.post("/account/passkeys")
async def keep_passkey(request: Request, actor: Prover, now: Now, passkey: Text = "", name: Text = "") -> Response:
    state = request.app.state
    given = passkeys.answer(passkey)
    found = {is_proven: challenges.behind(state.pepper, purpose, (actor.session_id,), given.ticket, now) if given else None
             for is_proven, purpose in PURPOSES.items()}
    is_proven = found[True] is not None
    challenge = found[is_proven]
    try:
        if given is None or challenge is None:
            raise Invalid("That took a while. Try again.")
        async with state.database.writing() as session:
            rests_until = await factors.rest(session, actor, is_proven=is_proven, now=now)
            await passkeys.add(session, passkeys.site(state), actor, given, challenge, name=name, rests_until=rests_until,
                               now=now)
    except Invalid as refusal:
        return await _passkey_form(request, actor, is_proven=is_proven, now=now, name=name, refusal=refusal)
    return see_other("/account?saved=passkey")


@router.post("/account/passkeys/{passkey_id}/remove")
async def remove_passkey(request: Request, actor: Prover, session: Reading, now: Now, passkey_id: str,
                         proof: Confirming) -> Response:
    row = await passkeys.own(session, actor, passkey_id)
    return await _confirming(
        request, session, actor, factors.removing(actor, "passkey", row.id, row.name), proof,
        lambda writing: factors.remove_passkey(writing, actor, passkey_id, proof, now),
        lambda _: see_other("/account?saved=removed"), is_needed=row.rests_until <= now,
    )


# -- one-time codes ---------------------------------------------------------------------------------------------------


@router.post("/account/codes")
async def begin_codes(request: Request, actor: Prover, session: Reading, now: Now, proof: Confirming) -> Response:
    return await _confirming(
        request, session, actor, factors.adding(actor, "codes"), proof,
        lambda writing: factors.begin_codes(writing, request.app.state, actor, proof, now),
        lambda secret: _codes_form(request, actor, secret),
        is_needed=(await step_up.held(session, actor.person_id, now)).can_prove,
    )


async def _codes_form(request: Request, actor: Actor, secret: str, refusal: Invalid | None = None) -> Response:
    async with request.app.state.database.glance() as session:
        own, school = await queries.account(session, actor.person_id), await queries.school(session, actor.school_id)
    address = one_time_codes.address(secret, email=own.email or actor.name, school=school.name)
    key = " ".join(secret[at:at + 4] for at in range(0, len(secret), 4))
    return await render(request, "people/factors/codes.html", 422 if refusal else 200, title="Set up one-time codes", key=key,
                        square=square(address, "One-time codes"), errors=words(refusal) if refusal else None)


@router.post("/account/codes/confirm")
async def confirm_codes(request: Request, actor: Prover, session: Reading, now: Now, code: Text = "") -> Response:
    pepper = request.app.state.pepper
    secret = await one_time_codes.begun(session, pepper, actor)
    try:
        await saved(request, lambda writing: one_time_codes.confirm(writing, pepper, actor, code, now))
    except Invalid as refusal:
        return await _codes_form(request, actor, secret, refusal)
    return see_other("/account?saved=codes")


@router.post("/account/codes/remove")
async def remove_codes(request: Request, actor: Prover, session: Reading, now: Now, proof: Confirming) -> Response:
    codes = (await step_up.held(session, actor.person_id, now)).codes
    return await _confirming(
        request, session, actor, factors.removing(actor, "codes", actor.person_id), proof,
        lambda writing: factors.remove_codes(writing, actor, proof, now), lambda _: see_other("/account?saved=removed"),
        is_needed=codes is not None and codes.rests_until is None,
    )


# -- somebody else's --------------------------------------------------------------------------------------------------


@router.post("/people/{person_id}/factors/reset")
async def reset(request: Request, actor: Resetter, session: Reading, now: Now, person_id: str, proof: Confirming) -> Response:
    removal = await factors.checked_reset(session, actor, person_id, now)
    back = f"/people/{person_id}"
    return await _confirming(
        request, session, actor, removal.action, proof, lambda writing: factors.reset(writing, actor, person_id, proof, now),
        lambda _: see_other(back), back=back,
    )
