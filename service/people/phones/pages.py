"""The office's pages of parents' phones: letters, codes, what is signed in, and signing it out. policy: AC1"""

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from markupsafe import Markup

from service.foundation.errors import Conflict, NotAllowed
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Closing, Now, Reading, render, see_other
from service.people.pages.badges import square
from service.people.pages.forms import saved
from service.people.phones import commands, queries
from service.people.phones.commands import Letter

router = APIRouter()
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Second = Annotated[Actor, Depends(Audience(frozenset({Role.OFFICE}) | LEADERS | SAFEGUARDING))]
"""Who makes the code of a letter that somebody else made: where the office is one person, a leader does it."""


@dataclass(frozen=True)
class Printed:
    """One letter as it is printed: the link, and the same link as a square."""

    letter: Letter
    link: str
    square: Markup


def _printed(request: Request, letter: Letter) -> Printed:
    link = f"{request.app.state.settings.origin}/m/#i={letter.token}"
    return Printed(letter, link, square(link, "Link of the invitation"))


@router.get("/people/{person_id}/phones")
async def show(request: Request, actor: Office, session: Reading, now: Now, person_id: str) -> Response:
    page = await queries.parent_page(session, actor, person_id, now)
    return await render(request, "phones/parent.html", title=f"Phones of {page.person.full_name}", page=page)


@router.post("/people/{person_id}/phones/invite")
async def invite(request: Request, actor: Office, session: Reading, now: Now, person_id: str,
                 in_person: Annotated[str, Form()] = "", keep: Annotated[str, Form()] = "yes") -> Response:
    page = await queries.parent_page(session, actor, person_id, now)
    token = secrets.token_urlsafe(32)
    try:
        letter = await saved(request, lambda writing: commands.invite(
            writing, actor, request.app.state.pepper, person_id, in_person=in_person == "yes", keeps_phones=keep != "no",
            now=now, token=token))
    except Conflict as refusal:
        return await render(request, "phones/parent.html", 422, title=f"Phones of {page.person.full_name}", page=page,
                            errors={"": refusal.message})
    return await render(request, "phones/letters.html", title=f"Letter for {letter.name}", printed=[_printed(request, letter)],
                        back_to=f"/people/{person_id}/phones")


@router.post("/people/{person_id}/phones/sign-out")
async def sign_out(actor: Office, session: Closing, now: Now, person_id: str) -> Response:
    await commands.sign_out_all(session, actor, person_id, now)
    return see_other(f"/people/{person_id}/phones")


@router.post("/phones/invitations/{invitation_id}/stop")
async def stop(actor: Office, session: Closing, now: Now, invitation_id: str) -> Response:
    person_id = await commands.revoke(session, actor, invitation_id, now)
    return see_other(f"/people/{person_id}/phones")


@router.get("/phones/codes")
async def codes(request: Request, actor: Second, session: Reading, now: Now) -> Response:
    return await render(request, "phones/codes.html", title="Codes to give by telephone",
                        waiting=await queries.waiting_for_codes(session, actor, now))


@router.post("/phones/invitations/{invitation_id}/code")
async def make_code(request: Request, actor: Second, session: Reading, now: Now, invitation_id: str) -> Response:
    try:
        letter = await saved(request, lambda writing: commands.make_code(
            writing, actor, request.app.state.pepper, invitation_id, now))
    except (Conflict, NotAllowed) as refusal:
        return await render(request, "phones/codes.html", 422, title="Codes to give by telephone", errors={"": refusal.message},
                            waiting=await queries.waiting_for_codes(session, actor, now))
    return await render(request, "phones/code.html", title=f"Code for {letter.name}", letter=letter)


@router.get("/classes/{group_id}/invitations")
async def class_form(request: Request, actor: Office, session: Reading, now: Now, group_id: str) -> Response:
    found = await queries.class_parents(session, actor, group_id, now)
    return await render(request, "phones/class.html", title=f"Letters for the parents of {found.group.name}", found=found)


@router.post("/classes/{group_id}/invitations")
async def whole_class(request: Request, actor: Office, session: Reading, now: Now, group_id: str) -> Response:
    """A letter for each parent without a phone, one short transaction each: nobody's lesson waits for a printer."""
    found = await queries.class_parents(session, actor, group_id, now)
    printed = []
    for parent in found.without:
        token = secrets.token_urlsafe(32)
        letter = await saved(request, lambda writing, who=parent.id, token=token: commands.invite(  # type: ignore[misc]
            writing, actor, request.app.state.pepper, who, in_person=False, keeps_phones=True, now=now, token=token))
        printed.append(_printed(request, letter))
    return await render(request, "phones/letters.html", title=f"Letters for the parents of {found.group.name}", printed=printed,
                        back_to=f"/classes/{group_id}")
