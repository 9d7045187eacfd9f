"""Calls in which something goes wrong between the page, the desk and what carries them (policy: CM2, CM4)."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import select

from service.calls import commands, queries
from service.calls.line import _attach
from service.calls.queries import CallView
from service.calls.sip.sound import NoMessage
from service.calls.way import End, Kind
from service.foundation.audit import AuditBody
from service.foundation.errors import Conflict
from tests.features.test_calls import OFFER, Page, connected, desk, over, placed
from tests.home_calls import Family, family, until
from tests.proofs import with_session
from tests.school import Running


@pytest.fixture
async def home(school: Running) -> Family:
    return await family(school)


async def test_without_a_recorded_message_the_call_goes_on_and_nobody_says_that_one_was_left(
        home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, page = await connected(home)

    async def has_none(_: str) -> None:
        raise NoMessage

    monkeypatch.setattr(home.way, "leave_message", has_none)
    await desk(home).leave_message(home.live(call_id))
    assert (page.state, page.words) == ("connected", "Connected")
    assert page.got[-1] == {"type": "no-message",
                            "words": "The school has recorded no message. Hang up, and ask the office to ring."}
    desk(home).hang_up(home.live(call_id))
    assert not (await over(home, call_id)).message_left


async def test_a_line_that_fails_under_the_message_left_none(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, _page = await connected(home)

    async def plays(_: str) -> None:
        pass

    monkeypatch.setattr(home.way, "leave_message", plays)
    await desk(home).leave_message(home.live(call_id))
    await home.way.say(call_id, Kind.ENDED, end=End.FAULT)
    row = await over(home, call_id)
    assert (row.ended_why, row.message_left) == ("fault", False)


async def test_a_page_that_goes_while_its_call_is_being_written_down_leaves_nobody_engaged(
        home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit has happened, and whoever waited for it is gone."""
    call_id, actor = await home.asked(), await with_session(home.school, "teacher")
    true, committed = desk(home)._dial, asyncio.Event()

    async def dial(*given: Any) -> Any:
        found = await true(*given)
        committed.set()
        await asyncio.Event().wait()
        return found

    monkeypatch.setattr(desk(home), "_dial", dial)
    placing = asyncio.create_task(desk(home).place(actor, call_id, offer=OFFER))
    await committed.wait()
    placing.cancel()
    with suppress(asyncio.CancelledError):
        await placing
    assert (await over(home, call_id)).ended_why == "page-closed"
    assert home.way.steps == []


async def test_a_second_window_does_not_end_the_call_of_the_first(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, actor = await home.asked(), await with_session(home.school, "teacher")
    goes_on = asyncio.Event()
    true = commands.decided

    async def waits(*given: Any, **more: Any) -> Any:
        await goes_on.wait()
        return await true(*given, **more)

    monkeypatch.setattr(commands, "decided", waits)
    first = asyncio.create_task(desk(home).place(actor, call_id, offer=OFFER))
    await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await desk(home).place(actor, call_id, offer=OFFER)
    goes_on.set()
    await first
    await until(lambda: call_id in home.way.orders)
    assert (await home.call(call_id)).ended_at is None


async def test_a_trunk_that_keeps_talking_does_not_keep_the_rule_from_being_asked(home: Family) -> None:
    call_id, page = await placed(home)
    await home.link(home.mum, do_not_contact=True)
    for _ in range(20):
        await home.way.say(call_id, Kind.RINGING)
        await asyncio.sleep(0.1)
    assert home.way.hung_up.is_set()
    assert (await over(home, call_id)).ended_why == "rule"
    assert page.words == "Do not call. Ask the DSL."


async def test_a_page_that_comes_after_its_call_by_telephone_is_over_is_told_so(home: Family) -> None:
    call_id, _page = await placed(home)
    view = replace(await seen(home, call_id), by_telephone=True)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    page = Page()
    _attach(desk(home), view, page)
    assert page.state == "ended"


async def seen(home: Family, call_id: str) -> CallView:
    async with home.school.database.reading() as session:
        return await queries.call(session, await with_session(home.school, "teacher"), call_id)


async def test_a_gateway_that_is_down_does_not_use_up_the_familys_calls(home: Family) -> None:
    actor = await with_session(home.school, "teacher")
    for _ in range(6):
        home.way.fails = True
        call_id = await home.asked()
        await desk(home).place(actor, call_id, offer=OFFER)
        assert (await over(home, call_id)).ended_why == "not-placed"
    assert (await home.ask()).status_code == 303


async def test_what_was_typed_in_place_of_a_person_is_in_no_audit(home: Family) -> None:
    assert (await home.ask(adult="07700900123")).status_code == 422
    assert "CallRefused" in await home.audited()
    async with home.school.database.reading() as session:
        bodies = (await session.exec(select(AuditBody))).all()
    assert not any("07700900123" in repr(body) for body in bodies)


async def test_days_at_the_end_of_time_are_refused_in_words(home: Family) -> None:
    teacher = await home.as_("teacher")
    answer = await teacher.post("/calls/phone/ask", data={"why": "The laptop has no microphone", "until": "31/12/9999"})
    assert answer.status_code == 422
    assert "within 92 days" in answer.text
    told = await teacher.post("/calls/emergency", data={
        "child": home.child, "day": "1/7/2026", "at": "09:50", "words": "In summer, by the clock on the wall"})
    assert told.status_code == 303
    assert "9:50" in (await (await home.as_("headteacher")).get("/calls")).text
