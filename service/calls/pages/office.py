"""The office's two pages with numbers: the school's own, and one adult's, read for a reason (policy: CM4, CM5)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import commands, numbers, queries
from service.foundation.errors import Invalid
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import step_up
from service.people.pages.forms import saved, words
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter()
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Text = Annotated[str, Form()]


@router.get("/calls/settings")
async def settings(request: Request, actor: Office, session: Reading, saved: bool = False) -> Response:
    return await _settings(request, actor, session, saved=saved)


async def _settings(request: Request, actor: Actor, session: AsyncSession, refusal: Invalid | None = None,
                    saved: bool = False) -> Response:
    shown, way = await commands.shown_number(session, request.app.state.pepper, actor.school_id), request.app.state.way
    return await render(
        request, "calls/settings.html", 422 if refusal else 200, title="How the school calls",
        number=numbers.shown(shown) if shown else "", withheld=await queries.is_withheld(session, actor.school_id), saved=saved,
        errors=words(refusal) if refusal else {}, is_connected=way is not None, is_of_trunk=bool(way and way.number),
    )


@router.post("/calls/settings")
async def change(request: Request, actor: Office, session: Reading, now: Now, number: Text = "",
                 shows: Text = "shown") -> Response:
    try:
        await saved(request, lambda writing: commands.change_calling(
            writing, actor, request.app.state.pepper, number=number, withheld=shows == "withheld", now=now,
            of_trunk=request.app.state.way.number if request.app.state.way else None))
    except Invalid as refusal:
        return await _settings(request, actor, session, refusal)
    return see_other("/calls/settings?saved=yes")


@router.get("/people/{person_id}/contact")
async def contact(request: Request, actor: Office, session: Reading, person_id: str) -> Response:
    return await _contact(request, actor, session, person_id, "")


async def _contact(request: Request, actor: Actor, session: AsyncSession, person_id: str, reason: str,
                   refusal: Invalid | None = None, number: str | None = None) -> Response:
    person = await queries.adult_of_families(session, actor, person_id)
    known = await numbers.known(session, request.app.state.pepper, actor.school_id, [person_id], numbers.FAMILY)
    return await render(
        request, "calls/contact.html", 422 if refusal else 200, title=f"Telephone number of {person.full_name}", person=person,
        known=known.get(person_id), reason=reason, errors=words(refusal) if refusal else {}, number=number,
    )


@router.post("/people/{person_id}/contact")
async def show_contact(request: Request, actor: Office, session: Reading, now: Now, person_id: str, proof: Confirming,
                       reason: Text = "") -> Response:
    """The one answer of this service that holds a family's number. That it is read is written and committed first."""
    person = await queries.adult_of_families(session, actor, person_id)
    try:
        action = commands.contact_action(person_id, commands.checked_reason(reason),
                                         f"read the telephone number of {person.full_name}")
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=f"/people/{person_id}/contact")
        try:
            await saved(request, lambda writing: commands.show_contact(
                writing, actor, person_id, reason=reason, proof=proof, now=now))
        except NotConfirmed as refusal:
            return await step_up.ask(request, session, actor, action, refusal, back=f"/people/{person_id}/contact")
    except Invalid as refused:
        return await _contact(request, actor, session, person_id, reason, refused)
    one = await numbers.number(session, request.app.state.pepper, actor.school_id, person_id, numbers.FAMILY)
    return await _contact(request, actor, session, person_id, reason, number=numbers.shown(one) if one else "")
