"""Masked calls, from the form to the record: each test is a sentence of the policy (policy: CM1 to CM6)."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import select

from lessons import reminders
from service.calls import commands
from service.calls.desk import Desk
from service.calls.number import Number
from service.calls.rules import CannotTell, Refused
from service.calls.tables import Call
from service.calls.way import By, End, Kind, NoWay
from service.foundation.errors import Conflict
from service.foundation.events import LEADERS
from service.people import queries
from service.people.tables import Guardianship, Person, PersonRole, School, Telephone
from tests.home_calls import DAD, MUM, OWN, Family, family, until
from tests.proofs import confirmed_post, with_session
from tests.school import Running

OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n"


@pytest.fixture
async def home(school: Running) -> Family:
    return await family(school)


class Page:
    """The caller's page, as the desk sees it."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []

    def send(self, message: dict[str, str]) -> None:
        self.got.append(message)

    @property
    def state(self) -> str:
        return [message["state"] for message in self.got if message["type"] == "state"][-1]

    @property
    def words(self) -> str:
        return [message["words"] for message in self.got if message["type"] == "state"][-1]


async def placed(home: Family, role: str = "teacher", **more: str) -> tuple[str, Page]:
    """A call that rings, from a page."""
    call_id, page, actor = await home.asked(role, **more), Page(), await with_session(home.school, role)
    await desk(home).place(actor, call_id, offer=OFFER, line=page)
    await until(lambda: call_id in home.way.orders)
    return call_id, page


async def connected(home: Family, role: str = "teacher", **more: str) -> tuple[str, Page]:
    call_id, page = await placed(home, role, **more)
    await home.way.say(call_id, Kind.RINGING)
    await home.way.say(call_id, Kind.ANSWERED, answer="v=0 answer")
    await until(lambda: page.state == "connected")
    return call_id, page


def desk(home: Family) -> Desk:
    found: Desk = home.school.app.state.desk
    return found


async def over(home: Family, call_id: str) -> Call:
    await until(lambda: desk(home).live(call_id) is None)
    await until(lambda: _is_over(home, call_id))
    return await home.call(call_id)


async def _is_over(home: Family, call_id: str) -> bool:
    return (await home.call(call_id)).ended_at is not None


# -- from the form to the record -----------------------------------------------------------------------------------------------


async def test_a_teacher_calls_home_and_says_what_came_of_it(home: Family) -> None:
    client = await home.as_("teacher")
    form = await client.get(f"/calls/new?child={home.child}")
    assert all(words in form.text for words in (
        "Start the call", "We call them for you. You never see each other’s numbers. They see the school’s number.", "mother"))
    call_id, page = await connected(home)
    assert [message["type"] for message in page.got].count("answer") == 1
    order = home.way.orders[call_id]
    assert (order.callee, order.shown, order.withheld, order.telephone) == (
        Number("+447700900123"), Number("+441632960100"), False, None)
    assert order.offer == OFFER
    assert call_id in home.way.heard
    assert "End the call" in (await client.get(f"/calls/{call_id}")).text
    home.school.clock.advance(134)
    desk(home).hang_up(home.live(call_id))
    row = await over(home, call_id)
    assert (row.ended_why, page.state) == ("hung-up", "ended")
    assert f"/calls/{call_id}" in (await client.get("/calls")).text, "what came of it is still to be said"
    missing = await client.post(f"/calls/{call_id}/record", data={"outcome": "spoke"})
    assert "Say what was agreed" in missing.text
    told = await client.post(f"/calls/{call_id}/record", data={
        "outcome": "spoke", "agreed": "Back on Thursday", "next_step": "Ring again", "next_on": "3/12/2026"})
    assert told.status_code == 303
    shown = (await client.get(f"/calls/{call_id}")).text
    assert all(words in shown for words in ("02:14", "Back on Thursday", "Ring again", "Record a concern"))
    assert f"/calls/{call_id}" not in (await client.get("/calls")).text
    assert await home.audited() == ["CallAsked", "CallPlaced", "CallConnected", "CallEnded", "CallRecorded"]


async def test_a_call_is_written_down_before_anybody_is_rung(home: Family) -> None:
    seen: list[Any] = []

    def look(order: Any) -> None:
        with home.school.beside() as other:  # nobody sees what is not committed
            seen.extend(other.execute(f"SELECT placed_at, ended_at FROM call WHERE id = '{order.call_id}'").fetchall())

    home.way.before_place = look
    await placed(home)
    assert len(seen) == 1
    assert seen[0][0] is not None
    assert seen[0][1] is None


