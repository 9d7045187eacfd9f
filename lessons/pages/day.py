"""Everybody's day: a teacher's, a pupil's, and a parent's view of their own children's lessons."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from consent import queries as consents
from lessons import queries
from lessons.proposals import TEACHING
from service.calls import queries as calls
from service.calls.rules import PURPOSE_WORDS
from service.foundation.crowd import Stage, in_turn
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, render
from service.people import queries as people

router = APIRouter()
DAY = frozenset({Role.TEACHER, Role.SUPPORT, Role.GUEST, Role.PUPIL}) | LEADERS | SAFEGUARDING
Ours = Annotated[Actor, Depends(Audience(DAY - {Role.GUEST}))]  # a guest's page is `/guest`
Parent = Annotated[Actor, Depends(Audience(Role.PARENT))]


@router.get("/today", dependencies=[in_turn(Stage.DAY)])
async def today(request: Request, actor: Ours, session: Reading, now: Now, more: int = 1) -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    day = now.astimezone(ZoneInfo(zone)).date()
    if Role.PUPIL in actor.roles:
        lessons = await queries.pupil_day(session, actor, day)
        return await render(request, "lessons/pupil_day.html", title=f"Hello {actor.name}", lessons=lessons,
                            is_asked=await consents.is_asked(session, actor))
    found = await queries.today(session, actor, day)
    more = min(max(more, 1), MOST)
    ahead = await queries.to_come(session, actor, day, more * AT_A_TIME)
    return await render(request, "lessons/today.html", title="Today", found=found, ahead=ahead, day=day,
                        more=more + 1 if ahead.has_more and more < MOST else 0, may_plan=actor.is_any(PLANNERS),
                        may_subscribe=actor.is_any(TEACHING))


AT_A_TIME, MOST = 20, 50
"""How many lessons to come are shown first and are added by each "Show more", and how often."""
PLANNERS = frozenset({Role.TEACHER}) | LEADERS


@router.get("/family")
async def family(request: Request, actor: Parent, session: Reading, now: Now) -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    children = await queries.family(session, actor, now.astimezone(ZoneInfo(zone)).date())
    rests = {child.id: child.rests_until for child in await consents.for_family(session, actor)}
    told = await calls.of_family(session, actor, [child.child_id for child in children])
    return await render(request, "lessons/family.html", title="Hello", children=children, purposes=PURPOSE_WORDS,
                        calls=told, rests=rests)
