"""Raising concerns, by any member of staff, and working on them, by those whose they are."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import FormData

from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.pages.forms import saved
from service.people.step_up import Confirming, NotConfirmed
from service.safeguarding import queries as alerts
from service.safeguarding.chronology import KIND_WORDS, Kind
from service.safeguarding.concerns import commands, exports, forms, queries, rules
from service.safeguarding.rules import INBOX

router = APIRouter(prefix="/concerns")
Circle = Annotated[Actor, Depends(Audience(INBOX))]
Staff = Annotated[Actor, Depends(Audience(rules.RAISERS))]
Text = Annotated[str, Form()]
TO = {Role.DSL: "the safeguarding team", Role.HEADTEACHER: "the headteacher", Role.CHAIR: "the chair of governors"}


@router.get("")
async def listing(request: Request, actor: Circle, session: Writing, now: Now, q: str = "", closed: bool = False) -> Response:
    found = await commands.list_concerns(session, actor, now.date(), words=q, closed=closed)
    return await render(request, "safeguarding/concerns/list.html", title="Concerns", concerns=found, q=q, closed=closed,
                        categories=rules.CATEGORIES)


# Raising


@router.get("/new")
async def new(request: Request, actor: Staff, session: Reading, now: Now, alert: str = "", lesson: str = "") -> Response:
    given: dict[str, Any] = {"alert": alert, "lesson": lesson}
    if alert:
        if not actor.is_any(INBOX):
            raise NotFound()
        view = await alerts.alert(session, actor, alert, now)
        school = await people.school(session, actor.school_id)
        local = view.raised_at.astimezone(ZoneInfo(school.zone))
        given |= {"day": str(local.day), "month": str(local.month), "year": str(local.year), "at": f"{local:%H:%M}"}
    return await _new_page(request, actor, session, now, given)


@router.post("/new")
async def raise_concern(request: Request, actor: Staff, session: Reading, now: Now) -> Response:
    form = await request.form()
    place, present = await request.app.state.of_lesson(session, actor.school_id, forms.text(form, "lesson"))
    try:
        if forms.text(form, "alert") and not actor.is_any(INBOX):
            raise NotFound()
        raised = await saved(request, lambda writing: commands.raise_concern(
            writing, actor, forms.new(form, place), present=present, now=now))
    except Invalid as refused:
        return await _new_page(request, actor, session, now, forms.typed(form), refused.fields, form)
    if raised.number:
        return see_other(f"/concerns/{raised.number}")
    return await render(request, "safeguarding/concerns/sent.html", title="Concern sent", to=TO[raised.to],
                        is_read=raised.is_read, officer=await queries.officer(session, actor.school_id))


async def _new_page(request: Request, actor: Actor, session: AsyncSession, now: Any, given: dict[str, Any],
                    errors: dict[str, str] | None = None, form: FormData | None = None) -> Response:
    place, _ = await request.app.state.of_lesson(session, actor.school_id, given.get("lesson", ""))
    if given.get("alert"):
        place = (await alerts.alert(session, actor, given["alert"], now)).place
    return await render(
        request, "safeguarding/concerns/new.html", 422 if errors else 200, title="New concern", given=given, errors=errors,
        place=place, rows=range(1, forms.CHILD_ROWS + 1), categories=rules.CATEGORIES, parts=rules.PART_WORDS,
        chosen=form.getlist("categories") if form else [], children=_options(await queries.children(session, actor)),
        adults=_options(await queries.adults(session, actor)),
    )


# The local authority's officer


@router.get("/officer")
async def officer(request: Request, actor: Circle, session: Reading) -> Response:
    return await _officer_page(request, actor, session)


@router.post("/officer")
async def change_officer(request: Request, actor: Circle, session: Reading, now: Now, name: Text = "",
                         telephone: Text = "") -> Response:
    try:
        await saved(request, lambda writing: commands.change_officer(writing, actor, name=name, telephone=telephone, now=now))
    except Invalid as refused:
        return await _officer_page(request, actor, session, refused.fields, name, telephone)
    return see_other("/concerns/officer")


async def _officer_page(request: Request, actor: Actor, session: AsyncSession, errors: dict[str, str] | None = None,
                        name: str = "", telephone: str = "") -> Response:
    found = await queries.officer(session, actor.school_id)
    return await render(
        request, "safeguarding/concerns/officer.html", 422 if errors else 200, title="Local authority officer",
        errors=errors, name=name or (found.name if found else ""), telephone=telephone or (found.telephone if found else ""),
    )


# One concern


@router.get("/{number}")
async def show(request: Request, number: str, actor: Circle, session: Writing, now: Now) -> Response:
    return await _page(request, actor, session, await commands.open_concern(session, actor, number))


@router.post("/{number}/entries")
async def add(request: Request, number: str, actor: Circle, session: Reading, now: Now) -> Response:
    form = await request.form()
    try:
        await saved(request, lambda writing: commands.add(writing, actor, number, forms.entry(form), now))
    except (Invalid, Conflict) as refused:
        kind = forms.text(form, "kind")
        fields = refused.fields or {"words": refused.message}
        return await _page(request, actor, session, await queries.concern(session, actor, number), kind, forms.typed(form),
                           forms.within(kind, fields), 422 if isinstance(refused, Invalid) else 409)
    return see_other(f"/concerns/{number}#chronology")


@router.post("/{number}/about")
async def about_staff(request: Request, number: str, actor: Circle, session: Reading, now: Now, about_adult: Text = "",
                      about_id: Text = "") -> Response:
    """“Is it about an adult who works here?” Yes moves it out of this circle's sight (policy: IN4)."""
    view = await queries.concern(session, actor, number)
    if about_adult == "no":
        return see_other(f"/concerns/{number}")
    try:
        if about_adult != "yes":
            raise Invalid(fields={"about_adult": "Say whether it is about an adult who works here"})
        to = await saved(request, lambda writing: commands.move_about_staff(
            writing, actor, number, about_id=about_id, now=now))
    except (Invalid, Conflict) as refused:
        fields = refused.fields or {"about_adult": refused.message}
        return await _page(request, actor, session, view, "about", {}, forms.within("about", fields),
                           422 if isinstance(refused, Invalid) else 409)
    subject = (await people.people(session, actor.school_id, [about_id])).get(about_id)
    return await render(request, "safeguarding/concerns/moved.html", title="Moved", to=TO[to],
                        subject=subject.full_name if subject else "")


