"""T8 and T1 in breakout rooms: no private channel, no way round the rule by splitting a lesson, no pupil with a moderator's
right. Each probe first shows, with its guard taken away, that it would notice (policy: RL1, RL7)."""

import dataclasses
from collections.abc import AsyncIterator
from math import inf
from typing import Any

import pytest

from lessons.breakouts import queries
from lessons.live import messages as m
from lessons.live import registry, requests
from lessons.live.events import CameElsewhere
from lessons.live.monitor import Forbidden
from lessons.live.plan import Plan
from lessons.live.tickets import Ticket, Tickets
from lessons.media.gate import Gate
from tests.room.family import Family
from tests.room.pages import Page
from tests.school import Running


@pytest.fixture
async def family(school: Running) -> AsyncIterator[Family]:
    family = Family(school)
    yield await family.begin()
    await family.end()


async def state_of(family: Family) -> Any:
    """Everything that a pupil must not be able to change."""
    found = await family.ask(family.teacher_id, get=True)
    live = family.school.app.state.rooms.hosts()
    return found.json()["rooms"], sorted((h.room.plan.lesson_id, h.room.phase, h.room.chat, h.room.stopped, h.room.ends_at,
                                          sorted(h.room.removed)) for h in live)


STAFF_MESSAGES = (*requests._STAFF, *requests._MODERATORS, m.Stop)
EXAMPLES: dict[object, object] = {str: "c1", int: 5, bool: False, str | None: "c1"}


def _about(kind: type, person: str) -> dict[str, str]:
    return {"person": person} if "person" in {field.name for field in dataclasses.fields(kind)} else {}


# No pupil has a moderator's right


@pytest.mark.parametrize("guarded", [False, True], ids=["without the rule", "with the rule"])
async def test_no_pupil_arranges_rooms(family: Family, monkeypatch: pytest.MonkeyPatch, guarded: bool) -> None:
    if not guarded:
        monkeypatch.setattr(queries, "may_arrange", lambda part, cleared: True)
        monkeypatch.setattr(queries.Roster, "adult", lambda self, person_id: self.adults[0])
    pupil, rooms = family.pupil_ids[0], [{"name": "Ours", "adults": [family.teacher_id], "pupils": family.pupil_ids[:2]}]
    answers = [await family.ask(pupil, body={"rooms": rooms}), await family.ask(pupil, get=True)]
    if guarded:
        await family.split()
        answers += [await family.ask(pupil, "/move", {"person": pupil, "to": family.rooms[1]}), await family.ask(pupil, "/close")]
    assert all(answer.status_code == 403 for answer in answers) is guarded
    assert all(not (set(answer.text.split('"')) & set(family.pupil_ids)) for answer in answers) is guarded


@pytest.mark.parametrize("role", ["headteacher", "dsl", "parent", "office", "governor", "technician"])
async def test_nor_does_anybody_else_but_the_lesson_s_own_staff(family: Family, role: str) -> None:
    person = family.school.person(role)
    rooms = {"rooms": [{"name": "R", "adults": [family.teacher_id], "pupils": family.pupil_ids[:2]}]}
    for answer in (await family.ask(person, get=True), await family.ask(person, body=rooms), await family.ask(person, "/close"),
                   await family.ask(person, "/move", {"person": family.pupil_ids[0], "to": ""})):
        assert answer.status_code in (403, 404)


@pytest.mark.parametrize("guarded", [False, True], ids=["without the right", "with the right"])
async def test_every_message_of_staff_sent_by_a_pupil_in_a_room_changes_nothing(family: Family, guarded: bool) -> None:
    first, _ = await family.separated()
    host, pupil = family.host_of(family.rooms[0]), first[1]
    if not guarded:
        may = host.room.seats[pupil.person].person.may
        object.__setattr__(may, "moderate", True)
        object.__setattr__(may, "stop", True)
    before = await state_of(family)
    for kind in STAFF_MESSAGES:
        pupil.say(m.type_of(kind), **{f.name: EXAMPLES[f.type] for f in dataclasses.fields(kind)} | _about(kind, first[2].person))
    await pupil.until(lambda: len(pupil.all("refused")) >= len(STAFF_MESSAGES) or pupil.code is not None)
    assert (await state_of(family) == before) is guarded
    if guarded:
        assert {refused["code"] for refused in pupil.all("refused")} == {"not-allowed"}


# Nobody chooses a room


@pytest.mark.parametrize("guarded", [False, True], ids=["without the ticket's lesson", "with the ticket's lesson"])
async def test_a_ticket_into_one_room_opens_no_other(family: Family, monkeypatch: pytest.MonkeyPatch, guarded: bool) -> None:
    await family.separated()
    if not guarded:
        redeem = Tickets.redeem

        def any_room(self: Tickets, token: str, *, lesson: str, person: str, session: str) -> Ticket:
            return redeem(self, token, lesson=family.rooms[0], person=person, session=session)

        monkeypatch.setattr(Tickets, "redeem", any_room)
        monkeypatch.setattr(Plan, "belongs", lambda self, person_id: None)
        family.host_of(family.rooms[1]).room.plan.people.update(family.host_of(family.id).room.plan.people)  # type: ignore[attr-defined]
    ali = await family.page(family.pupil_ids[0])
    ticket = (await family.school.client(ali.cookie).post(f"/lessons/{family.rooms[0]}/door", json={})).json()["ticket"]
    wrong = Page(family, ali.person, ali.cookie).connect(lesson_id=family.rooms[1])
    family.pages.append(wrong)
    wrong.say("hello", ticket=ticket)
    await wrong.until(lambda: wrong.code is not None or wrong.last("welcome") is not None)
    assert (wrong.code == 4401) is guarded


