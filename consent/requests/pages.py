"""The office asks a class or the school, sees who has answered, reminds, rings, prints (policy: CO2, CO3)."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from markupsafe import Markup
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.documents import queries as documents
from consent.documents.queries import Words
from consent.documents.rules import DEFAULT
from consent.requests import commands, queries
from consent.rules import PURPOSES, Purpose
from service.foundation.errors import Invalid
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import registers
from service.people.pages.badges import square

router = APIRouter(prefix="/permissions/requests")
Reader = Annotated[Actor, Depends(Audience(SAFEGUARDING, Role.OFFICE, Role.HEADTEACHER))]
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]


@router.get("")
async def requests(request: Request, actor: Reader, session: Reading) -> Response:
    return await _list(request, actor, session, {"group": "", "purposes": [], "deadline": ("", "", "")})


@router.post("")
async def ask(request: Request, actor: Office, session: Writing, now: Now) -> Response:
    form = await request.form()
    boxes = tuple(str(form.get(part, "")) for part in ("day", "month", "year"))
    group, chosen = str(form.get("group", "")), [str(each) for each in form.getlist("purposes")]
    try:
        made = await commands.ask(session, actor, group_id=group, purposes=[p for p in PURPOSES if p in chosen],
                                  deadline=_day(boxes), now=now)
    except Invalid as error:
        return await _list(request, actor, session, {"group": group, "purposes": chosen, "deadline": boxes}, error.fields)
    return see_other(f"/permissions/requests/{made}?saved=asked")


def _day(boxes: tuple[str, ...]) -> date | None:
    try:
        day, month, year = map(int, boxes)
        return date(year, month, day)
    except ValueError:
        return None


async def _list(request: Request, actor: Actor, session: AsyncSession, given: dict[str, Any],
                errors: dict[str, str] | None = None) -> Response:
    return await render(
        request, "requests/list.html", 422 if errors else 200, title="Ask families", found=await queries.requests(
            session, actor.school_id), groups=await registers.groups(session, actor.school_id), all_purposes=PURPOSES,
        given=given, errors=errors, may_ask=Role.OFFICE in actor.roles,
    )


@router.get("/{request_id}")
async def one(request: Request, request_id: str, actor: Reader, session: Reading, now: Now, saved: str = "") -> Response:
    view = await queries.request(session, actor.school_id, request_id, now.date())
    told = "The families have been told that a question waits." if view.to_chase else "Every family has answered this already."
    words = {"asked": told, "again": "They have been told again.", "ended": "Nobody is told about it any more."}.get(saved, "")
    return await render(request, "requests/request.html", title="Who has answered", view=view, saved=words,
                        may_ask=Role.OFFICE in actor.roles)


@router.post("/{request_id}/remind")
async def remind(request_id: str, actor: Office, session: Writing, now: Now) -> Response:
    await commands.remind(session, actor, request_id=request_id, now=now)
    return see_other(f"/permissions/requests/{request_id}?saved=again")


@router.post("/{request_id}/end")
async def end(request_id: str, actor: Office, session: Writing, now: Now) -> Response:
    await commands.end(session, actor, request_id=request_id, now=now)
    return see_other(f"/permissions/requests/{request_id}?saved=ended")


@router.get("/{request_id}/calls")
async def calls(request: Request, request_id: str, actor: Office, session: Reading, now: Now) -> Response:
    view = await queries.request(session, actor.school_id, request_id, now.date())
    return await render(request, "requests/calls.html", title="Families to telephone", view=view)


@dataclass(frozen=True)
class PaperForm:
    """One child's form: what is still open, and the square that opens their page here. Its address names nobody."""

    child_id: str
    name: str
    questions: tuple[Words, ...]
    square: Markup


@router.get("/{request_id}/forms")
async def forms(request: Request, request_id: str, actor: Office, session: Reading, now: Now) -> Response:
    view = await queries.request(session, actor.school_id, request_id, now.date())
    shown = await documents.shown(session, actor.school_id)
    asked: dict[Purpose, Words] = {
        purpose: await documents.words(session, actor.school_id, shown[purpose].document_id, DEFAULT, name="{name}")
        for purpose in view.asked.purposes if purpose in shown
    }
    made = [_paper(request, line, asked) for line in view.to_chase]
    return await render(request, "requests/forms.html", title="Paper forms", view=view, forms=made)


def _paper(request: Request, line: queries.FamilyLine, asked: dict[Purpose, Words]) -> PaperForm:
    address = f"{str(request.base_url).rstrip('/')}/permissions/children/{line.child_id}?route=paper"
    questions = tuple(_named(asked[purpose], line.first_name) for purpose in line.open if purpose in asked)
    return PaperForm(line.child_id, line.name, questions, square(address, title="Opens this pupil's page for the office"))


def _named(words: Words, name: str) -> Words:
    return replace(words, text=words.text.filled({"name": name}))
