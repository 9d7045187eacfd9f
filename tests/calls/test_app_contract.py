"""The app's way holds the contract that every way holds, and what is its own: who hears whom, who is rung, and for how long."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from service.calls.way import End, Kind, NoWay
from tests.calls.apps import PARENT_ID, App, Apps, apps
from tests.calls.cable import Trunkside
from tests.calls.contract import CONTRACT, Family, Ground
from tests.calls.ears import Caller, hertz
from tests.calls.people import HEARD, SAID
from tests.calls.stage import Diary, order, seconds
from tests.home_calls import until

OWN = re.compile(r"a=ice-ufrag:(\S+)|a=ice-pwd:(\S+)|a=fingerprint:\S+ (\S+)|a=ssrc:(\d+)|"
                 r"a=candidate:\S+ \d \S+ \d+ (\S+ \d+)")
"""What is one connection's own in its description: its place, its keys, its source."""


@pytest.fixture
async def ground(side: Trunkside) -> AsyncIterator[Apps]:
    async with apps() as made:
        yield made


@pytest.mark.parametrize("holds", CONTRACT, ids=lambda each: each.__name__)
async def test_the_contract(ground: Apps, holds: Callable[[Ground], Awaitable[None]]) -> None:
    await holds(ground)


class Placed:
    """A call to an app that does this, with what its caller hears."""

    def __init__(self, ground: Apps, app: App, caller: Caller) -> None:
        self.ground, self.app, self.caller, self.diary, self.id = ground, app, caller, Diary(), ""

    @classmethod
    async def to(cls, ground: Apps, family: Family) -> "Placed":
        made = cls(ground, ground.app(family), await ground.caller())
        placed = order(await made.caller.offer(), person=PARENT_ID)
        made.id = placed.call_id
        await ground.way.place(placed, made.diary.tell)
        return made

    async def answered(self) -> "Placed":
        await self.caller.accept((await self.diary.until(Kind.ANSWERED)).answer)
        await self.caller.connected()
        return self

    async def heard(self) -> tuple[float, float]:
        """Which tone the caller hears now, and which the family."""
        await seconds(0.4)
        before = len(self.caller.sound), len(self.app.voice.sound)
        await seconds(0.5)
        return hertz(self.caller.sound[before[0]:]), hertz(self.app.voice.sound[before[1]:])


async def test_each_hears_the_other_from_the_moment_that_it_is_said_so_and_not_on_hold_nor_after_the_end(ground: Apps) -> None:
    call = await (await Placed.to(ground, Family.ANSWERS)).answered()
    assert await call.heard() == (0, 0)
    await ground.way.connect(call.id)
    assert await call.heard() == (SAID, HEARD)
    await ground.way.hold(call.id, True)
    assert await call.heard() == (0, 0)
    await ground.way.hold(call.id, False)
    assert await call.heard() == (SAID, HEARD)
    await ground.way.hang_up(call.id)
    assert await call.heard() == (0, 0)
    assert call.app.heard("state") == ["connected", "held", "connected"]
    assert call.diary.news[1].in_app


async def test_neither_is_told_anything_of_the_others_connection(ground: Apps) -> None:
    call = await (await Placed.to(ground, Family.ANSWERS)).answered()
    callers, familys = ({each for found in OWN.findall(offer) for each in found if each} for offer in (
        call.caller.peer.localDescription.sdp, call.app.offer))
    answer = next(news.answer for news in call.diary.news if news.answer)
    assert len(callers) > 3
    assert len(familys) > 3
    assert [each for each in callers if each in str(call.app.told)] == []
    assert [each for each in familys if each in answer] == []
    assert [each for each in familys if each in call.app.offer], "an offer that was passed on would be found"


async def test_a_packet_carries_nothing_but_sound_and_a_source_of_ours(ground: Apps) -> None:
    call = await (await Placed.to(ground, Family.ANSWERS)).answered()
    await ground.way.connect(call.id)
    assert await call.heard() == (SAID, HEARD)
    [told] = [each["sdp"] for each in call.app.told if each["type"] == "answer"]
    assert "a=extmap:" not in told
    ours = {int(each) for each in re.findall(r"a=ssrc:(\d+)", told)}
    [receiver] = call.app.voice.peer.getReceivers()
    assert {each.source for each in receiver.getSynchronizationSources()} == ours


async def test_a_lease_that_is_not_renewed_shuts_the_sound_by_itself(ground: Apps) -> None:
    call = await (await Placed.to(ground, Family.ANSWERS)).answered()
    await ground.way.connect(call.id)
    assert await call.heard() == (SAID, HEARD)
    asked = asyncio.Event()

    async def never() -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    call.app.may_ring = never  # type: ignore[method-assign]
    await asyncio.wait_for(asked.wait(), 3)
    ground.clock.advance(3.1)
    assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
    assert await call.heard() == (0, 0)


async def test_whose_sign_in_ends_is_cut_off_within_the_second(ground: Apps) -> None:
    call = await (await Placed.to(ground, Family.ANSWERS)).answered()
    await ground.way.connect(call.id)
    call.app.is_signed_in = False
    assert (await call.diary.until(Kind.ENDED, seconds=3)).end is End.HUNG_UP
    assert await call.heard() == (0, 0)


