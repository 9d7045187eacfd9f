"""The governor's report: one term in numbers, and nobody's name (policy: IN3)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from service.foundation.events import Actor
from service.foundation.web import Audience, Reading, render
from service.governance import queries, rules

router = APIRouter(prefix="/governors")
Reader = Annotated[Actor, Depends(Audience(rules.READ))]


@router.get("")
async def show(request: Request, actor: Reader, session: Reading, of: str = "") -> Response:
    """The newest term, or the one that begins on the day `of`."""
    periods = await queries.known(session, actor.school_id)
    period = rules.chosen(periods, of)
    return await render(request, "governance/report.html", title=f"Governors’ report: {period.name}", periods=periods,
                        report=await queries.report(session, actor, period))
