"""A lesson's one address, for everybody who has business there: the room while it is on, before and after what it is."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import proposals, queries, rules
from lessons.family import queries as family
from lessons.guests import rules as guests
from lessons.live import reading
from lessons.pages.day import DAY
from lessons.practice import pages as practice
from lessons.queries import LessonView
from service.calls.rules import CALLERS
from service.foundation.crowd import Stage, in_turn
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, render, say_day, say_time, see_other
from service.people import queries as people
from service.safeguarding.concerns.rules import RAISERS

router = APIRouter()
Anybody = Annotated[Actor, Depends(Audience(DAY))]


@router.get("/lessons/{lesson_id}", dependencies=[in_turn(Stage.ROOM)])
async def lesson(request: Request, lesson_id: str, actor: Anybody, session: Reading, now: Now, planned: int = 0) -> Response:
    roster = await request.app.state.rosters.current(session, lesson_id)
    place = reading.plan_of(roster, "").belongs(actor.person_id)
    if place is not None and roster.school_id == actor.school_id and not planned:
        return see_other(f"/lessons/{place.lesson_id}")  # they belong in another room of this lesson
    view = await queries.lesson_view(session, actor, lesson_id, known=roster)
    if view.is_at_the_door(now) and not planned:
        return await render(request, "lessons/room.html", **await room(session, actor, view))
    if roster.main is not None:  # what is planned and what was is the lesson's, not the room's
        return see_other(f"/lessons/{roster.main.lesson_id}")
    if view.is_staff:
        known = {view.card.planned_by, *(link.previewed_by for link in view.roster.links)}
        names = await people.people(session, actor.school_id, known)
        return await render(
            request, "lessons/lesson.html", title=view.card.title, view=view, planned=planned,
            may_ask_guest=guests.ASK, may_ask_practice=_may_ask_practice(view, actor),
            names={person.id: person.name for person in names.values()}, shown_address=rules.shown_address,
        )
    return await render(request, "lessons/pupil_lesson.html", title=view.card.title, view=view)


async def room(session: AsyncSession, actor: Actor, view: LessonView) -> dict[str, Any]:
    """What `room.html` needs to know (documented at its top)."""
    school, roster, card = await people.school(session, actor.school_id), view.roster, view.card
    me = reading.plan_of(roster, "").people[actor.person_id]
    all_mb, sound_mb = rules.expected_use(card.ends_at - card.starts_at)
    left_mb = None
    if not view.is_staff:
        left_mb = await family.left_mb(session, actor.school_id, actor.person_id, session.info["clock"].now())
    may_blur = view.is_staff or roster.profile.blur_may_be_off
    address = f"/lessons/{card.id}"
    main = roster.main.lesson_id if roster.main else card.id
    attendance = f"/lessons/{main}/attendance"
    knows_the_class = view.is_staff and view.part != "guest" and view.may_take_part
    return {
        "title": roster.title,
        "lesson": {
            "id": card.id, "main_id": roster.main.lesson_id if roster.main else "", "is_one_to_one": roster.is_one_to_one,
            "title": roster.title,
            "class_name": card.group, "starts": say_time(card.starts_at, school.zone),
            "when": _when(card.starts_at, card.ends_at, school.zone),
            "links": [{"url": link.url, "title": rules.shown_address(link.url)} for link in roster.links if link.is_previewed],
        },
        "me": {
            "name": me.name, "role": str(me.role), "young": roster.group.key_stage <= 1 and not view.is_staff,
            "may": [what for what in MAY if getattr(me.may, what)], "blur": "choice" if may_blur else "always",
        },
        "adults": [{"name": adult.name, "role": PARTS[adult.part]} for adult in roster.adults],
        "pupils": {
            "count": len(roster.expected), "names": [pupil.name for pupil in roster.expected] if knows_the_class else [],
        },
        "usage": {"all_mb": all_mb, "sound_mb": sound_mb, "left_mb": left_mb},
        "contact": {"office": school.office, "dsl": await proposals.dsl_name(session, actor.school_id)},
        "urls": {
            "door": f"{address}/door", "socket": f"{address}/socket", "worried": "/worried",
            "home": "/guest" if view.part == "guest" else "/today",
            "attendance": attendance if view.may_change else "",
            "concern": f"/concerns/new?lesson={main}" if actor.is_any(RAISERS) else "",
            "call_home": f"{address}/absent" if view.may_change and actor.is_any(CALLERS) else "",
        },
        "problem": _problem(view, actor),
    }


def _may_ask_practice(view: LessonView, actor: Actor) -> bool:
    """Whether the page of teaching practice is for them: before the lesson begins, for who runs it or leads."""
    is_ahead = view.card.stage is rules.Stage.PLANNED and not view.card.pupil_id
    return is_ahead and view.may_change and actor.is_any(practice.ASKERS)


MAY = ("microphone", "camera", "chat", "screen", "moderate", "stop")
PARTS = {"teacher": "teacher", "cover": "teacher", "second": "member of staff", "guest": "guest", "leader": "senior leader"}


def _when(starts_at: datetime, ends_at: datetime, zone: str) -> str:
    return f"{say_day(starts_at, zone)}, {say_time(starts_at, zone)} to {say_time(ends_at, zone)}"


def _problem(view: LessonView, actor: Actor) -> str | None:
    """Why this person cannot come in, in words that blame no child and give no reason away."""
    if actor.person_id in view.roster.removed:
        return "You cannot come back into this lesson."
    if view.may_take_part:
        return None
    if view.part == "guest":
        return "You cannot go in yet: sign the agreement, and come on the days of your visit. Ask whoever invited you."
    if view.is_staff:
        return "You cannot go in yet: your DBS check or your signed agreement is not on record. Ask the office."
    return "You cannot join this one. You have not done anything wrong. School will send you the work another way."
