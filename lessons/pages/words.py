"""The school's chat words and allowed web addresses: every change with a reason, some only for a time (policy: IN6)."""

from datetime import datetime, time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import FormData

from lessons import commands, forms, queries
from service.foundation.errors import Invalid
from service.foundation.events import SAFEGUARDING, Actor
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people

router = APIRouter()
Lead = Annotated[Actor, Depends(Audience(SAFEGUARDING))]


@router.get("/school/words")
async def words(request: Request, actor: Lead, session: Reading, saved: bool = False) -> Response:
    now = await queries.word_list(session, actor.school_id)
    given = {"words": "\n".join(now.words), "links": "\n".join(now.links), "reason": "", "expires": forms.NO_DAY}
    return await _page(request, actor, session, given, {}, saved=saved)


@router.post("/school/words")
async def change(request: Request, actor: Lead, session: Writing, now: Now) -> Response:
    form = await request.form()
    zone = (await people.school(session, actor.school_id)).zone
    try:
        async with session.begin_nested():
            await commands.change_words(
                session, actor, words=_lines(form, "words"), links=_lines(form, "links"),
                reason=str(form.get("reason", ""))[:500], expires_at=_expiry(form, zone), now=now,
            )
    except Invalid as refused:
        given = {name: str(form.get(name, "")) for name in ("words", "links", "reason")}
        return await _page(request, actor, session, given | {"expires": forms.boxes(form, "expires")}, refused.fields)
    return see_other("/school/words?saved=1")


def _lines(form: FormData, name: str) -> list[str]:
    lines = (" ".join(line.split()) for line in str(form.get(name, "")).splitlines())
    return sorted({line for line in lines if line}, key=str.casefold)


def _expiry(form: FormData, zone: str) -> datetime | None:
    """The end of the school day typed, or None when the change is to last."""
    typed = forms.boxes(form, "expires")
    day = forms.read_day(typed)
    if day is None and any(typed):
        raise Invalid("There is a problem", fields={"expires": "Enter a real day, like 3 3 2027"})
    return None if day is None else datetime.combine(day, time(23, 59), ZoneInfo(zone))


async def _page(request: Request, actor: Actor, session: AsyncSession, given: dict[str, Any], errors: dict[str, str], *,
                saved: bool = False) -> Response:
    history = await queries.word_lists(session, actor.school_id)
    return await render(
        request, "lessons/words.html", 422 if errors else 200, title="Words and web addresses", given=given, errors=errors,
        saved=saved, history=history,
    )
