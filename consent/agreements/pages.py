"""The register of who has signed, the office's paper route, and a new version (policy: CO1, CO5)."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as families
from consent import rules as consents
from consent.agreements import commands, queries, rules
from consent.agreements.texts import DEFAULTS
from consent.rules import Route
from service.foundation import sheets
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people.pages.forms import saved
from service.people.rules import read_day

router = APIRouter(prefix="/permissions/agreements")
Reader = Annotated[Actor, Depends(Audience(SAFEGUARDING, Role.OFFICE, Role.HEADTEACHER))]
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Writer = Annotated[Actor, Depends(Audience(rules.WRITES, before_signing=True))]
Text = Annotated[str, Form()]
versions = APIRouter(prefix="/agreements")


@router.get("")
async def agreements(request: Request, actor: Reader, session: Reading, now: Now) -> Response:
    lines = await queries.register(session, actor.school_id, None, now.date())
    parts = {part: found for part in rules.Audience if (found := [line for line in lines if line.audience is part])}
    remindable = await _remindable(session, actor, now)
    current = {part: row.version for part, row in (await queries.current_agreements(session, actor.school_id)).items()}
    return await render(request, "agreements/register.html", title="Who has signed the agreement", parts=parts,
                        versions=current, remindable=remindable, reminded=request.query_params.get("reminded", ""),
                        may_add=actor.is_any(rules.WRITES), may_record=Role.OFFICE in actor.roles)


async def _remindable(session: AsyncSession, actor: Actor, now: datetime) -> dict[rules.Audience, int]:
    """How many of each audience a reminder would reach now; none where they were reminded in the last days, or nothing can be
    sent."""
    post = session.info.get("post")
    if Role.OFFICE not in actor.roles or post is None or not post.is_on:
        return {}
    found = {part: await queries.reminding(session, actor.school_id, part, now.date()) for part in rules.Audience}
    return {part: len(one.people) for part, one in found.items() if one.people and rules.may_remind(one.last, now)}


@router.post("/remind")
async def remind(request: Request, actor: Office, now: Now, part: Text = "") -> Response:
    count = await saved(request, lambda writing: commands.remind(writing, actor, _part(part), now))
    return see_other(f"/permissions/agreements?reminded={count}#{part}")


@router.get("/register.csv")
async def export(actor: Reader, session: Reading, now: Now) -> Response:
    lines = await queries.register(session, actor.school_id, None, now.date())
    rows = [(sheets.plain(line.name), line.audience, line.signing, str(line.renew_on or "")) for line in lines]
    body = sheets.written(("Name", "Agreement", "Signed", "Renew on"), rows)
    return Response(body, media_type="text/csv; charset=utf-8",
                    headers={"Content-Disposition": 'attachment; filename="agreements.csv"'})


@router.get("/{person_id}")
async def signature(request: Request, person_id: str, actor: Office, session: Reading, now: Now) -> Response:
    return await _signature_page(request, actor, session, person_id, now.date(), (now.day, now.month, now.year))


@router.post("/{person_id}")
async def record_signature(
    request: Request, person_id: str, actor: Office, session: Writing, now: Now, day: Text = "", month: Text = "",
    year: Text = "", signed_by: Text = "",
) -> Response:
    try:
        await commands.record_signature(
            session, actor, person_id=person_id, route=Route.PAPER, signed_on=consents.day_of(day, month, year),
            signed_by=signed_by, now=now,
        )
    except (Invalid, consents.MayNotAnswer) as error:
        errors = error.fields or {"signed_by": error.message}
        return await _signature_page(request, actor, session, person_id, now.date(), (day, month, year), errors)
    return see_other("/permissions/agreements")


async def _signature_page(
    request: Request, actor: Actor, session: AsyncSession, person_id: str, on: date, day: tuple[object, object, object],
    errors: dict[str, str] | None = None,
) -> Response:
    line = next(iter(await queries.register(session, actor.school_id, [person_id], on)), None)
    agreement = line and (await queries.current_agreements(session, actor.school_id)).get(line.audience)
    if line is None or agreement is None:
        raise NotFound()
    family = await families.respondents(session, actor.school_id, person_id) if line.by_parent else []
    return await render(request, "agreements/signature.html", 422 if errors else 200, title=f"Paper signature of {line.name}",
                        line=line, agreement=agreement, respondents=family, day=day, errors=errors)


# -- a new version ----------------------------------------------------------------------------------------------------


@versions.get("/{part}/new")
async def new_form(request: Request, part: str, actor: Writer, session: Reading, now: Now) -> Response:
    await commands.check_writer(session, actor)
    newest = await queries.newest(session, actor.school_id, _part(part))
    text = newest.text if newest else DEFAULTS[_part(part)]
    day = f"{now.day}/{now.month}/{now.year}" if newest is None else ""
    return await _new_page(request, _part(part), {"text": text, "what_changed": "", "in_force_on": day}, newest is None)


@versions.post("/{part}/new")
async def add_version(
    request: Request, part: str, actor: Writer, session: Reading, now: Now, text: Text = "", what_changed: Text = "",
    in_force_on: Text = "",
) -> Response:
    await commands.check_writer(session, actor)
    given = {"text": text, "what_changed": what_changed, "in_force_on": in_force_on}
    is_first = await queries.newest(session, actor.school_id, _part(part)) is None
    draft = rules.Draft(text, what_changed, read_day(in_force_on))
    try:
        await saved(request, lambda writing: commands.add_version(writing, actor, _part(part), draft, now))
    except Invalid as error:
        return await _new_page(request, _part(part), given, is_first, error.fields)
    return see_other("/permissions/agreements")


def _part(given: str) -> rules.Audience:
    if given not in tuple(rules.Audience):
        raise NotFound()
    return rules.Audience(given)


async def _new_page(request: Request, part: rules.Audience, given: dict[str, str], is_first: bool,
                    errors: dict[str, str] | None = None) -> Response:
    return await render(request, "agreements/new.html", 422 if errors else 200, title="A new version of the agreement",
                        part=part, given=given, is_first=is_first, errors=errors)