async def test_at_the_door_of_another_room_a_pupil_is_sent_to_their_own(family: Family) -> None:
    await family.separated()
    for door in (family.id, family.rooms[1]):
        answer = await family.at_the_door(family.pupil_ids[0], door)
        assert (answer.status_code, answer.json()["code"]) == (409, "moved")
        assert answer.json()["errors"]["lesson"] == family.rooms[0]
    stranger = await family.at_the_door(family.school.person("parent"), family.rooms[0])
    assert stranger.status_code == 404


@pytest.mark.parametrize("guarded", [False, True], ids=["without the plan's word", "with the plan's word"])
async def test_a_ticket_from_before_the_rooms_opened_keeps_nobody_in_the_main_room(
    family: Family, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Taken while everybody was together, used when the main room has only the teacher who came back for it."""
    ali = family.pupil_pages[0]
    ticket = (await family.school.client(ali.cookie).post(f"/lessons/{family.id}/door", json={})).json()["ticket"]
    await family.separated()
    if not guarded:
        monkeypatch.setattr(Plan, "belongs", lambda self, person_id: None)
    late = Page(family, ali.person, ali.cookie).connect()
    family.pages.append(late)
    late.say("hello", ticket=ticket)
    await late.until(lambda: late.code is not None or late.last("welcome") is not None)
    assert (late.code == 4411) is guarded


# Nobody is in two rooms, and nobody is alone in one


@pytest.mark.parametrize("guarded", [False, True], ids=["without one room at a time", "with one room at a time"])
async def test_one_adult_does_not_hold_two_rooms(family: Family, monkeypatch: pytest.MonkeyPatch, guarded: bool) -> None:
    """The assistant leaves; the teacher opens the second room in another window while the first goes on."""
    first, second = await family.separated()
    second[0].say("leave")
    await second[0].closed(1000)
    if not guarded:
        say = registry._say
        monkeypatch.setattr(registry, "_say", lambda host, event: None if isinstance(event, CameElsewhere) else say(host, event))
    await family.come(first[0], family.rooms[1])
    await family.open_in(family.rooms[1])
    held = [room for room in family.rooms if not family.host_of(room).room.is_open]
    assert (held == [family.rooms[0]]) is guarded
    assert second[1].state["room"] == "open"


@pytest.mark.parametrize("guarded", [False, True], ids=["without the gate", "with the gate"])
async def test_nothing_reaches_the_last_pupil_of_a_room_once_the_other_is_unheard(
    family: Family, guarded: bool, forbidden: list[Forbidden],
) -> None:
    _, second = await family.separated()
    second[0].say("microphone", on=True)
    await second[1].until(lambda: any(person["microphone"] for person in second[1].state["people"]))
    media, clock = family.media_of(family.rooms[1]), family.school.clock
    last = media.heard[second[2].person]
    if not guarded:
        media.gate = Gate(inf)
    delivered = []
    while clock.boottime() < last + 4.0:
        clock.advance(0.02)
        if second[1].person in media.delivers(second[0].person):
            delivered.append(clock.boottime() - last)
    assert delivered, "a gate that never opened proves nothing"
    assert (max(delivered) < 2.0) is guarded
    assert bool(forbidden) is not guarded, "the wire monitor sees it too"
    forbidden.clear()


@pytest.mark.parametrize("guarded", [False, True], ids=["without the shared memory", "with the shared memory"])
async def test_an_adult_s_own_device_is_no_second_child_in_another_room(family: Family, guarded: bool) -> None:
    """The teacher signs in as a pupil on their laptop, having used it as themselves in the main room only."""
    pupils = family.pupil_ids
    first, second = await family.separated()
    if not guarded:
        family.host_of(family.rooms[1]).room.doubted = set()
    second[2].say("leave")
    await second[2].closed(1000)
    answer = await family.at_the_door(pupils[3], family.rooms[1], device=f"device of {family.teacher_id}")
    dressed_up = Page(family, pupils[3], second[2].cookie)
    async with family.school.client(second[2].cookie) as client:
        again = await client.post(f"/lessons/{family.rooms[1]}/door", json={"device": f"device of {family.teacher_id}"})
    assert answer.status_code == again.status_code == 200
    dressed_up.connect(lesson_id=family.rooms[1])
    family.pages.append(dressed_up)
    dressed_up.say("hello", ticket=again.json()["ticket"])
    await dressed_up.until(lambda: dressed_up.last("welcome"))
    await family.pass_time(4)
    await family.host_of(family.rooms[1]).journal.drained()
    await family.pass_time(1)
    assert family.host_of(family.rooms[1]).room.is_open is not guarded
    assert first[0].code is None


@pytest.mark.parametrize("guarded", [False, True], ids=["without the shared memory", "with the shared memory"])
async def test_one_device_is_not_a_second_child_in_two_rooms_at_once(family: Family, guarded: bool) -> None:
    """A pupil's tablet in the first room opens another pupil's account in the second, whose own device has gone."""
    first, second = await family.separated()
    if not guarded:
        family.host_of(family.rooms[1]).kin.doubted = set()
    second[2].say("leave")
    await second[2].closed(1000)
    async with family.school.client(second[2].cookie) as client:
        answer = await client.post(f"/lessons/{family.rooms[1]}/door", json={"device": f"device of {first[1].person}"})
    twice = Page(family, second[2].person, second[2].cookie).connect(lesson_id=family.rooms[1])
    family.pages.append(twice)
    twice.say("hello", ticket=answer.json()["ticket"])
    await twice.until(lambda: twice.last("welcome"))
    await family.pass_time(4)
    await family.host_of(family.rooms[1]).journal.drained()
    await family.pass_time(1)
    assert family.host_of(family.rooms[1]).room.is_open is not guarded
