"""The safeguarding team's list of views that families are not told of, each with its release."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from recordings.told import commands, queries
from service.foundation.events import SAFEGUARDING, Actor
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people

router = APIRouter(prefix="/views/families")
Lead = Annotated[Actor, Depends(Audience(SAFEGUARDING))]
WHY = {"concern": "A concern", "flag": "A flag", "complaint": "A complaint", "police": "For the police"}


@router.get("")
async def hidden(request: Request, actor: Lead, session: Reading) -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    return await render(request, "recordings/told.html", title="Views that families are not told of",
                        views=await queries.hidden(session, actor), why=WHY, zone=zone)


@router.post("/{view_id}")
async def release(actor: Lead, session: Writing, now: Now, view_id: str) -> Response:
    await commands.release(session, actor, view_id, now)
    return see_other("/views/families")
