"""Two telephones bridged through the school's trunk: real ones, at the end of a cable (policy: CM3, CM4)."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.calls.number import Number
from service.calls.progress import Stage
from service.calls.sip import bridge as bridging
from service.calls.sip.agent import Agent, Heard, Leg
from service.calls.sip.bridge import Bridge
from service.calls.sip.way import SipWay
from service.calls.way import End, Kind, NoWay, Order
from tests import netns
from tests.calls import phones, stage
from tests.calls.cable import Cable, Trunkside, leg_of
from tests.calls.contract import CONTRACT, Family, Ground
from tests.calls.ears import hertz, wav
from tests.calls.exchange import FAMILY_ADDRESS, OWN, STAFF_ADDRESS, Exchange, exchange
from tests.calls.people import HEARD, MESSAGE, PARENT, SAID, SCHOOL, TRUNK
from tests.calls.phones import Baresip, Sipp
from tests.calls.stage import Diary, seconds
from tests.calls.test_sip_contract import STEPS
from tests.calls.test_sip_trunks import ASKS
from tests.features.test_calls import approved, granted, over
from tests.home_calls import family, until
from tests.school import running


def order(**more: object) -> Order:
    return stage.order("", telephone=Number(OWN), **more)


@dataclass
class Both:
    """The teacher's telephone and the family's, and the way between them."""

    way: SipWay
    cable: Cable
    staff: Baresip
    family: Baresip

    async def answered(self, diary: Diary, **more: Any) -> Order:
        """A call that both have answered, and that is not connected yet."""
        placed = order(**more)
        await self.way.place(placed, diary.tell)
        await self.cable.until(lambda sip: sip.count("ACK sip:") == 1)
        self.staff.press("1")
        await diary.until(Kind.ANSWERED)
        return placed

    async def connected(self, diary: Diary) -> Order:
        placed = await self.answered(diary)
        await self.way.connect(placed.call_id)
        await seconds(0.6)
        return placed

    def hears(self, address: str, since: float) -> float:
        return hertz(self.cable.sound(to=address, since=since))


@asynccontextmanager
async def both(side: Trunkside, folder: Path, *, codecs: str = "PCMA,PCMU", **how: Any) -> AsyncIterator[Both]:
    async with AsyncExitStack() as ends:
        beyond = await ends.enter_async_context(exchange(side, folder / "exchange"))
        staff = await ends.enter_async_context(Baresip(
            beyond.staff, folder / "staff", number=OWN, address=STAFF_ADDRESS, says=HEARD))
        family = await ends.enter_async_context(Baresip(
            beyond.family, folder / "family", address=FAMILY_ADDRESS, says=SAID, codecs=codecs))
        cable = await ends.enter_async_context(Cable(folder / "cable"))
        yield Both(await ends.enter_async_context(stage.way(**how)), cable, staff, family)


async def test_both_hear_each_other_after_connect_and_neither_before_nor_after_the_end(side: Trunkside, tmp_path: Path) -> None:
    async with both(side, tmp_path) as two:
        diary = Diary()
        placed = await two.answered(diary)
        await seconds(0.3)
        before = time.time()
        await seconds(1)
        assert [two.hears(each, before) for each in (STAFF_ADDRESS, FAMILY_ADDRESS)] == [0, 0]
        await two.way.connect(placed.call_id)
        connected = time.time()
        await seconds(1.2)
        assert two.hears(FAMILY_ADDRESS, connected + 0.2) == HEARD
        assert two.hears(STAFF_ADDRESS, connected + 0.2) == SAID
        await two.way.hold(placed.call_id, True)
        held = time.time()
        await seconds(0.8)
        assert [two.hears(each, held + 0.1) for each in (STAFF_ADDRESS, FAMILY_ADDRESS)] == [0, 0]
        await two.way.hold(placed.call_id, False)
        await two.way.hang_up(placed.call_id)
        ended = time.time()
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        await seconds(0.5)
        assert not two.cable.sound(to=FAMILY_ADDRESS, since=ended + 0.05)
        assert not two.cable.sound(to=STAFF_ADDRESS, since=ended + 0.05)
        assert two.cable.sip.count("\r\nCSeq: 2 BYE") >= 2
    assert diary.kinds[-2:] == [Kind.ANSWERED, Kind.ENDED]


async def test_the_family_is_not_rung_before_somebody_presses_one(
        side: Trunkside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox, or a child who picks up, is put through to nobody."""
    monkeypatch.setattr(bridging, "PRESS_SECONDS", 1.5)
    async with both(side, tmp_path) as two:
        placed, diary = order(), Diary()
        await two.way.place(placed, diary.tell)
        await two.cable.until(lambda sip: sip.count("ACK sip:") == 1)
        two.staff.press("2")
        assert (await diary.until(Kind.ENDED)).end is End.CANCELLED
        assert PARENT not in two.cable.sip
    assert diary.kinds == [Kind.ENDED]


