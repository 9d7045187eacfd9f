"""Absent from a lesson, and the worklist of children who do not engage (policy: RC2)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.attendance.queries import AUDIENCE, may_open
from lessons.engagement import commands, queries, rules
from service.calls.rules import CALLERS
from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people.pages.forms import saved, words

router = APIRouter()
Staff = Annotated[Actor, Depends(Audience(AUDIENCE))]
Text = Annotated[str, Form()]


@router.get("/engagement")
async def worklist(request: Request, actor: Staff, session: Reading) -> Response:
    profile = await people.profile(session, actor.school_id)
    rows = await queries.worklist(session, actor)
    return await render(request, "lessons/engagement/worklist.html", title="Children who miss lessons", rows=rows,
                        opens=await may_open(session, actor, [row.child_id for row in rows]), profile=profile,
                        may_call=actor.is_any(CALLERS))


@router.get("/lessons/{lesson_id}/absent")
async def absent(request: Request, lesson_id: str, actor: Staff, session: Reading) -> Response:
    return await _absent(request, actor, session, lesson_id)


async def _absent(request: Request, actor: Actor, session: AsyncSession, lesson_id: str, refusal: Invalid | None = None,
                  about: str = "", reason: str = "", said: str = "") -> Response:
    record, away = await queries.absent(session, actor, lesson_id)
    return await render(
        request, "lessons/engagement/absent.html", 422 if refusal else 200, title=f"Absent from {record.title}", record=record,
        away=away, reasons=rules.REASONS, errors=words(refusal) if refusal else {}, about=about, reason=reason, said=said,
        may_call=actor.is_any(CALLERS), profile=await people.profile(session, actor.school_id),
    )


@router.post("/lessons/{lesson_id}/absent/{child_id}")
async def explain(request: Request, lesson_id: str, child_id: str, actor: Staff, session: Reading, now: Now, reason: Text = "",
                  said: Annotated[str, Form(alias="words")] = "") -> Response:
    try:
        await saved(request, lambda writing: commands.explain(
            writing, actor, lesson_id, child_id, reason=reason, words=said, now=now))
    except Invalid as refusal:
        return await _absent(request, actor, session, lesson_id, refusal, child_id, reason, said)
    return see_other(f"/lessons/{lesson_id}/absent")
