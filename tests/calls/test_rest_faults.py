"""A provider that is slow, fails, says half, or does what it says it did not; and a service that dies. Whatever is not certain
has ended: nobody stays on a telephone, and nobody hears anybody."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.calls.rest import api
from service.calls.rest import way as rest
from service.calls.rest.api import NotCertain
from service.calls.rest.way import RestWay
from service.calls.way import End, Kind, NoWay
from tests.calls.bridged import CALLER, FAMILY, order, ours
from tests.calls.people import SCHOOL
from tests.calls.provider import Does, Phone, Provider, provider
from tests.calls.stage import Diary

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def beyond(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    monkeypatch.setattr(rest, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(rest, "CLEAR_SECONDS", 1.0)
    monkeypatch.setattr(rest, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(api, "SECONDS", 0.6)
    monkeypatch.setattr(api, "PAUSE", 0.05)
    async with provider() as made:
        yield made


async def answered(way: RestWay) -> tuple[str, Diary]:
    placed, diary = order(), Diary()
    await way.place(placed, diary.tell)
    await diary.until(Kind.ANSWERED)
    return placed.call_id, diary


async def connected(way: RestWay, beyond: Provider) -> tuple[str, Diary]:
    call_id, diary = await answered(way)
    await way.connect(call_id)
    await beyond.until(beyond.together)
    return call_id, diary


async def test_a_call_that_the_provider_declines_was_never_placed(beyond: Provider) -> None:
    async with ours(beyond) as way:
        beyond.fails["ring"] = [400]
        with pytest.raises(NoWay):
            await way.place(order(), Diary().tell)
        assert beyond.phones == {}
        await answered(way)  # and the next is


@pytest.mark.parametrize("fault", ["rung, and answered with a 503", "rung too late to be heard of", "not rung"])
async def test_nobody_knows_whether_it_rings_so_it_is_over_and_no_other_is_placed_until_it_is(
        beyond: Provider, fault: str) -> None:
    async with ours(beyond, caller=Does(answers=False)) as way:
        if fault.startswith("rung,"):
            beyond.lost.add("ring")
        elif fault.startswith("rung too"):
            beyond.slow["ring"] = 0.9
        else:
            beyond.fails["ring"] = [503]
        diary = Diary()
        await way.place(order(), diary.tell)
        assert (await diary.until(Kind.ENDED)).end is End.FAULT
        assert diary.kinds == [Kind.ENDED]
        beyond.lost.clear()
        beyond.slow.clear()
        with pytest.raises(NoWay):
            await way.place(order(), Diary().tell)
        assert await way.faults() != ()
        await until_clear(way)
        assert beyond.on == []


async def until_clear(way: RestWay) -> None:
    async with asyncio.timeout(8):
        while (clearing := way._clearing) is not None:
            await asyncio.wait([clearing])
    assert await way.faults() == ()


async def test_the_family_is_rung_and_nobody_knows_and_both_are_hung_up_on(beyond: Provider) -> None:
    async with ours(beyond, family=Does(answers=False)) as way:
        diary = Diary()
        await way.place(order(), diary.tell)
        beyond.lost.add("ring")
        assert (await diary.until(Kind.ENDED)).end is End.FAULT
        await until_clear(way)
        assert beyond.on == []
        assert len(beyond.phones) == 2


@pytest.mark.parametrize("fault", [{"fails": {"tell": [503]}}, {"fails": {"tell": [400]}}, {"slow": {"tell": 0.9}},
                                   {"lost": {"tell"}}], ids=["503", "400", "slow", "done and not said"])
async def test_two_who_are_not_certainly_together_or_on_hold_are_not_connected(beyond: Provider, fault: dict[str, Any]) -> None:
    for held in (False, True):
        async with ours(beyond) as way:
            call_id, diary = await (connected(way, beyond) if held else answered(way))
            for name, value in fault.items():
                setattr(beyond, name, {action: list(each) for action, each in value.items()} if name == "fails" else value)
            await (way.hold(call_id, True) if held else way.connect(call_id))
            assert (await diary.until(Kind.ENDED)).end is End.FAULT
            beyond.slow, beyond.lost = {}, set()
            await beyond.until(lambda: not beyond.on)
            await until_clear(way)


async def test_an_end_that_fails_is_tried_until_it_is_certain(beyond: Provider) -> None:
    async with ours(beyond) as way:
        call_id, diary = await connected(way, beyond)
        beyond.fails["cut"] = [503] * 20
        await way.hang_up(call_id)
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        with pytest.raises(NoWay):
            await way.place(order(), Diary().tell)
        await until_clear(way)
        assert beyond.on == []
        heard = len(beyond.heard)
        await answered(way)
        assert len(beyond.heard) == heard


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.1])
async def test_an_end_and_a_connection_in_the_same_moment_are_an_end(beyond: Provider, after: float) -> None:
    async with ours(beyond) as way:
        call_id, diary = await answered(way)
        beyond.slow["tell"] = 0.05
        connecting = asyncio.create_task(way.connect(call_id))
        await asyncio.sleep(after)
        await way.hang_up(call_id)
        ended = len(beyond.heard)
        await connecting
        await diary.until(Kind.ENDED)
        assert beyond.on == []
        assert len(beyond.heard) == ended, "nobody came together after the end was certain"


async def test_an_end_while_the_callers_phone_is_just_being_rung(beyond: Provider) -> None:
    async with ours(beyond) as way:
        beyond.slow["ring"] = 0.2
        placed, diary = order(), Diary()
        placing = asyncio.create_task(way.place(placed, diary.tell))
        await asyncio.sleep(0.05)
        await way.hang_up(placed.call_id)
        await placing
        assert (await diary.until(Kind.ENDED)).end is End.CANCELLED
        assert beyond.on == []
        assert FAMILY not in {phone.to for phone in beyond.phones.values()}


async def test_when_no_news_comes_the_provider_is_asked(beyond: Provider) -> None:
    async with ours(beyond) as way:
        beyond.mute = True
        _, diary = await connected(way, beyond)
        await beyond.hangs_up(beyond.phone(FAMILY))
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        await beyond.until(lambda: not beyond.on)


@pytest.mark.parametrize("status", [503, 404, 429])
async def test_when_nobody_can_say_how_it_is_it_is_over(beyond: Provider, status: int) -> None:
    async with ours(beyond) as way:
        _, diary = await connected(way, beyond)
        beyond.fails["look"] = [status] * 30
        assert (await diary.until(Kind.ENDED)).end is End.FAULT
        await beyond.until(lambda: not beyond.on)


async def test_somebody_is_on_a_telephone_and_we_were_never_asked(beyond: Provider) -> None:
    async with ours(beyond, family=Does(answers=False)) as way:
        placed, diary = order(), Diary()
        await way.place(placed, diary.tell)
        await diary.until(Kind.RINGING)
        beyond.phone(FAMILY).status = "in-progress"
        assert (await diary.until(Kind.ENDED)).end is End.FAULT
        assert Kind.ANSWERED not in diary.kinds
        await beyond.until(lambda: not beyond.on)


async def test_it_does_not_ring_for_ever(beyond: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "ANSWER_SECONDS", 0.5)
    async with ours(beyond, family=Does(answers=False)) as way:
        diary = Diary()
        await way.place(order(), diary.tell)
        assert (await diary.until(Kind.ENDED)).end is End.NO_ANSWER
        await beyond.until(lambda: not beyond.on)


async def test_other_calls_of_the_account_are_left_alone(beyond: Provider) -> None:
    for sid, direction, shown in (("CA1", "inbound", FAMILY), ("CA2", "outbound-dial", SCHOOL), ("CA3", "outbound-api", FAMILY)):
        beyond.phones[sid] = Phone(sid, CALLER, shown, "", "", Does(), direction, "in-progress")
    beyond.phones["CA4"] = Phone("CA4", FAMILY, SCHOOL, "", f"{beyond.url}/", Does(), "outbound-api", "in-progress")
    async with ours(beyond) as way:
        assert {phone.sid for phone in beyond.on} == {"CA1", "CA2", "CA3"}
        assert await way.faults() == ()


async def test_nobody_is_called_before_it_is_certain_that_nothing_was_left_on(
        beyond: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "OPEN_SECONDS", 0.3)
    beyond.fails["list"] = [503] * 8
    async with ours(beyond) as way:
        with pytest.raises(NoWay):
            await way.place(order(), Diary().tell)
        await until_clear(way)
        await answered(way)


SERVICE = """
import asyncio, sys
from service.calls.rest import way as rest
from tests.calls.bridged import order, ours
from tests.calls.provider import Provider
from tests.calls.stage import Diary
from service.calls.way import Kind