async def test_what_is_hung_up_while_it_is_placed_rings_nobody(side: Trunkside, tmp_path: Path) -> None:
    async with both(side, tmp_path) as two:
        placed, diary = order(), Diary()
        placing = asyncio.create_task(two.way.place(placed, diary.tell))
        await asyncio.sleep(0)
        await two.way.hang_up(placed.call_id)
        with pytest.raises(NoWay):
            await placing
        await seconds(0.3)
        assert two.cable.sip == ""
    assert diary.news == []


@pytest.mark.parametrize("who", ["staff", "family"])
async def test_whoever_hangs_up_ends_it_for_both(side: Trunkside, tmp_path: Path, who: str) -> None:
    async with both(side, tmp_path) as two:
        diary = Diary()
        await two.connected(diary)
        (two.staff if who == "staff" else two.family).press("b")
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        await two.cable.until(lambda sip: len(set(re.findall(r"^BYE sip:.*?^Call-ID: (\S+)", sip, re.M | re.S))) == 2)


async def test_two_telephones_of_different_codecs_hear_each_other(side: Trunkside, tmp_path: Path) -> None:
    async with both(side, tmp_path, codecs="PCMU") as two:
        await two.connected(Diary())
        connected = time.time()
        await seconds(1)
        assert two.hears(STAFF_ADDRESS, connected) == SAID
        sent = [each for each in two.cable.packets if each.target[0] == FAMILY_ADDRESS and each.data[1:2] == b"\x00"]
        assert len(sent) > 40
    assert hertz(two.family.heard[-4000:]) == HEARD


async def test_the_schools_message_is_left_and_the_callers_telephone_is_let_go(side: Trunkside, tmp_path: Path) -> None:
    message = wav(tmp_path / "message.wav", MESSAGE, 1.5)
    async with both(side, tmp_path, message=message) as two:
        diary = Diary()
        placed = await two.connected(diary)
        await two.way.leave_message(placed.call_id)
        left = time.time()
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        assert two.hears(FAMILY_ADDRESS, left + 0.05) == MESSAGE
        assert len(two.cable.sound(to=STAFF_ADDRESS, since=left)) < 1600


async def test_the_edge_dies_nobody_is_heard_any_more_and_the_next_edge_hangs_up_on_both(side: Trunkside, tmp_path: Path) -> None:
    async with both(side, tmp_path) as two:
        diary = Diary()
        await two.connected(diary)
        os.kill(two.way.gateway.pid("kamailio"), signal.SIGTERM)
        assert (await diary.until(Kind.ENDED, 3)).end is End.FAULT
        ended = time.time()
        await seconds(0.4)
        assert not two.cable.sound(to=FAMILY_ADDRESS, since=ended + 0.05)
        await two.cable.until(lambda sip: len(set(re.findall(r"^BYE sip:.*?^Call-ID: (\S+)", sip, re.M | re.S))) == 2, 12)


async def test_a_trunk_that_asks_for_a_password_gets_it_for_a_telephone_as_for_a_browser(side: Trunkside, tmp_path: Path) -> None:
    steps = ASKS + '<recv request="INVITE" rrs="true"/>' + phones.ANSWERS
    async with (Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "trunk", steps) as beyond,
                stage.way(stage.trunk(user="school", password="a:b$c")) as opened):
        placed, diary = order(), Diary()
        await opened.place(placed, diary.tell)
        await cable.until(lambda sip: sip.count("ACK sip:") == 2)
        await opened.hang_up(placed.call_id)
        assert (await diary.until(Kind.ENDED)).end is End.CANCELLED
        await beyond.done()
        assert 'Proxy-Authorization: Digest username="school", realm="trunk"' in cable.sent


