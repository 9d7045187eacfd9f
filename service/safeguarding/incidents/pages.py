"""The register of incidents, recording one from a lesson or a child's page, and following it up (policy: IN1)."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import FormData

from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people
from service.people.pages.forms import saved
from service.safeguarding.chronology import KIND_WORDS, Kind
from service.safeguarding.concerns import forms as entry_forms
from service.safeguarding.concerns import queries as concerns
from service.safeguarding.incidents import commands, export, forms, queries, rules

router = APIRouter(prefix="/incidents")
Recorder = Annotated[Actor, Depends(Audience(rules.RECORDERS))]
Overseer = Annotated[Actor, Depends(Audience(rules.OVERSEE))]
Text = Annotated[str, Form()]
WORDS: dict[str, Any] = {
    "categories": rules.CATEGORIES, "parts": rules.PART_WORDS, "sanctions": rules.SANCTIONS, "states": rules.STATE_WORDS,
    "to_whom": rules.TO_WHOM,
}
WITH = {Role.DSL: "leaders and the safeguarding team", Role.HEADTEACHER: "the headteacher", Role.CHAIR: "the chair of governors"}


@router.get("")
async def register(request: Request, actor: Recorder, session: Writing, now: Now, state: str = "", category: str = "",
                   q: str = "") -> Response:
    found = await commands.list_incidents(session, actor, now.date(), state=state, category=category, words=q)
    return await render(request, "incidents/list.html", title="Incidents", found=found, state=state, category=category, q=q,
                        oversees=actor.is_any(rules.OVERSEE), **WORDS)


@router.get("/register.csv")
async def register_csv(actor: Overseer, session: Writing, now: Now, state: str = "", category: str = "") -> Response:
    """What this person may see of the register, to take away; that it was taken is kept."""
    found = await commands.list_incidents(session, actor, now.date(), state=state, category=category, as_file=True)
    return Response(export.to_csv(found), media_type="text/csv; charset=utf-8",
                    headers={"Content-Disposition": 'attachment; filename="incidents.csv"'})


# Recording


@router.get("/new")
async def new(request: Request, actor: Recorder, session: Reading, now: Now, lesson: str = "", child: str = "") -> Response:
    local = {"day": str(now.day), "month": str(now.month), "year": str(now.year)} if lesson else {}
    return await _new_page(request, actor, session, {"lesson": lesson, "child-1": child, **local})


@router.post("/new")
async def record(request: Request, actor: Recorder, session: Reading, now: Now) -> Response:
    form = await request.form()
    place, present = await request.app.state.of_lesson(session, actor.school_id, entry_forms.text(form, "lesson"))
    try:
        made = await saved(request, lambda writing: commands.record(
            writing, actor, forms.new(form, place), present=present, now=now))
    except Invalid as refused:
        return await _new_page(request, actor, session, entry_forms.typed(form), refused.fields)
    if made.number:
        return see_other(f"/incidents/{made.number}")
    return await _sent(request, made.to)


async def _new_page(request: Request, actor: Actor, session: AsyncSession, given: dict[str, str],
                    errors: dict[str, str] | None = None) -> Response:
    place, _ = await request.app.state.of_lesson(session, actor.school_id, given.get("lesson", ""))
    return await render(
        request, "incidents/new.html", 422 if errors else 200, title="New incident", given=given, errors=errors, place=place,
        rows=range(1, entry_forms.CHILD_ROWS + 1), children=_options(await queries.children(session, actor)),
        adults=_options(await concerns.adults(session, actor)), **WORDS,
    )


async def _sent(request: Request, to: Role) -> Response:
    return await render(request, "safeguarding/concerns/sent.html", title="Sent",
                        to="the safeguarding team" if to is Role.DSL else WITH[to])


# One incident


@router.get("/{number}")
async def show(request: Request, number: str, actor: Recorder, session: Writing, now: Now) -> Response:
    return await _page(request, actor, session, await commands.open_incident(session, actor, number, now.date()))


@router.post("/{number}/entries")
async def add(request: Request, number: str, actor: Recorder, session: Reading, now: Now) -> Response:
    form = await request.form()
    try:
        await saved(request, lambda writing: commands.add(writing, actor, number, entry_forms.entry(form), now))
    except (Invalid, Conflict, NotAllowed) as refused:
        fields = refused.fields or {"words": refused.message}
        return await _again(request, actor, session, number, now, entry_forms.text(form, "kind"), fields, refused, form)
    return see_other(f"/incidents/{number}#chronology")


@router.post("/{number}/concern")
async def make_concern(request: Request, number: str, actor: Recorder, session: Reading, now: Now) -> Response:
    """It is safeguarding: one press makes a concern of it (policy: RC1)."""
    present = await _present(request, actor, session, number)
    raised = await saved(request, lambda writing: commands.make_concern(writing, actor, number, present=present, now=now))
    return see_other(f"/concerns/{raised.number}") if raised.number else await _sent(request, raised.to)


@router.post("/{number}/about")
async def about_staff(request: Request, number: str, actor: Recorder, session: Reading, now: Now, about_adult: Text = "",
                      about_id: Text = "") -> Response:
    """“Is it about an adult who works here?” Yes moves it out of sight of all but whose it is then (policy: IN4)."""
    present = await _present(request, actor, session, number)
    if about_adult == "no":
        return see_other(f"/incidents/{number}")
    try:
        if about_adult != "yes":
            raise Invalid(fields={"about_adult": "Say whether it is about an adult who works here"})
        to = await saved(request, lambda writing: commands.move_about_staff(
            writing, actor, number, about_id=about_id, present=present, now=now))
    except (Invalid, Conflict) as refused:
        fields = refused.fields or {"about_adult": refused.message}
        return await _again(request, actor, session, number, now, "about", fields, refused)
    subject = (await people.people(session, actor.school_id, [about_id])).get(about_id)
    return await render(request, "safeguarding/concerns/moved.html", title="Moved", to=WITH[to],
                        subject=subject.full_name if subject else "")


async def _present(request: Request, actor: Actor, session: AsyncSession, number: str) -> frozenset[str]:
    """The adults of the lesson that it comes from. NotFound when it does not exist for this person."""
    row = await queries.row_for(session, actor, number)
    _, present = await request.app.state.of_lesson(session, actor.school_id, row.lesson_id)
    return frozenset(present)


async def _again(request: Request, actor: Actor, session: AsyncSession, number: str, now: datetime, wrong: str,
                 fields: dict[str, str], refused: Exception, form: FormData | None = None) -> Response:
    """The page with the form that was refused, as it was typed. NotFound stays what it is."""
    view = await queries.incident(session, actor, number, now.date())
    status = 422 if isinstance(refused, Invalid) else 409 if isinstance(refused, Conflict) else 403
    return await _page(request, actor, session, view, wrong, entry_forms.typed(form) if form else {},
                       entry_forms.within(wrong, fields), status)


async def _page(request: Request, actor: Actor, session: AsyncSession, view: queries.IncidentView, wrong: str = "",
                given: dict[str, str] | None = None, errors: dict[str, str] | None = None, status: int = 200) -> Response:
    row = await queries.row_for(session, actor, view.number)
    return await render(
        request, "incidents/incident.html", status, title=f"Incident {view.number}", one=view, wrong=wrong, given=given or {},
        errors=errors, at=f"/incidents/{view.number}/entries", Kind=Kind, kinds=KIND_WORDS, Part=rules.Part,
        readers=_options(await queries.readers(session, row)), children=_options(await queries.children(session, actor)),
        adults=_options(await concerns.adults(session, actor)), whose=WITH[view.routed_to], involved=rules.INVOLVED,
        given_by=[(key, one.words) for key, one in rules.SANCTIONS.items() if view.oversees or not one.by_leaders], **WORDS,
    )


def _options(found: list[people.PersonView]) -> list[tuple[str, str]]:
    return [(one.id, one.full_name) for one in found]
