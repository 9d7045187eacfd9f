"""Everybody's own page for the agreement that is in force for them (policy: CO1, CO5, CO6)."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements import commands, queries, rules
from consent.rules import Route
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import EVERYBODY, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people

router = APIRouter(prefix="/agreement")
Anybody = Annotated[Actor, Depends(Audience(EVERYBODY))]
Text = Annotated[str, Form()]
TITLES = {
    rules.Audience.STAFF: "Agreement for staff", rules.Audience.GOVERNORS: "Agreement for governors",
    rules.Audience.PUPILS: "Our rules", rules.Audience.PARENTS: "Agreement for families",
    rules.Audience.GUESTS: "Agreement for guests",
}


@router.get("")
async def agreement(request: Request, actor: Anybody, session: Reading) -> Response:
    return await _page(request, actor, session, {"agree": "", "name": ""})


@router.post("")
async def sign(
    request: Request, actor: Anybody, session: Writing, now: Now, agree: Text = "", name: Text = "",
) -> Response:
    person = await people.person(session, actor.school_id, actor.person_id)
    try:
        rules.check_signing(agree == "yes", name, person.full_name, needs_name=Role.PUPIL not in actor.roles)
        await commands.record_signature(session, actor, person_id=actor.person_id, route=Route.WEB,
                                        signed_on=now.date(), now=now)
    except Invalid as error:
        return await _page(request, actor, session, {"agree": agree, "name": name}, error.fields)
    return see_other("/agreement")


async def _page(
    request: Request, actor: Actor, session: AsyncSession, given: dict[str, str], errors: dict[str, str] | None = None,
) -> Response:
    today = session.info["clock"].now().date()
    line = next(iter(await queries.register(session, actor.school_id, [actor.person_id], today)), None)
    found = line and (await queries.current_agreements(session, actor.school_id)).get(line.audience)
    if line is None or found is None:
        raise NotFound()
    days = (await people.profile(session, actor.school_id)).agreement_days
    return await render(
        request, "agreements/agreement.html", 422 if errors else 200, title=TITLES[line.audience], line=line, agreement=found,
        signed_until=line.renew_on if line.signing is rules.Signing.SIGNED else None, renew_on=today + timedelta(days=days),
        is_pupil=Role.PUPIL in actor.roles, given=given, errors=errors,
    )


async def notice(session: AsyncSession, request: Request, actor: Actor | None) -> dict[str, Any]:
    """The frame's reminder, on every page of somebody who has an agreement to sign or to renew."""
    if actor is None or request.url.path == "/agreement":
        return {}
    signing = await queries.own_signing(session, actor, request.app.state.clock.now().date())
    return {"agreement_due": signing} if signing not in (None, rules.Signing.SIGNED) else {}
