"""The way that other tests move by hand holds the contract that every way holds: what they show is worth something."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from service.calls.way import End, Kind, News, Order, Tell
from tests.calls import stage
from tests.calls.contract import CONTRACT, Family, Ground
from tests.fakes import FakeWay

ANSWER = "v=0 answer"
STEPS: dict[Family, tuple[News, ...]] = {
    Family.ANSWERS: (News("", Kind.RINGING), News("", Kind.ANSWERED, ANSWER)),
    Family.IS_BUSY: (News("", Kind.ENDED, end=End.BUSY),),
    Family.NEVER_ANSWERS: (News("", Kind.RINGING),),
    Family.HANGS_UP: (News("", Kind.ANSWERED, ANSWER), News("", Kind.ENDED, end=End.HUNG_UP)),
}


class Scripted(FakeWay):
    """Whoever is rung does what their family does, after the call was placed."""

    def __init__(self) -> None:
        super().__init__()
        self.families: dict[str, Family] = {}
        self.playing: set[asyncio.Task[None]] = set()

    async def place(self, order: Order, tell: Tell) -> None:
        await super().place(order, tell)
        self.playing.add(asyncio.create_task(self._play(order.call_id)))

    async def _play(self, call_id: str) -> None:
        for news in STEPS[self.families[call_id]]:
            if call_id not in self._over:
                await self.say(call_id, news.kind, answer=news.answer, end=news.end)


@dataclass
class Played:
    way: Scripted = field(default_factory=Scripted)

    async def order(self, family: Family) -> Order:
        made = stage.order("v=0 offer")
        self.way.families[made.call_id] = family
        return made


@pytest.mark.parametrize("holds", CONTRACT, ids=lambda each: each.__name__)
async def test_the_contract(holds: Callable[[Ground], Awaitable[None]]) -> None:
    await holds(Played())
