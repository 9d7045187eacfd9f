"""The log of breaches, for the Data Protection Officer and the headteacher (policy: AC10)."""

from datetime import datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people.pages.forms import saved, words
from service.people.rules import read_day
from service.safeguarding.breaches import commands, queries, rules

router = APIRouter(prefix="/breaches")
Keeper = Annotated[Actor, Depends(Audience(rules.KEEP))]
Text = Annotated[str, Form()]
NOTHING = {"what": "", "whose": "", "day": "", "time": ""}


@router.get("")
async def show_list(request: Request, actor: Keeper, session: Reading) -> Response:
    return await _list(request, actor, session, NOTHING)


async def _list(request: Request, actor: Actor, session: AsyncSession, given: dict[str, str],
                refusal: Invalid | None = None) -> Response:
    return await render(request, "breaches/list.html", 422 if refusal else 200, title="Data breaches", given=given,
                        found=await queries.breaches(session, actor.school_id), errors=words(refusal) if refusal else None)


@router.post("")
async def record(request: Request, actor: Keeper, session: Reading, now: Now, what: Text = "", whose: Text = "", day: Text = "",
                 at: Annotated[str, Form(alias="time")] = "") -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    noticed = _moment(day, at, zone)
    try:
        made = await saved(request, lambda writing: commands.record(
            writing, actor, what=what, whose=whose, noticed_at=noticed, now=now))
    except Invalid as refusal:
        return await _list(request, actor, session, {"what": what, "whose": whose, "day": day, "time": at}, refusal)
    return see_other(f"/breaches/{made}")


def _moment(day: str, at: str, zone: str) -> datetime | None:
    on = read_day(day)
    try:
        hour, minute = (int(part) for part in at.strip().replace(".", ":").split(":"))
        return datetime.combine(on, time(hour, minute), ZoneInfo(zone)) if on else None
    except ValueError:
        return None


@router.get("/{breach_id}")
async def show(request: Request, actor: Keeper, session: Reading, breach_id: str) -> Response:
    return await _page(request, actor, session, breach_id, {"kind": "", "words": ""})


async def _page(request: Request, actor: Actor, session: AsyncSession, breach_id: str, given: dict[str, str],
                refusal: Invalid | Conflict | None = None) -> Response:
    found = await queries.breach(session, actor.school_id, breach_id)
    return await render(
        request, "breaches/breach.html", 422 if refusal else 200, title=f"Data breach {found.number}", breach=found,
        steps=rules.STEP_WORDS, given=given, errors=words(refusal) if refusal else None,
    )


@router.post("/{breach_id}")
async def add_step(request: Request, actor: Keeper, session: Reading, now: Now, breach_id: str, kind: Text = "",
                   said: Annotated[str, Form(alias="words")] = "") -> Response:
    try:
        await saved(request, lambda writing: commands.add_step(writing, actor, breach_id, kind=kind, words=said, now=now))
    except (Invalid, Conflict) as refusal:
        return await _page(request, actor, session, breach_id, {"kind": kind, "words": said}, refusal)
    return see_other(f"/breaches/{breach_id}")