async def test_by_the_whole_service_the_end_of_the_grant_hangs_up_on_both_and_no_page_has_a_number(
        side: Trunkside, tmp_path: Path, template: Path) -> None:
    settings = {"trunk_host": TRUNK, "trunk_address": netns.ADDRESS, "trunk_number": SCHOOL, "media_addresses": netns.ADDRESS}
    async with (exchange(side, tmp_path / "exchange") as beyond,
                Baresip(beyond.staff, tmp_path / "staff", number=OWN, address=STAFF_ADDRESS, says=HEARD) as staff,
                Baresip(beyond.family, tmp_path / "family", address=FAMILY_ADDRESS, says=SAID),
                Cable(tmp_path / "cable") as cable, running(tmp_path / "data", template=template, **settings) as school):
        home = await family(school, number=PARENT, shown=SCHOOL)
        page, teacher = await granted(home), await home.as_("teacher")
        await approved(home, page)
        call_id = await home.asked(by="telephone")
        shown = (await teacher.get(f"/calls/{call_id}")).text
        assert "Ringing your phone. Answer it, then press 1" in shown
        await cable.until(lambda sip: sip.count("ACK sip:") == 1)
        assert (await home.audited())[-1] == "CallPlaced", "it was written down first"
        staff.press("1")
        await until(lambda: home.live(call_id).progress.stage is Stage.CONNECTED)
        connected = time.time()
        await seconds(0.8)
        assert hertz(cable.sound(to=FAMILY_ADDRESS, since=connected + 0.1)) == HEARD
        shown += (await teacher.get(f"/calls/{call_id}")).text
        ended = await (await home.as_("headteacher")).post(f"{page}/end", data={"because": "The laptop is here"})
        revoked = time.time()
        assert ended.status_code == 303
        assert (await over(home, call_id)).ended_why == "rule"
        await cable.until(lambda sip: len(set(re.findall(r"^BYE sip:.*?^Call-ID: (\S+)", sip, re.M | re.S))) == 2)
        for address in (STAFF_ADDRESS, FAMILY_ADDRESS):
            assert not cable.sound(to=address, since=revoked + 0.1)
        shown += (await teacher.get(f"/calls/{call_id}")).text
        assert not [number for number in (OWN, PARENT) if number[3:] in shown.replace(" ", "")]
        assert "You need approval" in (await home.ask(by="telephone")).text


SERVICE = """
import asyncio
from service.calls.number import Number
from service.calls.way import Kind
from tests.calls.exchange import OWN
from tests.calls.stage import Diary, order, way

async def main():
    async with way() as opened:
        placed, diary = order("", telephone=Number(OWN)), Diary()
        await opened.place(placed, diary.tell)
        await diary.until(Kind.ANSWERED)
        print(opened.gateway.pid("kamailio"), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_service_is_killed_and_neither_is_left_on_the_line(side: Trunkside, tmp_path: Path) -> None:
    async with (exchange(side, tmp_path / "exchange") as beyond, Cable(tmp_path / "cable") as cable,
                Baresip(beyond.staff, tmp_path / "staff", number=OWN, address=STAFF_ADDRESS) as staff,
                Sipp(beyond.family, tmp_path / "family", phones.ANSWERS, address=FAMILY_ADDRESS) as family):
        service = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVICE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        await cable.until(lambda sip: sip.count("ACK sip:") == 1, 30)
        staff.press("1")
        assert service.stdout is not None
        edge = os.pidfd_open(int(await service.stdout.readline()))
        service.kill()
        await service.wait()
        await cable.until(lambda sip: len(set(re.findall(r"^BYE sip:.*?^Call-ID: (\S+)", sip, re.M | re.S))) == 2, 3)
        await family.done()
        await gone(edge)


async def gone(pidfd: int) -> None:
    """Until a program has ended: the next one has its port."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(pidfd, ended.set)
    try:
        async with asyncio.timeout(30):
            await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