async def test_a_sign_out_ends_the_call_in_the_same_turn(ground: Apps) -> None:
    call = await (await Placed.to(ground, Family.ANSWERS)).answered()
    await ground.way.connect(call.id)
    ground.way.sign_out(PARENT_ID, "another sign-in")
    assert not call.app.is_closed
    ground.way.sign_out(PARENT_ID, "s1")
    assert call.app.is_closed
    assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
    assert await call.heard() == (0, 0)


async def test_it_rings_for_15_seconds_and_then_it_has_no_answer(ground: Apps) -> None:
    call = await Placed.to(ground, Family.NEVER_ANSWERS)
    await call.diary.until(Kind.RINGING)
    ground.clock.advance(14.9)
    await seconds(0.4)
    assert Kind.ENDED not in call.diary.kinds
    ground.clock.advance(0.2)
    assert (await call.diary.until(Kind.ENDED)).end is End.NO_ANSWER
    assert call.app.heard("stop") == ["telephone"]


async def test_every_phone_of_theirs_rings_until_one_answers(ground: Apps) -> None:
    other = ground.app(Family.NEVER_ANSWERS, session_id="s2")
    strangers = ground.app(Family.NEVER_ANSWERS, person_id="c" * 32)
    await (await Placed.to(ground, Family.ANSWERS)).answered()
    assert other.heard("ring") == [""]
    assert other.heard("stop") == ["elsewhere"]
    assert strangers.told == []


async def test_a_phone_without_a_microphone_leaves_it_to_their_other_one_and_then_to_the_telephone(ground: Apps) -> None:
    other = ground.app(Family.NEVER_ANSWERS, session_id="s2")
    call = await Placed.to(ground, Family.NEVER_ANSWERS)
    await call.diary.until(Kind.RINGING)
    ground.way.decline(call.app, call.id, "cannot")
    ground.way.decline(call.app, call.id, "declined")
    await seconds(0.3)
    assert call.diary.kinds == [Kind.RINGING], "it has no say any more"
    ground.way.decline(other, call.id, "cannot")
    assert (await call.diary.until(Kind.ENDED)).end is End.NO_ANSWER


async def test_an_app_has_no_say_in_a_call_that_does_not_ring_there(ground: Apps) -> None:
    stranger = ground.app(Family.NEVER_ANSWERS, person_id="c" * 32)
    call = await Placed.to(ground, Family.NEVER_ANSWERS)
    await call.diary.until(Kind.RINGING)
    offer = await stranger.voice.offer()
    await ground.way.take(stranger, call.id, offer)
    ground.way.decline(stranger, call.id, "declined")
    ground.way.family_hangs_up(stranger, call.id)
    await seconds(0.3)
    assert call.diary.kinds == [Kind.RINGING]
    assert stranger.told == []


async def test_a_phone_that_is_not_signed_in_any_more_is_not_rung_and_takes_nothing(ground: Apps) -> None:
    app = ground.app(Family.NEVER_ANSWERS)
    app.is_signed_in = False
    with pytest.raises(NoWay):
        await ground.way.place(order(await (await ground.caller()).offer(), person=PARENT_ID), Diary().tell)
    assert app.told == []
    call = await Placed.to(ground, Family.NEVER_ANSWERS)
    await call.diary.until(Kind.RINGING)
    call.app.is_signed_in = False
    await ground.way.take(call.app, call.id, await call.app.voice.offer())
    assert call.app.is_closed
    assert (await call.diary.until(Kind.ENDED)).end is End.NO_ANSWER


async def test_an_app_that_goes_takes_its_call_with_it_and_while_it_rings_leaves_it_to_the_telephone(ground: Apps) -> None:
    ringing = await Placed.to(ground, Family.NEVER_ANSWERS)
    await ringing.diary.until(Kind.RINGING)
    ground.way.closed(ringing.app)
    assert (await ringing.diary.until(Kind.ENDED)).end is End.NO_ANSWER
    answered = await (await Placed.to(ground, Family.ANSWERS)).answered()
    ground.way.closed(answered.app)
    assert (await answered.diary.until(Kind.ENDED)).end is End.HUNG_UP


@pytest.mark.parametrize("offer", ["v=0 offer", ""], ids=["no description", "none"])
async def test_what_is_no_offer_rings_nobody(ground: Apps, offer: str) -> None:
    app = ground.app(Family.ANSWERS)
    with pytest.raises(NoWay):
        await ground.way.place(order(offer, person=PARENT_ID), Diary().tell)
    assert app.told == []


async def test_a_caller_whose_sound_never_comes_is_a_fault(ground: Apps) -> None:
    call = await Placed.to(ground, Family.ANSWERS)
    await call.diary.until(Kind.ANSWERED)
    await until(lambda: call.app.voice.peer.connectionState == "connected")
    ground.clock.advance(6.1)
    assert (await call.diary.until(Kind.ENDED)).end is End.FAULT
