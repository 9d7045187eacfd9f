"""The door of a lesson: who may come in now, what they answer there, and the ticket for one connection (policy: RL2, RL3,
CO6). And “I'm worried”, which is the same on every pupil page (policy: RC4)."""

from collections.abc import Awaitable
from datetime import datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from lessons import rules
from lessons.adults import took_part
from lessons.breakouts.family import ids_of
from lessons.live import reading
from lessons.live.facts import DoorAnswered
from lessons.live.host import Host
from lessons.live.plan import Person, Place, Plan
from lessons.live.registry import Registry
from lessons.live.tickets import LIFETIME
from lessons.roster import Roster
from lessons.tables import DoorAnswer
from recordings import commands as recordings
from service.foundation.bus import publish
from service.foundation.crowd import Stage, in_turn
from service.foundation.errors import Conflict, NotAllowed, NotFound
from service.foundation.events import EVERYBODY, Actor, Role
from service.foundation.web import Audience, Now, Writing, say_time, token_hash
from service.people import queries as people
from service.people.tables import School
from service.safeguarding import commands as safeguarding
from service.safeguarding.reopening import queries as reopening
from service.safeguarding.rules import About

router = APIRouter()
Anybody = Annotated[Actor, Depends(Audience(EVERYBODY))]
Worried = Annotated[Actor, Depends(Audience(Role.PUPIL, before_signing=True))]
"""A child who is worried signs nothing first (policy: RC4)."""
ABOUT = {"saw-or-heard": About.SAW, "grown-up": About.STAFF}
YesNo = Literal["yes", "not answered"]


class NotOnTheList(NotFound):
    """This lesson is not on your list."""

    code = "not-on-roster"


class TooEarly(Conflict):
    """It is too early to join."""

    code = "too-early"


class Over(Conflict):
    """This lesson has ended."""

    code = "over"


class Moved(Conflict):
    """You belong in another room of this lesson."""

    code = "moved"

    def __init__(self, place: Place):
        super().__init__(fields={"lesson": place.lesson_id, "name": place.name})


class NotStarted(Conflict):
    """This lesson is not approved yet."""

    code = "not-started"


class Removed(NotAllowed):
    """You cannot come back into this lesson."""

    code = "removed"


class NotPermitted(NotAllowed):
    """You need to stop here for now. You have not done anything wrong. Ask the office."""

    code = "not-permitted"


class Answers(BaseModel):
    """What the door asks. Nothing here blocks; what is left open is kept as not answered. An empty body is a reconnect."""

    model_config = ConfigDict(extra="forbid")
    clothing: YesNo = "not answered"
    place: YesNo = "not answered"
    people_near: YesNo = "not answered"
    beside: Literal["nobody", "grown-up", "sibling", "not answered"] = "not answered"
    media: Literal["all", "sound-only"] = "all"
    device: str = Field("", max_length=128)


class Worry(BaseModel):
    """`worry_id` adds words to an earlier one."""

    lesson_id: str | None = Field(None, max_length=32)
    worry_id: str | None = Field(None, max_length=32)
    do_not_ring_home: bool = False
    about: Literal["unsafe", "unkind", "saw-or-heard", "grown-up", "talk"] | None = None
    text: str = Field("", max_length=4000)


@router.post("/lessons/{lesson_id}/door", dependencies=[in_turn(Stage.DOOR)])
async def door(request: Request, lesson_id: str, answers: Answers, actor: Anybody, now: Now) -> dict[str, Any]:
    """A ticket for who may come in now. The admission is in the audit before anybody can be let in (invariant I7)."""
    state = request.app.state
    state.rooms.knock(actor.person_id)
    await state.rooms.settled(lesson_id)
    async with state.database.glance() as session:
        roster = await _on_some_list(state.rosters.current(session, lesson_id))
        plan = await reading.plan(session, roster)
        await reopening.check_open(session, roster.school_id)
        zone = (await people.school(session, actor.school_id)).zone
    registry: Registry = state.rooms
    person = admissible(plan, roster, actor, registry.live(lesson_id), now, zone)
    host = await registry.host(lesson_id)
    if host.room.plan.belongs(person.id) is not None:  # it has yet to read what was just decided
        host.refresh()
        await host.confirm()
    async with state.database.writing() as session:
        kept = await _keep(session, actor, plan, answers, now)
        assert host.recorder is not None
        await recordings.admit(session, actor, recording_id=host.recorder.recording_id, person_id=person.id,
                               role=person.role, now=now)
    beside = kept.beside if kept.beside in ("grown-up", "sibling") else ""
    ticket = registry.tickets.issue(
        person=person.id, lesson=lesson_id, session=actor.session_id, device=kept.device, beside=beside,
        approval=plan.ticket_approval,
    )
    return {"ticket": ticket, "expires_in": LIFETIME}


