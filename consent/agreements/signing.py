"""Everybody's own page for the agreement that is in force for them, and a parent's for a young child (policy: CO1,
CO5, CO6). Until it is signed nothing else opens: `web.enter` sends everybody here."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements import commands, queries, rules
from consent.agreements.queries import SignerView
from consent.agreements.tables import Agreement
from consent.rules import MayNotAnswer, Route
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import EVERYBODY, Actor, Role
from service.foundation.web import Audience, Now, Reading, local_path, render, see_other
from service.people import queries as people
from service.people.pages.forms import saved

router = APIRouter(prefix="/agreement")
Anybody = Annotated[Actor, Depends(Audience(EVERYBODY, before_signing=True))]
Parent = Annotated[Actor, Depends(Audience(Role.PARENT))]
Text = Annotated[str, Form()]
KEPT = "kept-"
SECRETS = ("step_up_", "password", "pin", "old", "code")
"""Beginnings of fields that are not kept: they are typed again."""


@dataclass(frozen=True)
class Kept:
    """A form that was sent when the agreement had ended: where to, and what was in it."""

    to: str
    fields: tuple[tuple[str, str], ...]


@router.get("")
async def agreement(request: Request, actor: Anybody, session: Reading, next: str = "") -> Response:
    return await _page(request, actor, session, {"agree": "", "name": "", "next": _onward(next)})


def _onward(path: str) -> str:
    """Where they were going: a page of ours, and not this one."""
    return "" if local_path(path) == "/" or path.startswith("/agreement") else path


@router.post("")
async def sign(
    request: Request, actor: Anybody, session: Reading, now: Now, agree: Text = "", name: Text = "", seen: Text = "",
    next: Text = "", kept_to: Text = "",
) -> Response:
    person = await people.person(session, actor.school_id, actor.person_id)
    onward = _onward(next)
    try:
        rules.check_signing(agree == "yes", name, person.full_name, needs_name=Role.PUPIL not in actor.roles)
        await saved(request, lambda writing: commands.record_signature(
            writing, actor, person_id=actor.person_id, route=Route.WEB, signed_on=now.date(), now=now, seen=seen))
    except Invalid as error:
        return await _page(request, actor, session, {"agree": agree, "name": name, "next": onward}, error.fields,
                           await _kept(request, kept_to))
    if kept_to:
        return RedirectResponse(f"/agreement/kept?to={quote(_onward(kept_to))}", 307)
    return see_other(f"/agreement?next={onward}" if onward else "/agreement")


@router.post("/kept")
async def keep(request: Request, actor: Anybody, session: Reading, to: str = "") -> Response:
    """What somebody had filled in when they were sent here. It waits on the page, nowhere else, and one more press sends it."""
    return await _page(request, actor, session, {"agree": "", "name": "", "next": ""}, kept=await _kept(request, to))


async def _kept(request: Request, to: str) -> Kept | None:
    """From the form itself, or from the agreement's own form, where its fields have another name."""
    given = [(name, value) for name, value in (await request.form()).multi_items() if isinstance(value, str)]
    carried = [(name.removeprefix(KEPT), value) for name, value in given if name.startswith(KEPT)]
    fields = carried if "kept_to" in dict(given) else given
    return Kept(_onward(to), tuple(one for one in fields if not one[0].startswith(SECRETS))) if _onward(to) else None


@router.get("/no")
async def refuse(request: Request, actor: Anybody, session: Reading) -> Response:
    """What it means not to sign. Nothing is kept: the register says who has not."""
    return await render(request, "agreements/no.html", title="You do not agree", is_pupil=Role.PUPIL in actor.roles)


async def _in_force(session: AsyncSession, school_id: str, person_id: str) -> tuple[SignerView | None, Agreement | None]:
    today = session.info["clock"].now().date()
    line = next(iter(await queries.register(session, school_id, [person_id], today)), None)
    return line, (await queries.current_agreements(session, school_id)).get(line.audience) if line else None


async def _page(
    request: Request, actor: Actor, session: AsyncSession, given: dict[str, str], errors: dict[str, str] | None = None,
    kept: Kept | None = None,
) -> Response:
    line, found = await _in_force(session, actor.school_id, actor.person_id)
    if line is None:
        raise NotFound()
    if found is None:
        return await render(request, "agreements/none.html", title="There is no agreement to sign yet", part=line.audience,
                            may_add=actor.is_any(rules.WRITES))
    is_signed = line.signing is rules.Signing.SIGNED
    return await render(
        request, "agreements/agreement.html", 422 if errors else 200, title=rules.TITLES[line.audience], given=given,
        errors=errors, kept=kept, signed_until=line.renew_on if is_signed else None, is_pupil=Role.PUPIL in actor.roles,
        children=await queries.young_children(session, actor) if is_signed and Role.PARENT in actor.roles else [],
        **await _words(session, actor, line, found),
    )


async def _words(session: AsyncSession, actor: Actor, line: SignerView, found: Agreement) -> dict[str, Any]:
    days = (await people.profile(session, actor.school_id)).agreement_days
    return {"line": line, "agreement": found, "seen": rules.text_hash(found.text),
            "renew_on": session.info["clock"].now().date() + timedelta(days=days)}


# -- a parent signs for the youngest ----------------------------------------------------------------------------------


@router.get("/children/{child_id}")
async def for_child(request: Request, actor: Parent, session: Reading, child_id: str) -> Response:
    return await _child_page(request, actor, session, child_id, "")


@router.post("/children/{child_id}")
async def sign_for_child(
    request: Request, actor: Parent, session: Reading, now: Now, child_id: str, agree: Text = "", name: Text = "",
    seen: Text = "",
) -> Response:
    person = await people.person(session, actor.school_id, actor.person_id)
    await _child(session, actor, child_id)
    try:
        rules.check_signing(agree == "yes", name, person.full_name, needs_name=True)
        await saved(request, lambda writing: commands.record_signature(
            writing, actor, person_id=child_id, signed_by=actor.person_id, route=Route.WEB, signed_on=now.date(), now=now,
            seen=seen))
    except Invalid as error:
        return await _child_page(request, actor, session, child_id, name, error.fields)
    except MayNotAnswer as error:
        raise NotFound() from error
    return see_other(f"/agreement/children/{child_id}")


async def _child(session: AsyncSession, actor: Actor, child_id: str) -> queries.ChildToSignFor:
    """One of those this parent signs for; everybody else's does not exist."""
    found = next((child for child in await queries.young_children(session, actor) if child.id == child_id), None)
    if found is None:
        raise NotFound()
    return found


async def _child_page(request: Request, actor: Actor, session: AsyncSession, child_id: str, name: str,
                      errors: dict[str, str] | None = None) -> Response:
    child = await _child(session, actor, child_id)
    line, found = await _in_force(session, actor.school_id, child_id)
    if line is None or found is None:
        raise NotFound()
    return await render(
        request, "agreements/child.html", 422 if errors else 200, title=f"The rules for {child.name}", child=child, errors=errors,
        given={"agree": "", "name": name}, is_signed=child.signing is rules.Signing.SIGNED,
        **await _words(session, actor, line, found),
    )


# -- the frame --------------------------------------------------------------------------------------------------------


async def notice(session: AsyncSession, request: Request, actor: Actor | None) -> dict[str, Any]:
    """The frame of somebody who has an agreement to sign leads nowhere else; who has to renew it soon is told on every page."""
    if actor is None:
        return {}
    if not request.state.standing.may_enter:
        return {"navigation": []}
    is_due = request.state.standing.ends_soon and request.url.path != "/agreement"
    return {"agreement_due": True} if is_due else {}
