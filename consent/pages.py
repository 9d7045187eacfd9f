"""The office's pages for permissions. Teachers have none: they only ever see how many pupils may join."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import commands, family, queries, resolutions, rules
from consent.documents import queries as documents
from consent.documents.rules import DEFAULT, LANGUAGES
from consent.resolutions import RESOLVERS
from consent.rules import Purpose, Route
from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import SAFEGUARDING, STAFF, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people

router = APIRouter(prefix="/permissions")
Reader = Annotated[Actor, Depends(Audience(SAFEGUARDING, Role.OFFICE, Role.HEADTEACHER))]
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Decider = Annotated[Actor, Depends(Audience(commands.MAY_DECIDE_OBJECTIONS))]
Text = Annotated[str, Form()]


@router.get("")
async def permissions(request: Request, actor: Reader, session: Reading) -> Response:
    found = await queries.classes(session, actor.school_id)
    objections, orders = [], []
    if actor.is_any(commands.MAY_DECIDE_OBJECTIONS):
        waits = await queries.objections_waiting(session, actor.school_id)
        objections = [one for one in waits if actor.person_id not in one.adults]
    if actor.is_any(RESOLVERS):
        orders = [one for one in await resolutions.waiting(session, actor.school_id) if actor.person_id not in one.not_by]
    return await render(request, "consent/permissions.html", title="Permissions", classes=found,
                        all_purposes=await queries.asked(session, actor.school_id), objections=objections, orders=orders)


@router.get("/missing")
async def missing(request: Request, actor: Reader, session: Reading) -> Response:
    found = await queries.classes(session, actor.school_id)
    return await render(request, "consent/missing.html", title="Who has not answered", classes=found,
                        all_purposes=await queries.asked(session, actor.school_id))


@router.get("/classes/{group_id}")
async def one_class(request: Request, group_id: str, actor: Reader, session: Reading) -> Response:
    view = await queries.one_class(session, actor.school_id, group_id)
    return await render(
        request, "consent/class.html", title=f"Permissions of {view.name}", view=view,
        all_purposes=await queries.asked(session, actor.school_id),
    )


@router.get("/children/{child_id}")
async def child(
    request: Request, child_id: str, actor: Reader, session: Reading, now: Now, day: str = "", route: str = "",
    language: str = "", saved: str = "",
) -> Response:
    given = _given(_iso(day) or now.date(), route) | {"language": _language(language)}
    words = {"answers": "The answers are in the list below.", "mistake": "The answer no longer counts."}.get(saved, "")
    return await _child_page(request, actor, session, child_id, given, saved=words)


def _given(on: date, route: str = "") -> dict[str, Any]:
    """The forms of a child's page before anybody wrote into them."""
    return {"respondent": "", "day": (on.day, on.month, on.year), "answers": dict.fromkeys(Purpose, ""), "listener": "",
            "versions": {}, "language": DEFAULT, "declared": "", "why": "", "objector": "", "objection": "",
            "route": route if route in rules.OFFICE_ROUTES else Route.PAPER}


@router.post("/children/{child_id}")
async def record(request: Request, child_id: str, actor: Office, session: Writing, now: Now) -> Response:
    form = await request.form()
    said = {purpose: str(form.get(purpose, "")) for purpose in Purpose}
    boxes = tuple(str(form.get(part, "")) for part in ("day", "month", "year"))
    route = str(form.get("route", Route.PAPER))
    respondent, listener, why, declared = (
        str(form.get(name, "")) for name in ("respondent", "second_listener", "why", "declared_responsibility"))
    language = _language(str(form.get("language", "")))
    versions = {purpose: number for purpose in Purpose if (number := _number(str(form.get(f"version-{purpose}", ""))))}
    try:
        if not respondent:
            raise Invalid("There is a problem", fields={"respondent": "Choose who signed"})
        signed_on = rules.day_of(*boxes)
        await commands.record_response(
            session, actor, child_id=child_id, answers={p: word == "yes" for p, word in said.items() if word},
            respondent_id=respondent, route=_office_route(route), signed_on=signed_on, now=now,
            second_listener=listener, versions=versions, language=language, declared_responsibility=declared, reason=why,
        )
    except (Invalid, rules.MayNotAnswer) as error:
        given = _given(now.date()) | {"respondent": respondent, "day": boxes, "route": route, "answers": said,
                                      "listener": listener, "versions": versions, "language": language, "declared": declared,
                                      "why": why}
        errors = error.fields or {"respondent": error.message}
        return await _child_page(request, actor, session, child_id, given, errors=errors)
    if form.get("then") == "next":
        return see_other(await _next(session, actor, child_id, signed_on, route, language))
    return see_other(f"/permissions/children/{child_id}?saved=answers")