async def _on_some_list(found: Awaitable[Roster]) -> Roster:
    """A lesson that does not exist is refused in the words of one that is not for this person (policy: AC3)."""
    try:
        return await found
    except NotFound as error:
        raise NotOnTheList() from error


def admissible(plan: Plan, roster: Roster, actor: Actor, host: Host | None, now: datetime, zone: str) -> Person:
    """Whoever may come in now, or the reason why not in plain words."""
    person, belongs = plan.person(actor.person_id), plan.belongs(actor.person_id)
    if (person is None and belongs is None) or plan.school_id != actor.school_id:
        raise NotOnTheList()
    if actor.person_id in plan.removed or (host is not None and actor.person_id in host.room.removed):
        raise Removed()
    if belongs is not None:
        raise Moved(belongs)
    assert person is not None
    if roster.ended_at is not None or roster.status == "cancelled" or now >= plan.hard_end_at:
        raise Over()
    if roster.status != "planned":
        raise NotStarted()
    doors = rules.doors(roster.starts_at, roster.ends_at, roster.profile)
    opens = doors.pupils_from if roster.pupil(person.id) else doors.staff_from
    if now < opens:
        raise TooEarly(f"You can join at {say_time(opens, zone)}.")
    if not person.may.attend:
        raise NotPermitted()
    return person


_EARLIER = select(DoorAnswer).where(
    col(DoorAnswer.lesson_id).in_(ids_of(bindparam("lesson"))), DoorAnswer.person_id == bindparam("person")
).order_by(col(DoorAnswer.answered_at).desc()).limit(1)


async def _keep(session: AsyncSession, actor: Actor, plan: Plan, answers: Answers, now: datetime) -> DoorAnswer:
    """Keep what was answered; a reconnect answers nothing, nor does a move to another room of the lesson, and what was kept
    stands. A device is known by the same name in all rooms of one lesson, and in no other lesson."""
    lesson_id = plan.lesson_id
    earlier = (await session.exec(_EARLIER, params={"lesson": lesson_id, "person": actor.person_id})).first()
    if earlier is not None and not answers.model_fields_set:
        return earlier
    device = token_hash(f"{plan.family} {answers.device or actor.session_id}")
    kept = DoorAnswer(
        school_id=actor.school_id, lesson_id=lesson_id, person_id=actor.person_id, clothing=answers.clothing,
        place=answers.place, people_near=answers.people_near, beside=answers.beside, media=answers.media, device=device,
        answered_at=now,
    )
    session.add(kept)
    answered = DoorAnswered(lesson_id, actor.person_id, kept.clothing, kept.place, kept.people_near, kept.beside)
    await publish(session, answered, actor)
    return kept


@router.post("/worried")
async def worried(request: Request, worry: Worry, actor: Worried, session: Writing, now: Now) -> dict[str, str]:
    """Sent at once, without typing; more words may follow. Nobody in the lesson learns of it (policy: RC4)."""
    about, worry_id = ABOUT.get(worry.about or "", worry.about or ""), worry.worry_id
    if worry_id:
        await safeguarding.add_words(
            session, actor, alert_id=worry_id, about=about, words=worry.text, do_not_ring=worry.do_not_ring_home, now=now
        )
    else:
        place, present = await _lesson_of(request.app.state.rooms, session, actor, worry.lesson_id or "")
        worry_id = await safeguarding.press_worried(
            session, actor, lesson_id=worry.lesson_id or "", place=place, present=present, about=about,
            words=worry.text, do_not_ring=worry.do_not_ring_home, now=now,
        )
    return {"worry_id": worry_id, "when": await _when(session, actor.school_id, now)}


async def _lesson_of(rooms: Registry, session: AsyncSession, actor: Actor, lesson_id: str) -> tuple[str, frozenset[str]]:
    """Which lesson it came from, and its adults, planned or in the room: none of them learns of it."""
    if not lesson_id:
        return "", frozenset()
    roster = await _on_some_list(rosters.roster(session, lesson_id))
    if roster.pupil(actor.person_id) is None:
        raise NotOnTheList()
    host = rooms.live(lesson_id)
    inside = host.adults if host is not None else frozenset()
    return f"{roster.title}, {roster.group.name}", inside | await took_part(session, lesson_id)


async def _when(session: AsyncSession, school_id: str, now: datetime) -> str:
    """When somebody looks at it, as a child is told: today, or when school opens."""
    school = await session.get_one(School, school_id)
    local = now.astimezone(ZoneInfo(school.zone))
    opens, closes = time.fromisoformat(school.opens_at), time.fromisoformat(school.closes_at)
    teaches = str(local.weekday()) in school.teaches_on
    return "today" if teaches and local.time() < closes else f"when school opens at {say_time(opens)}"
