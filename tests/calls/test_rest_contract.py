"""The provider's way holds the contract that every way holds, and whom it brings together and when."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from service.calls.number import Number
from service.calls.rest.way import RestWay
from service.calls.way import End, Kind, NoWay, Order
from tests.calls.bridged import CALLER, FAMILY, order, ours
from tests.calls.contract import CONTRACT, Family, Ground
from tests.calls.people import SCHOOL
from tests.calls.provider import Does, Provider, provider
from tests.calls.stage import Diary

PEOPLE = {Family.ANSWERS: Does(), Family.IS_BUSY: Does(busy=True), Family.NEVER_ANSWERS: Does(answers=False),
          Family.HANGS_UP: Does(stays=False)}


@dataclass
class Bridge:
    way: RestWay
    provider: Provider

    async def order(self, family: Family) -> Order:
        self.provider.people[FAMILY] = PEOPLE[family]
        return order()


@pytest.fixture
async def ground() -> AsyncIterator[Bridge]:
    async with provider() as beyond, ours(beyond) as way:
        yield Bridge(way, beyond)


@pytest.mark.parametrize("holds", CONTRACT, ids=lambda each: each.__name__)
async def test_the_contract(ground: Bridge, holds: Callable[[Ground], Awaitable[None]]) -> None:
    await holds(ground)
    await ground.provider.until(lambda: not ground.provider.on)
    assert {phone.shown for phone in ground.provider.phones.values()} <= {SCHOOL}, "nobody is ever shown another number"


async def answered(ground: Bridge) -> tuple[str, Diary]:
    placed, diary = order(), Diary()
    await ground.way.place(placed, diary.tell)
    await diary.until(Kind.ANSWERED)
    return placed.call_id, diary


async def test_nobody_hears_anybody_before_it_is_said_so_nor_on_hold_nor_after_the_end(ground: Bridge) -> None:
    call_id, diary = await answered(ground)
    beyond = ground.provider
    assert diary.kinds == [Kind.RINGING, Kind.ANSWERED]
    assert beyond.heard == []
    await ground.way.connect(call_id)
    await beyond.until(beyond.together)
    assert beyond.heard == [frozenset({CALLER, FAMILY})]
    await ground.way.hold(call_id, True)
    assert not beyond.together()
    await ground.way.hold(call_id, False)
    await beyond.until(beyond.together)
    await ground.way.hang_up(call_id)
    assert beyond.on == []
    await ground.way.connect(call_id)
    await ground.way.hold(call_id, False)
    assert len(beyond.heard) == 2


async def test_the_message_is_the_schools_and_the_caller_is_gone_before_it_begins(ground: Bridge) -> None:
    call_id, diary = await answered(ground)
    beyond = ground.provider
    await ground.way.connect(call_id)
    await beyond.until(beyond.together)
    await ground.way.leave_message(call_id)
    assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
    assert not beyond.phone(CALLER).is_on
    assert beyond.phone(FAMILY).played == ["Ring us back."]
    assert beyond.on == []


async def test_digits_reach_the_family_and_the_two_are_together_again(ground: Bridge) -> None:
    call_id, _ = await answered(ground)
    beyond = ground.provider
    await ground.way.press(call_id, "1")
    await ground.way.connect(call_id)
    await ground.way.press(call_id, "23#")
    await ground.way.press(call_id, '"/><Dial>')
    await beyond.until(lambda: beyond.phone(FAMILY).digits == "23#" and beyond.together())
    assert beyond.phone(CALLER).digits == ""


async def test_the_family_is_rung_only_when_somebody_at_the_callers_phone_pressed_1(ground: Bridge) -> None:
    for presses in ("", "2"):
        ground.provider.people[CALLER] = Does(presses=presses, stays=presses != "")
        diary = Diary()
        await ground.way.place(order(), diary.tell)
        assert (await diary.until(Kind.ENDED)).end is End.CANCELLED
    assert FAMILY not in {phone.to for phone in ground.provider.phones.values()}


@pytest.mark.parametrize(("more", "words"), [
    ({"telephone": None, "offer": "v=0"}, "need your own phone"), ({"offer": "v=0"}, "need your own phone"),
    ({"withheld": True}, "always show the school’s number"), ({"shown": Number(CALLER)}, "could not place"),
], ids=["from a browser", "both", "withheld", "another number"])
async def test_what_the_provider_cannot_do_as_it_must_be_is_not_done(ground: Bridge, more: dict[str, object], words: str) -> None:
    with pytest.raises(NoWay, match=words):
        await ground.way.place(order(**more), Diary().tell)
    assert ground.provider.phones == {}
