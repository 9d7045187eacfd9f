"""The trunk's way holds the contract that every way holds."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.calls.sip.way import SipWay
from service.calls.way import Order
from tests.calls import phones, stage
from tests.calls.cable import Trunkside
from tests.calls.contract import CONTRACT, Family, Ground
from tests.calls.ears import Caller

STEPS = {
    Family.ANSWERS: phones.ANSWERS, Family.IS_BUSY: phones.BUSY, Family.NEVER_ANSWERS: phones.SILENT,
    Family.HANGS_UP: phones.RINGING + phones.answer("200 OK", sdp=True) + phones.ACK + phones.request("BYE")
    + '<recv response="200"/>',
}


@dataclass
class Trunk:
    way: SipWay
    side: Trunkside
    folder: Path
    ends: AsyncExitStack

    async def order(self, family: Family) -> Order:
        await self.ends.enter_async_context(phones.Sipp(self.side, self.folder / "family", STEPS[family]))
        caller = Caller()
        self.ends.push_async_callback(caller.close)
        return stage.order(await caller.offer())


@pytest.fixture
async def ground(side: Trunkside, tmp_path: Path) -> AsyncIterator[Trunk]:
    async with AsyncExitStack() as ends, stage.way() as way:
        yield Trunk(way, side, tmp_path, ends)


@pytest.mark.parametrize("holds", CONTRACT, ids=lambda each: each.__name__)
async def test_the_contract(ground: Trunk, holds: Callable[[Ground], Awaitable[None]]) -> None:
    await holds(ground)
