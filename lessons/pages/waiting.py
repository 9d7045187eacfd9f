"""What senior leaders see of planning: lessons that wait for one of them, and those that the rules approved."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import commands, queries
from lessons.guests import queries as guests
from lessons.one_to_one import queries as one_to_one
from service.calls import queries as calls
from service.calls.grants import State as Phone
from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import LEADERS, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, clock_of, render, see_other
from service.people import power, profile_changes
from service.people import queries as people
from service.people.rules import POWERFUL

router = APIRouter()
Leader = Annotated[Actor, Depends(Audience(LEADERS))]
Decider = Annotated[Actor, Depends(Audience(LEADERS | {Role.CHAIR}))]


@router.get("/lessons/waiting")
async def waiting(request: Request, actor: Decider, session: Reading) -> Response:
    return await _page(request, actor, session)


@router.post("/lessons/waiting/{lesson_id}")
async def decide(request: Request, lesson_id: str, actor: Leader, session: Writing, now: Now) -> Response:
    form = await request.form()
    answer, reason = str(form.get("answer", "")), str(form.get("reason", ""))[:500]
    try:
        if answer not in ("approve", "refuse"):
            raise Invalid("There is a problem", fields={"answer": "Choose what you decide"})
        async with session.begin_nested():
            await commands.decide(session, actor, lesson_id, approve=answer == "approve", reason=reason, now=now)
    except (Invalid, NotAllowed) as refused:
        words = refused.fields or {"answer": refused.message}
        errors = {f"{'reason' if name == 'reason' else 'answer'}-{lesson_id}": said for name, said in words.items()}
        return await _page(request, actor, session, errors=errors, about=lesson_id, given=(answer, reason))
    return see_other("/lessons/waiting")


async def _page(request: Request, actor: Actor, session: AsyncSession, *, errors: dict[str, str] | None = None,
                about: str = "", given: tuple[str, str] = ("", "")) -> Response:
    now, is_leader = clock_of(request).now(), actor.is_any(LEADERS)
    found = await queries.waiting(session, actor, now) if is_leader else queries.Waiting((), ())
    names = await people.people(session, actor.school_id, {card.planned_by for card in found.waiting + found.by_rule})
    roles = [one for one in await power.waiting(session, actor.school_id)
             if actor.person_id not in (one.asked_by_id, one.person_id) and actor.is_any(POWERFUL)]
    return await render(
        request, "lessons/waiting.html", 422 if errors else 200, title="Waiting for you", found=found, errors=errors or {},
        one_to_ones=await one_to_one.waiting(session, actor, now), is_leader=is_leader,
        guests=await guests.waiting(session, actor) if is_leader else [], rules=await profile_changes.has_waiting(session, actor),
        roles=roles, phones=await _phones(session, actor, now) if is_leader else [],
        about=about, given=given, names={person.id: person.name for person in names.values()},
    )


async def _phones(session: AsyncSession, actor: Actor, now: datetime) -> list[tuple[str, str]]:
    """Requests for a personal telephone that this leader may decide: id and who asked."""
    found = [one for one in await calls.grants(session, actor.school_id)
             if one.state(now) is Phone.WAITING and one.person_id != actor.person_id]
    names = await people.people(session, actor.school_id, {one.person_id for one in found})
    return [(one.id, names[one.person_id].name) for one in found]