async def test_nobody_is_rung_when_the_call_cannot_be_written_down(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, actor = await home.asked(), await with_session(home.school, "teacher")

    async def breaks(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(commands, "place", breaks)
    with pytest.raises(CannotTell, match="could not check the rules"):
        await desk(home).place(actor, call_id, offer=OFFER)
    assert home.way.steps == []


async def test_when_the_rule_cannot_be_asked_in_two_seconds_nobody_is_called(home: Family,
                                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, actor = await home.asked(), await with_session(home.school, "teacher")

    async def hangs(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(commands, "decided", hangs)
    with pytest.raises(CannotTell):
        await desk(home).place(actor, call_id, offer=OFFER)
    assert home.way.steps == []


async def test_without_anything_that_carries_calls_the_office_is_named(home: Family) -> None:
    home.school.app.state.way = None
    answer = await home.ask()
    assert answer.status_code == 422
    assert "Calls are not connected at this school yet. Ask the office to ring." in answer.text
    with pytest.raises(NoWay):
        await desk(home).place(await with_session(home.school, "teacher"), "0" * 32)


async def test_what_the_trunk_does_not_take_rang_nobody_and_is_on_record(home: Family) -> None:
    home.way.fails = True
    call_id, page, actor = await home.asked(), Page(), await with_session(home.school, "teacher")
    await desk(home).place(actor, call_id, offer=OFFER, line=page)
    row = await over(home, call_id)
    assert (row.ended_why, page.state) == ("not-placed", "ended")
    assert "nobody was called" in page.words


@pytest.mark.parametrize(("end", "why"), [(End.BUSY, "busy"), (End.NO_ANSWER, "no-answer"), (End.REFUSED, "refused"),
                                          (End.FAULT, "fault"), (None, "fault")])
async def test_a_call_that_nobody_takes_ends_by_its_reason(home: Family, end: End | None, why: str) -> None:
    call_id, page = await placed(home)
    await home.way.say(call_id, Kind.ENDED, end=end)
    assert (await over(home, call_id)).ended_why == why
    assert page.state == "ended"


async def test_news_twice_late_and_out_of_order_connects_nobody_twice(home: Family) -> None:
    call_id, page = await connected(home)
    for kind in (Kind.RINGING, Kind.ANSWERED, Kind.EARLY, Kind.ANSWERED):
        await home.way.say(call_id, kind, answer="another")
    await home.way.say(call_id, Kind.ENDED, end=End.HUNG_UP)
    await over(home, call_id)
    assert home.way.steps.count(("connect", call_id)) == 1
    assert [message["sdp"] for message in page.got if message["type"] == "answer"] == ["v=0 answer"]


# -- whom ----------------------------------------------------------------------------------------------------------------------


async def test_whoever_must_not_be_called_is_shown_without_a_reason_and_cannot_be_chosen(home: Family) -> None:
    await home.link(home.dad, court_order="yes")
    page = (await (await home.as_("teacher")).get(f"/calls/new?child={home.child}")).text
    assert "Do not call. Ask the DSL." in page
    assert "court" not in page.lower()
    for role in ("teacher", "office", "headteacher", "dsl"):
        refused = await home.ask(role, adult=home.dad)
        assert refused.status_code == 422, role
        assert "Do not call. Ask the DSL." in refused.text
    assert (await home.audited()).count("CallRefused") == 4


async def test_a_parent_whose_telephone_a_barred_adult_answers_is_not_called(home: Family) -> None:
    """A landline of two: calling her would reach him (policy: CM1)."""
    from service.calls import numbers

    async with home.school.database.writing() as session:
        row = (await session.exec(select(Guardianship).where(Guardianship.guardian_id == home.dad))).first()
        await numbers.keep(session, home.school.app.state.pepper, row.school_id, home.dad, numbers.FAMILY, "+44 7700 900123",
                           home.school.clock.now())
    assert (await home.ask()).status_code == 303, "negative control: while nothing stands against him"
    await home.link(home.dad, do_not_contact=True)
    assert (await home.ask()).status_code == 422


async def test_staff_who_are_of_the_family_neither_call_it_nor_read_of_its_calls_nor_its_number(home: Family) -> None:
    """A barred father who works in the office, or a mother who teaches: a colleague does it (policy: CM1, CM2)."""
    call_id, _page = await placed(home)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    await (await home.as_("teacher")).post(f"/calls/{call_id}/record", data={"outcome": "spoke", "agreed": "She moved house"})
    office, reads = await home.as_("office"), {
        "/calls/register": call_id, "/calls/register.csv": "She moved house", f"/calls/{call_id}": "She moved house"}
    for path, mark in reads.items():
        assert mark in (await office.get(path)).text, f"negative control: a colleague reads {path}"
    assert (await office.get(f"/calls/new?child={home.child}")).status_code == 200
    assert (await office.get(f"/people/{home.mum}/contact")).status_code == 200

    await home.becomes_family("office")
    assert (await home.ask("office")).status_code == 403
    assert "You are of this child’s family. A colleague has to do this." in (
        await office.get(f"/calls/new?child={home.child}")).text
    for path, mark in reads.items():
        assert mark not in (await office.get(path)).text, path
    contact = f"/people/{home.mum}/contact"
    assert (await office.get(contact)).status_code == 403
    assert (await office.post(contact, data={"reason": "The family asked us"})).status_code == 403
    assert (await home.audited()).count("CallRefused") == 1
    assert "ContactShown" not in await home.audited()
    told = await office.post("/calls/emergency", data={
        "child": home.child, "day": "24/11/2026", "at": "09:50", "words": "I rang 999 for her from my own phone"})
    assert told.status_code == 303, "what was done in an emergency is still taken"


async def test_nor_about_the_half_sister_of_their_child(home: Family) -> None:
    """He is no adult of this child; its mother is an adult of his."""
    theirs = await home.becomes_family("office", child=await home.another_child())
    async with home.school.database.writing() as session:
        school_id = (await session.get_one(Person, home.mum)).school_id
        session.add(Guardianship(school_id=school_id, guardian_id=home.mum, child_id=theirs, relationship="mother"))
    assert "Do not call. Ask the DSL." in (await (await home.as_("office")).get(f"/calls/new?child={home.child}")).text
    refused = await home.ask("office")
    assert (refused.status_code, "A colleague has to do this" in refused.text) == (422, True)
    assert (await (await home.as_("office")).get(f"/people/{home.mum}/contact")).status_code == 403
    assert (await home.ask("office", adult=home.dad)).status_code == 303, "negative control: the other adult is none of his"


async def test_whoever_turns_out_to_be_of_the_family_is_in_no_call_with_it_any_more(home: Family) -> None:
    call_id, page = await connected(home)
    await home.becomes_family("teacher")
    await home.way.hung_up.wait()
    assert (await over(home, call_id)).ended_why == "rule"
    assert page.words == "You are of this child’s family. A colleague has to do this."


@pytest.mark.parametrize("whom", ["child", "stranger", "self"])
async def test_only_an_adult_of_this_child_is_called_and_a_child_never(home: Family, whom: str) -> None:
    stranger = next(one["id"] for one in home.school.made["people"] if one["role"] == "parent" and one["id"] not in (
        home.mum, home.dad))
    adult = {"child": home.child, "stranger": stranger, "self": home.school.person("teacher")}[whom]
    assert (await home.ask(adult=adult)).status_code == 422
    async with home.school.database.reading() as session:
        assert (await session.exec(select(Call))).all() == []


async def test_the_database_itself_refuses_a_call_to_a_child(home: Family) -> None:
    call_id = await home.asked()
    row = await home.call(call_id)
    with pytest.raises(DatabaseError):
        async with home.school.database.writing() as session:
            session.add(Call(school_id=row.school_id, child_id=home.child, adult_id=home.child, caller_id=row.caller_id,
                             purpose="welfare", asked_at=row.asked_at))
    with pytest.raises(DatabaseError, match="a call is what it was"):
        async with home.school.database.writing() as session:
            await session.exec(text("UPDATE call SET adult_id = :other").bindparams(other=home.dad))
    with pytest.raises(DatabaseError, match="append-only"):
        async with home.school.database.writing() as session:
            await session.exec(text("DELETE FROM call"))


async def test_a_number_that_was_moved_to_another_row_opens_for_nobody(home: Family) -> None:
    """Whoever writes into the database makes no call to somebody else."""
    async with home.school.database.writing() as session:
        mum = (await session.exec(select(Telephone).where(Telephone.owner_id == home.mum))).one()
        dad = (await session.exec(select(Telephone).where(Telephone.owner_id == home.dad))).one()
        mum.cipher, dad.cipher = dad.cipher, mum.cipher
    assert (await home.ask()).status_code == 422


async def test_a_teacher_calls_about_the_children_they_teach_and_about_no_others(home: Family) -> None:
    stranger = await home.school.signed_in("support")
    for role in ("pupil", "parent", "governor", "technician", "chair", "dpo"):
        assert (await (await home.as_(role)).get(f"/calls/new?child={home.child}")).status_code == 404, role
        assert (await home.ask(role)).status_code == 404, role
    from tests.home_calls import name_of

    away = next(person["id"] for person in home.school.made["people"] if person["role"] == "pupil"
                and person["id"] not in {p for lesson in home.school.made["lessons"]
                                         if home.school.person("support") in lesson["adult_ids"] for p in lesson["pupil_ids"]})
    assert (await name_of(home.school, away)).kind == "child"
    assert (await stranger.get(f"/calls/new?child={away}")).status_code == 404


# -- asked again -----------------------------------------------------------------------------------------------------------------


async def test_a_flag_set_while_it_rings_keeps_the_two_apart(home: Family) -> None:
    call_id, page = await placed(home)
    await home.link(home.mum, do_not_contact=True)
    await home.way.say(call_id, Kind.ANSWERED)
    row = await over(home, call_id)
    assert (row.ended_why, row.connected_at) == ("rule", None)
    assert page.words == "Do not call. Ask the DSL."
    assert home.way.heard == set()
    assert ("connect", call_id) not in home.way.steps


async def test_every_second_of_a_call_the_rule_is_asked_again(home: Family) -> None:
    """No event says so: the look itself finds it."""
    call_id, page = await connected(home)
    await home.link(home.mum, court_order="unknown")
    await home.way.hung_up.wait()
    assert (await over(home, call_id)).ended_why == "rule"
    assert page.words == "Do not call. Ask the DSL."


async def test_a_call_ends_when_the_rule_cannot_be_asked_any_more(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, page = await connected(home)

    async def breaks(*_: object, **__: object) -> None:
        raise OSError("no database")

    monkeypatch.setattr(commands, "decided", breaks)
    await home.way.hung_up.wait()
    assert (await over(home, call_id)).ended_why == "not-checked"
    assert "could not check the rules" in page.words


async def test_whoever_signs_out_is_in_no_call_any_more(home: Family) -> None:
    call_id, _page = await connected(home)
    teacher = home.school.person("teacher")
    async with home.school.database.writing() as session:
        from service.people import sessions

        head = await queries.actor(session, home.school.person("headteacher"))
        assert head is not None
        await sessions.end_all(session, head, person_id=teacher, why="left", now=home.school.clock.now())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert home.way.hung_up.is_set(), "before the end of the sign-in is even written"
    row = await over(home, call_id)
    assert row.ended_why == "rule"


async def test_a_leader_sees_every_call_that_is_on_and_ends_one(home: Family) -> None:
    call_id, page = await connected(home)
    for role in ("senior_leader", "headteacher", "dsl"):
        assert "End this call" in (await (await home.as_(role)).get("/calls")).text
    assert "End this call" not in (await (await home.as_("office")).get("/calls")).text
    assert (await (await home.as_("office")).post(f"/calls/{call_id}/end")).status_code == 404
    assert (await (await home.as_("headteacher")).post(f"/calls/{call_id}/end")).status_code == 303
    row = await over(home, call_id)
    assert (row.ended_why, row.ended_by) == ("leader", home.school.person("headteacher"))
    assert page.words == "A leader ended the call"


@pytest.mark.postgresql
async def test_a_person_is_in_one_call_at_a_time_on_either_side(home: Family) -> None:
    first = await home.asked()
    second = await home.asked(adult=home.dad)
    third = await home.asked("office")
    await desk(home).place(await with_session(home.school, "teacher"), first, offer=OFFER)
    with pytest.raises(Refused, match="You are in a call already"):
        await desk(home).place(await with_session(home.school, "teacher"), second, offer=OFFER)
    with pytest.raises(Refused, match="Somebody at school is calling them now"):
        await desk(home).place(await with_session(home.school, "office"), third, offer=OFFER)
    await until(lambda: first in home.way.orders)
    assert [call for step, call in home.way.steps if step == "place"] == [first]


@pytest.mark.postgresql
async def test_two_calls_in_the_same_moment_are_one(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the rule blind to it, the database is not."""
    from service.calls import rules

    first, second = await home.asked(), await home.asked(adult=home.dad)
    monkeypatch.setattr(commands, "decided", _allowed)
    actor = await with_session(home.school, "teacher")
    await desk(home).place(actor, first, offer=OFFER)
    with pytest.raises(Conflict):
        await desk(home).place(actor, second, offer=OFFER)
    assert rules.Allowed() == await _allowed()


async def _allowed(*_: object, **__: object) -> Any:
    from service.calls import rules

    return rules.Allowed()


async def test_a_call_that_was_asked_for_long_ago_or_made_already_is_not_made(home: Family) -> None:
    call_id = await home.asked()
    home.school.clock.advance(121)
    with pytest.raises(Conflict, match="too long ago"):
        await desk(home).place(await with_session(home.school, "teacher"), call_id, offer=OFFER)
    assert home.way.steps == []


async def test_the_call_of_a_colleague_is_nobody_elses_to_make(home: Family) -> None:
    from service.foundation.errors import NotFound

    call_id = await home.asked()
    with pytest.raises(NotFound):
        await desk(home).place(await with_session(home.school, "headteacher"), call_id, offer=OFFER)


async def test_a_family_is_not_called_again_and_again(home: Family) -> None:
    for _ in range(3):
        call_id, _page = await placed(home)
        desk(home).hang_up(home.live(call_id))
        await over(home, call_id)
        home.way.orders.clear()
    refused = await home.ask()
    assert "This family was called a short time ago" in refused.text
    assert (await home.ask("dsl")).status_code == 303
    home.school.clock.advance(3601)
    assert (await home.ask()).status_code == 303


async def test_calls_have_hours_and_the_dsl_has_none(home: Family) -> None:
    from datetime import timedelta

    home.school.clock.advance(timedelta(hours=8, minutes=30).total_seconds())
    home.clients.clear()
    refused = await home.ask()
    assert "Calls are allowed 8am to 6pm." in refused.text
    assert (await home.ask("dsl")).status_code == 303


# -- ends and crashes ------------------------------------------------------------------------------------------------------


async def test_a_call_that_a_crash_left_open_is_closed_as_not_known(home: Family) -> None:
    call_id, page = await placed(home)
    live = home.live(call_id)
    assert live.task is not None
    desk(home)._calls.clear()  # the process is gone, and knows nothing any more
    await Desk(home.school.database, home.school.clock, home.school.app.state.pepper, way=lambda: None,
               has_lessons_with=home.school.app.state.has_lessons_with, seen=lambda _: None).begin()
    row = await home.call(call_id)
    assert (row.ended_why, row.connected_at) == ("not-known", None)
    assert (await home.audited())[-1] == "CallEnded"
    assert f"/calls/{call_id}" in (await (await home.as_("teacher")).get("/calls")).text
    assert page.got
    await home.way.say(call_id, Kind.ENDED)


async def test_a_way_that_never_says_so_does_not_keep_a_call_open(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.calls.desk.GONE", 0.05)
    call_id, page = await connected(home)
    home.way.is_deaf = True
    desk(home).hang_up(home.live(call_id))
    assert (await over(home, call_id)).ended_why == "hung-up"
    assert page.state == "ended"


async def test_the_schools_message_is_left_and_the_caller_is_not_heard_after_it(home: Family) -> None:
    call_id, page = await connected(home)
    await desk(home).press(home.live(call_id), "1")
    await desk(home).hold(home.live(call_id), True)
    await desk(home).leave_message(home.live(call_id))
    row = await over(home, call_id)
    assert (row.ended_why, row.message_left) == ("message", True)
    assert [step for step, _ in home.way.steps[-3:]] == ["press 1", "hold", "message"]
    assert "Leaving the school’s message" in [message.get("words") for message in page.got]


async def test_the_end_of_the_service_ends_every_call_and_says_so(home: Family) -> None:
    call_id, _page = await connected(home)
    await desk(home).close()
    assert home.way.closed
    assert home.way.heard == set()
    assert (await home.call(call_id)).ended_why == "not-known"


async def test_what_is_being_written_down_when_the_service_ends_rings_nobody_and_holds_nothing(
        home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, actor, place = await home.asked(), await with_session(home.school, "teacher"), commands.place
    closing: list[asyncio.Task[None]] = []

    async def late(*args: Any, **more: Any) -> None:
        await place(*args, **more)
        closing.append(asyncio.create_task(desk(home).close()))
        await asyncio.sleep(0)

    monkeypatch.setattr(commands, "place", late)
    with pytest.raises(NoWay, match="restarting"):
        await desk(home).place(actor, call_id, offer=OFFER)
    await asyncio.wait_for(closing[0], 3)
    assert home.way.orders == {}
    await until(lambda: _is_over(home, call_id))


# -- a personal telephone ------------------------------------------------------------------------------------------------------


async def granted(home: Family) -> str:
    """Mr Hall may use his own telephone. Returns the request's address."""
    client = await home.as_("teacher")
    assert (await client.post("/calls/phone", data={"number": OWN})).status_code == 303
    answer = await client.post("/calls/phone/ask", data={"why": "The laptop has no microphone", "until": "27/11/2026"})
    assert answer.status_code == 303, answer.text
    page = (await client.get("/calls/phone")).text
    import re

    found = re.search(r"/calls/phones/[0-9a-f]{32}", page)
    assert found
    return found[0]


async def test_a_request_that_waits_is_where_the_mail_leads_and_its_refusal_says_why(home: Family) -> None:
    """A leader is told that a decision waits, again each day, and finds it; whoever asked is told why not (policy: CM3)."""
    page = await granted(home)
    head = await home.as_("headteacher")
    assert f'href="{page}"' in (await head.get("/lessons/waiting")).text
    now = home.school.clock.now()
    async with home.school.database.reading() as session:
        school_id = (await session.exec(select(School.id))).one()
        assert await reminders.phones(session, school_id, now) == [(LEADERS, {home.school.person("teacher")})]
        assert home.school.person("senior_leader") in await reminders.waiting_for(session, school_id, now)
    assert (await head.post(page, data={"answer": "refuse", "reason": "Room 4 has one"})).status_code == 303
    assert "Room 4 has one" in (await (await home.as_("teacher")).get(page)).text
    assert f'href="{page}"' not in (await head.get("/lessons/waiting")).text
    async with home.school.database.reading() as session:
        assert await reminders.phones(session, school_id, now) == []


async def approved(home: Family, page: str, role: str = "headteacher") -> None:
    done = await confirmed_post(home.school, await home.as_(role), home.school.person(role), page,
                                {"answer": "approve", "reason": "Until the new laptop comes"})
    assert done.status_code == 303, done.text


async def test_a_personal_phone_needs_a_leaders_yes_and_its_end_drops_the_call(home: Family) -> None:
    page = await granted(home)
    refused = await home.ask(by="telephone")
    assert "You need approval to use a personal phone. Ask for approval." in refused.text
    await approved(home, page)
    call_id = await home.asked(by="telephone")
    await until(lambda: call_id in home.way.orders)
    order = home.way.orders[call_id]
    assert order.telephone == Number("+447700900777")
    assert order.offer == ""
    assert "Ringing your phone" in (await (await home.as_("teacher")).get(f"/calls/{call_id}")).text
    await home.way.say(call_id, Kind.ANSWERED)
    await until(lambda: call_id in home.way.heard)
    ended = await (await home.as_("senior_leader")).post(f"{page}/end", data={"because": "The laptop is here"})
    assert ended.status_code == 303
    row = await over(home, call_id)
    assert (row.ended_why, bool(row.grant_id)) == ("rule", True)
    assert home.way.heard == set()
    assert "You need approval" in (await home.ask(by="telephone")).text


async def test_a_grant_that_ends_while_it_rings_connects_nobody(home: Family) -> None:
    page = await granted(home)
    await approved(home, page)
    call_id = await home.asked(by="telephone")
    await until(lambda: call_id in home.way.orders)
    await (await home.as_("senior_leader")).post(f"{page}/end", data={"because": "It is over"})
    await home.way.say(call_id, Kind.ANSWERED)
    await over(home, call_id)
    assert ("connect", call_id) not in home.way.steps


@pytest.mark.parametrize("number", ["07700 900778", ""])
async def test_a_grant_is_for_one_telephone_and_another_number_ends_what_rests_on_it(home: Family, number: str) -> None:
    page, teacher = await granted(home), await home.as_("teacher")
    await approved(home, page)
    assert (await teacher.post("/calls/phone", data={"number": OWN})).status_code == 303
    call_id = await home.asked(by="telephone")
    await until(lambda: call_id in home.way.orders)
    assert (await teacher.post("/calls/phone", data={"number": number})).status_code == 303
    assert (await over(home, call_id)).ended_why == "rule"
    assert "You need approval" in (await home.ask(by="telephone")).text
    assert "Was changed after this was asked. Ask again" in (await teacher.get(page)).text
    again = await teacher.post("/calls/phone/ask", data={"why": "I have another phone now", "until": "27/11/2026"})
    assert again.status_code == (303 if number else 422)
    if not number:
        assert (await teacher.post("/calls/phone", data={"number": OWN})).status_code == 303
        assert (await home.ask(by="telephone")).status_code == 303, "the telephone that a leader said yes to"


async def test_a_leader_approves_the_telephone_that_was_asked_for_and_no_other(home: Family) -> None:
    page, teacher = await granted(home), await home.as_("teacher")
    assert (await teacher.post("/calls/phone", data={"number": "07700 900778"})).status_code == 303
    answer = await (await home.as_("headteacher")).post(page, data={"answer": "approve", "reason": "Until the laptop comes"})
    assert answer.status_code == 422
    assert "You need approval" in (await home.ask(by="telephone")).text


@pytest.mark.parametrize("is_barred", [True, False])
async def test_no_call_is_put_through_to_another_adult_of_the_child_as_if_it_were_ones_own_phone(
        home: Family, monkeypatch: pytest.MonkeyPatch, is_barred: bool) -> None:
    """A friend of his enters his number: his phone would ring, and he would hear her (policy: CM1, CM3)."""
    monkeypatch.setitem(globals(), "OWN", DAD)
    page = await granted(home)  # it is taken like any other: a refusal here would tell whose number it is
    await approved(home, page)
    await home.link(home.dad, do_not_contact=is_barred)
    refused = await home.ask(by="telephone")
    assert (refused.status_code, "Enter the number of your own phone first." in refused.text) == (422, True)
    assert home.way.orders == {}


async def test_nor_stays_so_when_it_becomes_the_number_of_one(home: Family) -> None:
    from service.calls import numbers

    page = await granted(home)
    await approved(home, page)
    call_id = await home.asked(by="telephone")
    await until(lambda: call_id in home.way.orders)
    await home.way.say(call_id, Kind.ANSWERED)
    await until(lambda: call_id in home.way.heard)
    async with home.school.database.writing() as session:
        school_id = (await session.get_one(Person, home.dad)).school_id
        await numbers.keep(session, home.school.app.state.pepper, school_id, home.dad, numbers.FAMILY, OWN,
                           home.school.clock.now())
    await home.way.hung_up.wait()
    assert (await over(home, call_id)).ended_why == "rule"


async def test_only_what_the_schools_way_can_carry_is_offered(home: Family) -> None:
    page, teacher = await granted(home), await home.as_("teacher")
    await approved(home, page)
    form = f"/calls/new?child={home.child}"
    shown = (await teacher.get(form)).text
    assert all(words in shown for words in ("By this computer", "By your own phone. We ring it first"))
    home.way.by = frozenset({By.COMPUTER})
    assert "By your own phone" not in (await teacher.get(form)).text
    assert "cannot be made so" in (await home.ask(by="telephone")).text
    home.way.by = frozenset({By.TELEPHONE})
    shown = (await teacher.get(form)).text
    assert "By this computer" not in shown
    assert "You speak by your own phone. We ring it first." in shown
    assert "cannot be made so" in (await home.ask(by="computer")).text
    call_id = await home.asked()
    assert (await home.call(call_id)).by_telephone, "the one way that there is"
    without = (await (await home.as_("support")).get("/calls/phone")).text
    assert "a provider that needs your own phone" in without
    shown = (await (await home.as_("headteacher")).get(form)).text
    assert "a leader has to approve that first" in shown
    assert "Start the call" not in shown


async def test_nobody_decides_about_their_own_phone_and_a_colleague_who_is_no_leader_sees_nothing(home: Family) -> None:
    page = await granted(home)
    await home.school.give_role(home.school.person("teacher"), "headteacher")
    answer = await (await home.as_("teacher")).post(page, data={"answer": "approve", "reason": "I need it"})
    assert "You cannot decide this. You asked for it." in answer.text
    for role in ("dsl", "office", "support"):
        assert (await (await home.as_(role)).get(page)).status_code == 404, role
        assert (await (await home.as_(role)).post(page, data={"answer": "approve", "reason": "x"})).status_code == 404, role


async def test_an_emergency_shows_999_and_what_was_done_is_told_to_leaders(home: Family) -> None:
    client = await home.as_("teacher")
    page = (await client.get(f"/calls/emergency?child={home.child}")).text
    assert "ring 999" in page
    told = await client.post("/calls/emergency", data={
        "child": home.child, "day": "24/11/2026", "at": "09:50", "words": "She had stopped answering, and the line was down"})
    assert told.status_code == 303, told.text
    assert "She had stopped answering" in (await (await home.as_("headteacher")).get("/calls")).text
    assert "She had stopped answering" not in (await (await home.as_("office")).get("/calls")).text
    later = await client.post("/calls/emergency", data={
        "child": home.child, "day": "24/11/2099", "at": "09:50", "words": "Something that is still to come"})
    assert "not in the future" in later.text


# -- numbers ---------------------------------------------------------------------------------------------------------------------


async def test_the_office_reads_one_number_for_a_reason_after_it_is_written_down_and_nobody_else_does(home: Family) -> None:
    path, office = f"/people/{home.mum}/contact", await home.as_("office")
    assert "07700 900123" not in (await office.get(path)).text
    assert "Say why you need the number" in (await office.post(path, data={"reason": ""})).text
    assert "ContactShown" not in await home.audited()
    shown = await confirmed_post(home.school, office, home.school.person("office"), path, {"reason": "The family asked us"})
    assert "07700 900123" in shown.text
    assert "ContactShown" in await home.audited()
    for role in ("teacher", "headteacher", "senior_leader", "dsl", "technician", "governor", "parent", "pupil", "support"):
        client = await home.as_(role)
        assert (await client.get(path)).status_code == 404, role
        assert (await client.post(path, data={"reason": "The family asked us"})).status_code == 404, role


async def test_a_number_that_could_not_be_audited_is_not_shown(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object, **__: object) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(commands, "show_contact", breaks)
    shown = await confirmed_post(home.school, await home.as_("office"), home.school.person("office"),
                                 f"/people/{home.mum}/contact", {"reason": "The family asked us"})
    assert shown.status_code == 500
    assert "900123" not in shown.text


async def test_withholding_the_schools_number_is_the_offices_and_says_what_it_costs(home: Family) -> None:
    office = await home.as_("office")
    assert "Some phones refuse calls without a number" in (await office.get("/calls/settings")).text
    assert (await office.post("/calls/settings", data={"number": "", "shows": "withheld"})).status_code == 303
    call_id, _page = await placed(home)
    assert home.way.orders[call_id].withheld
    wrong = await office.post("/calls/settings", data={"number": "0909 8790000", "shows": "shown"})
    assert wrong.status_code == 422
    assert "8790000" not in wrong.text


async def test_the_register_names_no_number_and_no_cell_of_it_is_a_formula(home: Family) -> None:
    call_id, _page = await placed(home)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    await (await home.as_("teacher")).post(f"/calls/{call_id}/record", data={
        "outcome": "spoke", "agreed": "=HYPERLINK(\"http://evil\")", "next_step": "", "next_on": ""})
    office = await home.as_("office")
    assert call_id in (await office.get("/calls/register")).text
    table = (await office.get("/calls/register.csv")).text
    assert "'=HYPERLINK" in table
    assert "900123" not in table
    for role in ("teacher", "support", "governor", "parent", "technician"):
        assert (await (await home.as_(role)).get("/calls/register")).status_code == 404, role
        assert (await (await home.as_(role)).get("/calls/register.csv")).status_code == 404, role


@pytest.mark.parametrize("field", ["agreed", "next_step"])
async def test_a_number_that_was_said_is_not_written_into_the_record(home: Family, field: str) -> None:
    call_id, _page = await placed(home)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    answer = await (await home.as_("teacher")).post(f"/calls/{call_id}/record", data={
        "outcome": "spoke", "agreed": "Ring her", "next_step": "", "next_on": "", field: "Ring 07700-900-555"})
    assert "Leave telephone numbers out" in answer.text
    assert json.dumps((await home.call(call_id)).outcome) == '""'


async def test_whoever_leaves_leaves_no_number_behind(home: Family) -> None:
    async with home.school.database.writing() as session:
        from service.people import commands as people

        office = await queries.actor(session, home.school.person("office"))
        assert office is not None
        await people.leave(session, office, home.mum, home.school.clock.now())
    async with home.school.database.reading() as session:
        assert (await session.exec(select(Telephone).where(Telephone.owner_id == home.mum))).all() == []
    assert MUM


# -- what families and leaders are told ------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["incident", "consent", "absence", "other"])
async def test_why_a_family_was_called_is_kept_so_that_it_can_be_shown_that_they_were_told(home: Family, purpose: str) -> None:
    """An incident is told to parents, and that they were is on record (policy: IN2)."""
    call_id, _page = await placed(home, purpose=purpose)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    from service.calls.rules import PURPOSE_WORDS, Purpose

    register = (await (await home.as_("dsl")).get("/calls/register")).text
    assert PURPOSE_WORDS[Purpose(purpose)] in register


async def test_a_parent_sees_who_called_and_not_what_the_safeguarding_team_said_to_the_other(home: Family) -> None:
    for role in ("teacher", "dsl"):
        call_id, _page = await placed(home, role)
        desk(home).hang_up(home.live(call_id))
        await over(home, call_id)
        home.way.orders.clear()
    pages = {}
    for adult in (home.mum, home.dad):
        pages[adult] = (await home.school.client(await home.school.cookie(adult)).get("/family")).text
    assert "Mr Hall" in pages[home.mum].partition("Calls from school")[2]
    assert "Okafor" in pages[home.mum].partition("Calls from school")[2]
    assert "Mr Hall" in pages[home.dad].partition("Calls from school")[2]
    assert "Okafor" not in pages[home.dad]
    await home.link(home.dad, do_not_contact=True)
    barred = (await home.school.client(await home.school.cookie(home.dad)).get("/family")).text
    assert "Mr Hall" not in barred


async def test_what_the_team_said_stays_with_it_when_somebody_leaves_the_team_or_the_school(home: Family) -> None:
    await home.school.give_role(home.school.person("support"), "deputy_dsl")
    for role in ("support", "dsl"):
        call_id, _page = await placed(home, role)
        desk(home).hang_up(home.live(call_id))
        await over(home, call_id)
        home.way.orders.clear()
    async with home.school.database.writing() as session:
        role = await session.get_one(PersonRole, (home.school.person("support"), "deputy_dsl"))
        await session.delete(role)
        left = await session.get_one(Person, home.school.person("dsl"))
        left.left_on = home.school.clock.now().date()
    page = (await home.school.client(await home.school.cookie(home.dad)).get("/family")).text
    assert "Calls from school" not in page


async def test_what_was_said_as_dsl_stays_with_the_team_when_the_dsl_teaches_from_now_on(home: Family) -> None:
    """Nobody agreed to the first roles of a school; what decides is what somebody was when they called (policy: CM1)."""
    call_id, _page = await placed(home, "dsl")
    desk(home).hang_up(home.live(call_id))
    row = await over(home, call_id)
    home.way.orders.clear()
    async with home.school.database.writing() as session:
        await session.delete(await session.get_one(PersonRole, (home.school.person("dsl"), "dsl")))
        session.add(PersonRole(person_id=home.school.person("dsl"), role="teacher", school_id=row.school_id))
    dad = home.school.client(await home.school.cookie(home.dad))
    assert "Okafor" not in (await dad.get("/family")).text
    call_id, _page = await placed(home, "teacher")
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    await home.school.give_role(home.school.person("teacher"), "deputy_dsl")
    assert "Mr Hall" in (await dad.get("/family")).text.partition("Calls from school")[2], "what a teacher said stays told"


async def test_a_teacher_does_not_read_that_the_safeguarding_team_rang(home: Family) -> None:
    """It says that there is a concern, and the concern may be about the teacher (policy: CM1)."""
    call_id, _page = await connected(home, "dsl")
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    said = {"outcome": "spoke", "agreed": "Something", "next_step": "", "next_on": ""}
    assert (await (await home.as_("dsl")).post(f"/calls/{call_id}/record", data=said)).status_code == 303
    pages = (f"/attendance/{home.child}", f"/calls/new?child={home.child}")
    for role, reads in (("teacher", False), ("headteacher", True), ("dsl", True)):
        for path in pages:
            assert ("Okafor called" in (await (await home.as_(role)).get(path)).text) is reads, (role, path)
    form = (await (await home.as_("teacher")).get(pages[1])).text
    assert "Nobody at school has spoken to this family here yet." in form
    home.way.orders.clear()
    home.school.clock.advance(60)
    call_id, _page = await placed(home)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    for path in pages:
        shown = (await (await home.as_("teacher")).get(path)).text
        assert "Hall called" in shown, f"negative control: a teacher's call, {path}"


async def test_a_childs_page_lists_the_contacts_with_the_family(home: Family) -> None:
    call_id, _page = await placed(home)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    page = (await (await home.as_("teacher")).get(f"/attendance/{home.child}")).text
    assert "Contacts with the family" in page
    assert "Call home" in page


async def test_after_a_restore_nobody_is_called_until_what_was_withdrawn_is_entered_again(home: Family) -> None:
    from service.foundation.bus import publish
    from service.safeguarding.reopening.events import SystemRestored

    async with home.school.database.writing() as session:
        head = await queries.actor(session, home.school.person("headteacher"))
        assert head is not None
        at = home.school.clock.now().isoformat()
        await publish(session, SystemRestored("state", at, at, 0, 0), head)
    refused = await home.ask("dsl")
    assert "restored from a back-up" in refused.text