async def _next(session: AsyncSession, actor: Actor, child_id: str, day: date, route: str, language: str) -> str:
    """The form of the pupil after this one in the class, with the same day, route and language: for a stack of paper."""
    group_id = await queries.class_of(session, actor.school_id, child_id)
    ids = [row.id for row in (await queries.one_class(session, actor.school_id, group_id)).children]
    after = ids[ids.index(child_id) + 1:]
    also = f"&language={language}" if language != DEFAULT else ""
    return f"/permissions/children/{after[0]}?day={day}&route={route}{also}" if after else f"/permissions/classes/{group_id}"


def _language(given: str) -> str:
    return given if given in LANGUAGES else DEFAULT


def _number(given: str) -> int:
    """0 where the day on the form says the version."""
    return int(given) if given.isdecimal() and len(given) < 6 else 0


def _iso(given: str) -> date | None:
    try:
        return date.fromisoformat(given)
    except ValueError:
        return None


def _office_route(given: str) -> Route:
    if given not in rules.OFFICE_ROUTES:
        raise Invalid("There is a problem", fields={"route-paper": "Say how it reached us"})
    return Route(given)


async def _child_page(
    request: Request, actor: Actor, session: AsyncSession, child_id: str, given: dict[str, Any], *,
    errors: dict[str, str] | None = None, saved: str = "",
) -> Response:
    who = await queries.child(session, actor.school_id, child_id)
    await family.not_of_the_family(session, actor, who.id)
    public_task = queries.is_public_task(await people.profile(session, actor.school_id))
    statuses = (await queries.statuses(session, actor.school_id, [child_id]))[child_id]
    kept = await documents.kept(session, actor.school_id)
    read_in = {DEFAULT, *(code for each in kept.values() for one in each.values() for code in one.texts)}
    return await render(
        request, "consent/child.html", 422 if errors else 200, title=f"Permissions for {who.full_name}", child=who, given=given,
        errors=errors, saved=saved, all_purposes=rules.PURPOSES, office_routes=rules.OFFICE_ROUTES,
        statuses_now=statuses,
        differ=any(statuses[purpose] is rules.Status.CONFLICT for purpose in rules.are_asked(public_task=public_task)),
        respondents=await queries.respondents(session, actor.school_id, child_id),
        history=await queries.history(session, actor.school_id, child_id),
        objections=await queries.objections(session, actor.school_id, child_id),
        public_task=public_task,
        group_id=await queries.class_of(session, actor.school_id, child_id),
        colleagues=[one for one in await people.holders(session, actor.school_id, STAFF) if one.id != actor.person_id],
        kept={purpose: list(each.values()) for purpose, each in kept.items()},
        languages={code: name for code, name in LANGUAGES.items() if code in read_in},
        may_resolve=actor.is_any(RESOLVERS),
        may_record=Role.OFFICE in actor.roles, may_decide=actor.is_any(commands.MAY_DECIDE_OBJECTIONS),
    )


@router.get("/responses/{response_id}/mistake")
async def mistake(request: Request, response_id: str, actor: Office, session: Reading) -> Response:
    await commands.correctable(session, actor, response_id)
    return await render(request, "consent/mistake.html", title="Entered by mistake", response_id=response_id, errors=None)


@router.post("/responses/{response_id}/mistake")
async def correct(
    request: Request, response_id: str, actor: Office, session: Writing, now: Now, note: Text = "",
) -> Response:
    try:
        child_id = await commands.correct(session, actor, response_id=response_id, note=note, now=now)
    except Invalid as error:
        return await render(request, "consent/mistake.html", 422, title="Entered by mistake", response_id=response_id,
                            errors=error.fields)
    return see_other(f"/permissions/children/{child_id}?saved=mistake")


@router.post("/children/{child_id}/objections")
async def object_to_recording(
    request: Request, child_id: str, actor: Office, session: Writing, now: Now, objector: Text = "", words: Text = "",
) -> Response:
    try:
        await commands.receive_objection(session, actor, child_id=child_id, objector_id=objector, words=words, now=now)
    except Invalid as error:
        given = _given(now.date()) | {"objector": objector, "objection": words}
        return await _child_page(request, actor, session, child_id, given, errors=error.fields)
    return see_other(f"/permissions/children/{child_id}")


@router.post("/objections/{objection_id}")
async def decide_objection(
    request: Request, objection_id: str, actor: Decider, session: Writing, now: Now, upheld: Text = "", reason: Text = "",
) -> Response:
    if upheld not in ("yes", "no"):
        raise NotAllowed("Choose whether to uphold it.")
    try:
        child_id = await commands.decide_objection(
            session, actor, objection_id=objection_id, upheld=upheld == "yes", reason=reason, now=now
        )
    except Invalid as error:
        child_id = await queries.child_of_objection(session, actor.school_id, objection_id)
        wrong = {f"{field}-{objection_id}": words for field, words in error.fields.items()}
        return await _child_page(request, actor, session, child_id, _given(now.date()), errors=wrong)
    return see_other(f"/permissions/children/{child_id}")
