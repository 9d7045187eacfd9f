"""The school's page: whether it is open, its hours, terms, closures and rota, and the rules it works by."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import power, profile_history, queries, rules, school
from service.people.pages.forms import saved, words
from service.people.profile import profile_words

router = APIRouter()
GOVERNANCE = frozenset({Role.CHAIR, Role.GOVERNOR, Role.DPO})
EDITORS = frozenset({Role.OFFICE}) | LEADERS
Reader = Annotated[Actor, Depends(Audience(frozenset({Role.OFFICE, Role.TECHNICIAN}) | LEADERS | SAFEGUARDING | GOVERNANCE))]
Editor = Annotated[Actor, Depends(Audience(EDITORS))]
Text = Annotated[str, Form()]
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@router.get("/school")
async def show(request: Request, actor: Reader, session: Reading) -> Response:
    return await _page(request, actor, session)


async def _page(request: Request, actor: Actor, session: Reading, refusal: Invalid | Conflict | None = None,
                **given: str) -> Response:
    page = await queries.school_page(session, actor.school_id)
    empty = dict.fromkeys(("term_name", "starts_on", "ends_on", "day", "closure_name", "person_id", "weekday", "starts_at",
                           "until"), "")
    return await render(
        request, "people/school/school.html", 422 if refusal else 200, title="School", page=page, days=DAYS,
        profile=profile_words(page.profile), may_edit=actor.is_any(EDITORS), errors=words(refusal) if refusal else None,
        may_open=Role.HEADTEACHER in actor.roles, may_ask_rules=actor.is_any(rules.ASK_FOR_RULES),
        may_agree_rules=actor.is_any(rules.AGREE_TO_RULES),
        rules_waiting=await profile_history.requests(session, actor.school_id), given=empty | given,
        on_duty=await queries.holders(session, actor.school_id, school.ON_DUTY),
        roles_waiting=len(await power.waiting(session, actor.school_id)) if actor.is_any(rules.POWERFUL) else 0,
        asks_for_head=Role.CHAIR in actor.roles and not await queries.has_head(session, actor.school_id),
    )


@router.post("/school/open")
async def go_live(request: Request, actor: Annotated[Actor, Depends(Audience(Role.HEADTEACHER))], session: Reading,
                  now: Now) -> Response:
    try:
        await saved(request, lambda writing: school.go_live(writing, actor, now))
    except Conflict as refusal:
        return await _page(request, actor, session, refusal)
    return see_other("/school")


@router.get("/school/change")
async def change_form(request: Request, actor: Editor, session: Reading) -> Response:
    now_is = await queries.school(session, actor.school_id)
    return await render(request, "people/school/change.html", title="Change the school", errors=None, name=now_is.name,
                        office=now_is.office, opens_at=now_is.opens_at, closes_at=now_is.closes_at)


@router.post("/school/change")
async def change(request: Request, actor: Editor, name: Text = "", office: Text = "", opens_at: Text = "",
                 closes_at: Text = "") -> Response:
    given = {"name": " ".join(name.split()), "office": " ".join(office.split()), "opens_at": opens_at.strip(),
             "closes_at": closes_at.strip()}
    try:
        await saved(request, lambda writing: school.change_hours(writing, actor, **given))
    except Invalid as refusal:
        return await render(request, "people/school/change.html", 422, title="Change the school", errors=words(refusal), **given)
    return see_other("/school")


@router.post("/school/terms")
async def add_term(request: Request, actor: Editor, session: Reading, term_name: Text = "", starts_on: Text = "",
                   ends_on: Text = "") -> Response:
    try:
        await saved(request, lambda writing: school.add_term(
            writing, actor, name=term_name.strip(), starts_on=rules.read_day(starts_on), ends_on=rules.read_day(ends_on)))
    except Invalid as refusal:
        refusal.fields = {"term_name" if field == "name" else field: said for field, said in refusal.fields.items()}
        return await _page(request, actor, session, refusal, term_name=term_name, starts_on=starts_on, ends_on=ends_on)
    return see_other("/school#terms")


@router.post("/school/closures")
async def add_closure(request: Request, actor: Editor, session: Reading, day: Text = "", closure_name: Text = "") -> Response:
    try:
        await saved(request, lambda writing: school.add_closure(
            writing, actor, day=rules.read_day(day), name=closure_name.strip()))
    except Invalid as refusal:
        return await _page(request, actor, session, refusal, day=day, closure_name=closure_name)
    return see_other("/school#closures")


@router.post("/school/rota")
async def add_duty(request: Request, actor: Editor, session: Reading, person_id: Text = "", weekday: Text = "",
                   starts_at: Text = "", ends_at: Text = "") -> Response:
    chosen = tuple(range(5)) if weekday == "all" else (int(weekday),) if weekday.isdigit() else ()
    try:
        await saved(request, lambda writing: school.add_duty(
            writing, actor, person_id=person_id, weekdays=chosen, starts_at=starts_at.strip(), ends_at=ends_at.strip()))
    except Invalid as refusal:
        return await _page(request, actor, session, refusal, person_id=person_id, weekday=weekday, starts_at=starts_at,
                           until=ends_at)
    return see_other("/school#rota")


@router.post("/school/{what}/{row_id}/remove")
async def remove(actor: Editor, session: Writing, what: str, row_id: str) -> Response:
    await school.remove(session, actor, what, row_id)
    return see_other(f"/school#{what}")
