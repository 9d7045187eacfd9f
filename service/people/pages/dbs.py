"""The DBS register: who has been checked, by whom, and until when it counts (policy: AC8)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import LEADERS, SAFEGUARDING, STAFF, Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import commands, queries, registers, rules
from service.people.pages.forms import form_again, saved

router = APIRouter()
Keeper = Annotated[Actor, Depends(Audience(frozenset({Role.OFFICE}) | LEADERS | SAFEGUARDING))]
Text = Annotated[str, Form()]


@router.get("/dbs")
async def register(request: Request, actor: Keeper, session: Reading) -> Response:
    today = request.app.state.clock.now().date()
    checks = await registers.dbs_register(session, actor.school_id)
    valid = {check.person_id for check in checks if check.is_valid(today)}
    staff = await queries.holders(session, actor.school_id, STAFF)
    return await render(request, "people/dbs.html", title="DBS register", checks=checks, today=today,
                        missing=[person for person in staff if person.id not in valid])


async def _form(request: Request, actor: Actor, session: Reading, person_id: str, refusal: Invalid | NotAllowed | None = None,
                **given: str) -> Response:
    person = await queries.person(session, actor.school_id, person_id)
    given = {"number": "", "checked_on": "", "recheck_on": ""} | given
    context: dict[str, Any] = {"title": f"Record a DBS check for {person.name}", "person": person, "given": given}
    if refusal:
        return await form_again(request, "people/dbs_add.html", refusal, **context)
    return await render(request, "people/dbs_add.html", errors=None, **context)


@router.get("/dbs/{person_id}/add")
async def add_form(request: Request, actor: Keeper, session: Reading, person_id: str) -> Response:
    return await _form(request, actor, session, person_id)


@router.post("/dbs/{person_id}/add")
async def add(request: Request, actor: Keeper, session: Reading, now: Now, person_id: str, number: Text = "",
              checked_on: Text = "", recheck_on: Text = "") -> Response:
    try:
        await saved(request, lambda writing: commands.record_dbs(
            writing, actor, person_id, number=number, checked_on=rules.read_day(checked_on),
            recheck_on=rules.read_day(recheck_on), now=now))
    except (Invalid, NotAllowed) as refusal:
        return await _form(request, actor, session, person_id, refusal, number=number, checked_on=checked_on,
                           recheck_on=recheck_on)
    return see_other("/dbs")


@router.get("/dbs/checks/{check_id}/withdraw")
async def withdraw_form(request: Request, actor: Keeper, session: Reading, check_id: str) -> Response:
    return await render(request, "people/dbs_withdraw.html", title="Withdraw a DBS check", errors=None, reason="",
                        check=await registers.dbs_check(session, actor.school_id, check_id))


@router.post("/dbs/checks/{check_id}/withdraw")
async def withdraw(request: Request, actor: Keeper, session: Reading, now: Now, check_id: str, reason: Text = "") -> Response:
    check = await registers.dbs_check(session, actor.school_id, check_id)
    try:
        await saved(request, lambda writing: commands.withdraw_dbs(writing, actor, check_id, reason=reason, now=now), closes=True)
    except Invalid as refusal:
        return await form_again(request, "people/dbs_withdraw.html", refusal, title="Withdraw a DBS check", check=check,
                                reason=reason)
    return see_other("/dbs")