async def main():
    beyond = Provider()
    beyond.url = sys.argv[1]
    async with ours(beyond) as way:
        diary, placed = Diary(), order()
        placing = asyncio.create_task(way.place(placed, diary.tell))
        if sys.argv[2] == "connected":
            await diary.until(Kind.ANSWERED)
            await way.connect(placed.call_id)
        print("placed", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["being placed", "connected"])
async def test_what_a_killed_service_left_on_is_hung_up_by_the_next(beyond: Provider, when: str) -> None:
    """Killed while the provider has rung and nothing was noted yet; killed while the two speak."""
    beyond.slow["ring"] = 0.4 if when == "being placed" else 0
    beyond.people |= {CALLER: Does(answers=when == "connected"), FAMILY: Does()}
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, beyond.url, when, stdout=subprocess.PIPE, cwd=ROOT)
    assert service.stdout is not None
    assert await service.stdout.readline() == b"placed\n"
    await beyond.until(lambda: any(path.endswith("/Calls.json") for path in beyond.paths))
    await beyond.until(lambda: when == "being placed" or beyond.together())
    os.kill(service.pid, signal.SIGKILL)
    await service.wait()
    await beyond.until(lambda: bool(beyond.phones))
    assert beyond.on
    async with ours(beyond) as way:
        await until_clear(way)
        assert beyond.on == []
        assert beyond.heard == ([] if when == "being placed" else [frozenset({CALLER, FAMILY})])


async def test_no_number_is_in_an_address_a_log_or_an_exception(beyond: Provider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as kept:
        async with ours(beyond) as way:
            call_id, diary = await connected(way, beyond)
            await way.press(call_id, "1")
            await way.leave_message(call_id)
            await diary.until(Kind.ENDED)
            beyond.fails |= {"ring": [503], "list": [503], "cut": [503] * 5}
            await way.place(order(), diary.tell)
            with pytest.raises(NoWay) as refused:
                await way.place(order(), diary.tell)
            beyond.fails["look"] = [503] * 5
            with pytest.raises(NotCertain) as unsure:
                await way._api.look("CA1")
            await until_clear(way)
    errors = [repr(error) + str(error.__cause__) + str(error.__context__) for error in (refused.value, unsure.value)]
    said = "\n".join([caplog.text, *map(str, kept), *beyond.paths, *(url for url, *_ in beyond.said), *errors, repr(order())])
    assert "/Calls/CA" in said
    assert beyond.paths
    for number in (CALLER, FAMILY, SCHOOL):
        assert number.removeprefix("+") not in said
    assert "account's-token" not in said