async def _page(request: Request, actor: Actor, session: AsyncSession, view: queries.ConcernView, wrong: str = "",
                given: dict[str, str] | None = None, errors: dict[str, str] | None = None, status: int = 200) -> Response:
    row = await queries.row_for(session, actor, view.number)
    return await render(
        request, "safeguarding/concerns/concern.html", status, title=f"Concern {view.number}", one=view, wrong=wrong,
        given=given or {}, errors=errors, at=f"/concerns/{view.number}/entries", Kind=Kind,
        kinds=KIND_WORDS, parts=rules.PART_WORDS, categories=rules.CATEGORIES,
        readers=_options(await queries.readers(session, row)), children=_options(await queries.children(session, actor)),
        adults=_options(await queries.adults(session, actor)), to=TO[view.routed_to],
        watchers=_options(await queries.watchers(session, row) if view.about_staff else []),
        officer=await queries.officer(session, actor.school_id) if view.about_staff else None,
    )


def _options(found: list[people.PersonView]) -> list[tuple[str, str]]:
    return [(one.id, one.full_name) for one in found]


# The file for a case system


@router.get("/{number}/export")
async def export(request: Request, number: str, actor: Circle, session: Reading) -> Response:
    return await _export_page(request, actor, session, number)


@router.post("/{number}/export")
async def ask(request: Request, number: str, actor: Circle, session: Reading, now: Now, receiver: Text = "",
              organisation: Text = "", key: Text = "") -> Response:
    try:
        await saved(request, lambda writing: exports.ask(
            writing, actor, number, receiver=receiver, organisation=organisation, key=key, now=now))
    except Invalid as refused:
        is_secret = "secret" in refused.fields.get("key", "")
        given = {"receiver": receiver, "organisation": organisation, "key": "" if is_secret else key}
        return await _export_page(request, actor, session, number, refused.fields, given)
    return see_other(f"/concerns/{number}/export")


@router.post("/{number}/exports/{export_id}/agree")
async def agree(request: Request, number: str, export_id: str, actor: Circle, session: Reading, now: Now,
                proof: Confirming) -> Response:
    try:
        action = await exports.to_agree(session, actor, number, export_id)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=f"/concerns/{number}/export")
        await saved(request, lambda writing: exports.agree(writing, actor, number, export_id, proof, now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=f"/concerns/{number}/export")
    except (Conflict, NotAllowed) as refused:
        return await _export_page(request, actor, session, number, {"agree": refused.message})
    return see_other(f"/concerns/{number}/export")


@router.post("/{number}/exports/{export_id}/file")
async def make(request: Request, number: str, export_id: str, actor: Circle, session: Reading, now: Now,
               proof: Confirming) -> Response:
    try:
        action = await exports.to_make(session, actor, number, export_id, now)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=f"/concerns/{number}/export")
        made = await saved(request, lambda writing: exports.make(writing, actor, number, export_id, proof, now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=f"/concerns/{number}/export")
    except Conflict as refused:
        return await _export_page(request, actor, session, number, {"agree": refused.message})
    return Response(made.body, media_type="application/octet-stream",
                    headers={"Content-Disposition": f'attachment; filename="{made.name}"'})


async def _export_page(request: Request, actor: Actor, session: AsyncSession, number: str, errors: dict[str, str] | None = None,
                       given: dict[str, str] | None = None) -> Response:
    view = await queries.concern(session, actor, number)
    return await render(
        request, "safeguarding/concerns/export.html", 422 if errors else 200, title="Transfer pack", one=view, errors=errors,
        given=given or {}, say_key=rules.say_key, parts=rules.PART_WORDS, kinds=KIND_WORDS, categories=rules.CATEGORIES,
    )