# -- leaks ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of our own that names each telephone to the other wherever SIP has a place for a name."""
    invite = Agent.invite

    def worse(agent: Agent, call_id: str, to: str, shown: str, headers: dict[str, str], heard: Heard) -> Leg:
        other = OWN if PARENT in to else PARENT
        named = {"P-Asserted-Identity": f"<sip:{other}@{TRUNK}>", "Diversion": f"<sip:{other}@{TRUNK}>", "Subject": other,
                 "Call-Info": f"<https://{STAFF_ADDRESS if PARENT in to else FAMILY_ADDRESS}/>", "X-Other": other}
        return invite(agent, call_id, to, shown, headers | named, heard)

    monkeypatch.setattr(Agent, "invite", worse)


async def traces(two: Both, diary: Diary, *, presses: bool) -> tuple[str, str]:
    """One whole call; everything of the caller's leg on the cable that is not sound, and of the family's."""
    placed = order()
    await two.way.place(placed, diary.tell)
    await two.cable.until(lambda sip: sip.count("ACK sip:") == 1)
    call = two.way._bridges[placed.call_id]
    two.staff.press("1") if presses else call._pressed("1")
    await diary.until(Kind.ANSWERED)
    await two.way.connect(placed.call_id)
    await seconds(6 if presses else 0.5)  # RTCP, which names its sender, comes every five seconds
    await two.way.hang_up(placed.call_id)
    await diary.until(Kind.ENDED)
    await seconds(0.2)
    return (leg_of(two.cable, call.caller.call_id, STAFF_ADDRESS), leg_of(two.cable, call.family.call_id, FAMILY_ADDRESS))


def leaks(staff: str, family: str) -> set[str]:
    """What of each telephone is in the other's leg."""
    return ({f"caller's: {name}" for name in (OWN.lstrip("+"), STAFF_ADDRESS) if name in family}
            | {f"family's: {name}" for name in (PARENT.lstrip("+"), FAMILY_ADDRESS) if name in staff})


async def test_neither_telephone_is_told_anything_of_the_other(side: Trunkside, tmp_path: Path, hostile: None) -> None:
    async with both(side, tmp_path) as two:
        staff, family = await traces(two, Diary(), presses=True)
    assert leaks(staff, family) == set()
    for leg, own, address in ((staff, OWN, STAFF_ADDRESS), (family, PARENT, FAMILY_ADDRESS)):
        assert f"From: <sip:{SCHOOL}@{TRUNK}>;tag=" in leg
        assert own in leg, "each says its own name, in SIP and in RTCP, and it ends with us"
        assert f"@{address}" in leg


async def test_without_the_edges_stripping_each_is_told_the_others_number(
        side: Trunkside, tmp_path: Path, hostile: None) -> None:
    async with both(side, tmp_path, strips=False) as two:
        found = leaks(*await traces(two, Diary(), presses=False))
    assert found == {f"caller's: {OWN.lstrip('+')}", f"family's: {PARENT.lstrip('+')}", f"caller's: {STAFF_ADDRESS}",
                     f"family's: {FAMILY_ADDRESS}"}


# -- the contract ---------------------------------------------------------------------------------------------------------------


@dataclass
class TwoTelephones:
    way: SipWay
    beyond: Exchange
    folder: Path
    ends: AsyncExitStack

    async def order(self, family: Family) -> Order:
        for at, address, steps in ((self.beyond.staff, STAFF_ADDRESS, phones.ANSWERS),
                                   (self.beyond.family, FAMILY_ADDRESS, STEPS[family])):
            await self.ends.enter_async_context(Sipp(at, self.folder / address, steps, address=address))
        return order()


@pytest.fixture
async def ground(side: Trunkside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwoTelephones]:
    """Whoever answers presses 1 at once: sipp has no keys."""
    answers = Bridge.answers

    def pressed(call: Bridge, one: bridging.Telephone) -> None:
        answers(call, one)
        if one is call.caller:
            call._pressed("1")

    monkeypatch.setattr(Bridge, "answers", pressed)
    async with AsyncExitStack() as ends, exchange(side, tmp_path / "exchange") as beyond, stage.way() as way:
        yield TwoTelephones(way, beyond, tmp_path, ends)


@pytest.mark.parametrize("holds", CONTRACT, ids=lambda each: each.__name__)
async def test_the_contract(ground: TwoTelephones, holds: Callable[[Ground], Awaitable[None]]) -> None:
    await holds(ground)
