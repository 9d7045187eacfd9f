"""What the lesson's page asks of the school about breakout rooms (docs/room-protocol.md). JSON: the page is the room's own."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from lessons.breakouts import commands, queries, rules
from lessons.breakouts.rules import Wanted
from service.foundation.events import EVERYBODY, Actor
from service.foundation.web import Audience, Now, Reading, Writing

router = APIRouter(prefix="/lessons/{lesson_id}/breakouts")
Anybody = Annotated[Actor, Depends(Audience(EVERYBODY))]
"""The rule decides, by the part each has in this lesson: a role says nothing of that."""
PersonId = Annotated[str, Field(max_length=32)]
NONE_HERE: frozenset[str] = frozenset()


class WantedRoom(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    adults: list[PersonId] = Field(max_length=20)
    pupils: list[PersonId] = Field(max_length=200)


class WantedRooms(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rooms: list[WantedRoom] = Field(max_length=50)


class Placing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    person: PersonId
    to: str = Field("", max_length=32)


@router.get("")
async def rooms(request: Request, lesson_id: str, actor: Anybody, session: Reading) -> dict[str, Any]:
    """The rooms that are open, or a proposal: those who are here dealt out first, then those who may still come."""
    found = await queries.arrangement(session, actor, lesson_id)
    host = request.app.state.rooms.live(lesson_id)
    here = {seat.person.id for seat in host.room.here()} if host is not None else NONE_HERE
    pupils = sorted(found.main.pupils, key=lambda pupil: (pupil not in here, found.main.pupils[pupil]))
    staff = sorted(queries.own_staff(found), key=lambda adult: adult.id not in here)
    proposed = [("", room) for room in rules.propose([adult.id for adult in staff], pupils)]
    shown = [(room.lesson_id, wanted) for room, wanted in zip(found.rooms, found.wanted, strict=True)] or proposed
    return {
        "open": bool(found.rooms),
        "rooms": [{"lesson": lesson, "name": r.name, "adults": list(r.adults), "pupils": list(r.pupils)} for lesson, r in shown],
        "adults": [{"id": adult.id, "name": adult.name, "here": adult.id in here} for adult in _offered(found)],
        "pupils": [{"id": pupil, "name": found.main.pupils[pupil], "here": pupil in here} for pupil in pupils],
    }


def _offered(found: queries.Arrangement) -> list[rules.Adult]:
    """Whom a room may be given: the lesson's own staff, then colleagues."""
    able = [adult for adult in found.main.adults.values() if adult.supervises]
    return sorted(able, key=lambda adult: (adult.part == "colleague", adult.name))


@router.post("", status_code=201)
async def open_rooms(lesson_id: str, wanted: WantedRooms, actor: Anybody, session: Writing, now: Now) -> dict[str, Any]:
    given = [Wanted(room.name.strip(), tuple(room.adults), tuple(room.pupils)) for room in wanted.rooms]
    return {"rooms": await commands.open_rooms(session, actor, lesson_id, given, now)}


@router.post("/move")
async def move(lesson_id: str, placing: Placing, actor: Anybody, session: Writing) -> dict[str, Any]:
    await commands.place(session, actor, lesson_id, person_id=placing.person, to=placing.to)
    return {}


@router.post("/close")
async def close(lesson_id: str, actor: Anybody, session: Writing, now: Now) -> dict[str, Any]:
    await commands.close(session, actor, lesson_id, now)
    return {}
