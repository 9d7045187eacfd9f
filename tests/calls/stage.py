"""A school's way to its trunk, opened for a test, and a diary of what it tells."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from service.calls.number import Number
from service.calls.sip.processes import Gateway
from service.calls.sip.trunk import Trunk
from service.calls.sip.way import SipWay
from service.calls.way import Kind, News, Order, Way
from tests import netns
from tests.calls.ears import Caller
from tests.calls.people import PARENT, SCHOOL, TRUNK


def trunk(**more: Any) -> Trunk:
    return Trunk(**{"host": TRUNK, "address": netns.ADDRESS, "number": Number(SCHOOL)} | more)


def order(offer: str, **more: Any) -> Order:
    return Order(**{"call_id": secrets.token_hex(16), "callee": Number(PARENT), "shown": Number(SCHOOL), "offer": offer} | more)


@asynccontextmanager
async def way(of: Trunk | None = None, *, strips: bool = True, message: Path | None = None) -> AsyncIterator[SipWay]:
    of = of or trunk()
    opened = SipWay(of, message, Gateway(of, print, strips=strips))
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


class Diary:
    """What was told of a call, to be waited for."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self._told = asyncio.Condition()

    async def tell(self, news: News) -> None:
        async with self._told:
            self.news.append(news)
            self._told.notify_all()

    async def until(self, kind: Kind, seconds: float = 10) -> News:
        async def seen() -> News:
            async with self._told:
                await self._told.wait_for(lambda: any(news.kind is kind for news in self.news))
                return next(news for news in self.news if news.kind is kind)
        try:
            return await asyncio.wait_for(seen(), seconds)
        except TimeoutError:
            raise AssertionError(f"no {kind}, only {self.kinds}") from None

    @property
    def kinds(self) -> list[Kind]:
        return [news.kind for news in self.news]


class Called:
    """One call of a caller who answers what the way tells."""

    def __init__(self, caller: Caller) -> None:
        self.caller, self.diary, self.id = caller, Diary(), ""

    async def place(self, way: Way, **more: Any) -> None:
        placed = order(more.pop("offer", "") or await self.caller.offer(), **more)
        self.id = placed.call_id
        await way.place(placed, self.diary.tell)

    async def accept(self, kind: Kind = Kind.ANSWERED) -> None:
        await self.caller.accept((await self.diary.until(kind)).answer)
        await self.caller.connected()


async def seconds(some: float) -> None:
    """Listen for a while: what is measured here is what happens in a time."""
    await asyncio.sleep(some)
