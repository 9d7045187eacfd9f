"""A family's app as a way knows it: a line that is open, and behind it an ear and a voice (aiortc)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from lessons.media.plane import Plane
from mobile_api.calling.way import AppWay
from service.calls.way import Order
from tests import netns
from tests.calls import stage
from tests.calls.contract import Family
from tests.calls.ears import Caller, Tone
from tests.calls.people import SAID
from tests.fakes import FakeClock

PARENT_ID = "b" * 32


class App:
    """Does what its family does, when it is told something. `told`: all of it. `is_signed_in`: what its phone says of it."""

    def __init__(self, way: AppWay, family: Family, *, person_id: str = PARENT_ID, session_id: str = "s1") -> None:
        self.way, self.family, self.person_id, self.session_id = way, family, person_id, session_id
        self.told: list[dict[str, str]] = []
        self.is_signed_in, self.is_closed = True, False
        self.voice = Caller(Tone(SAID))
        self.offer = ""
        self._inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._life = asyncio.create_task(self._live())
        way.opened(self)

    def send(self, message: dict[str, str]) -> None:
        self.told.append(message)
        self._inbox.put_nowait(message)

    def close(self) -> None:
        self.is_closed = True

    async def may_ring(self) -> bool:
        return self.is_signed_in

    def heard(self, kind: str) -> list[str]:
        """Why, or in which state, each time that it was told this."""
        return [each.get("why", each.get("state", "")) for each in self.told if each["type"] == kind]

    async def _live(self) -> None:
        while True:
            told = await self._inbox.get()
            if told["type"] == "ring":
                await self._ring(told["call"])
            elif told["type"] == "answer":
                await self.voice.accept(told["sdp"])
                if self.family is Family.HANGS_UP:
                    await self.voice.connected()
                    self.way.family_hangs_up(self, told["call"])

    async def _ring(self, call_id: str) -> None:
        self.way.rings(self, call_id)
        if self.family is Family.IS_BUSY:
            self.way.decline(self, call_id, "busy")
        elif self.family is not Family.NEVER_ANSWERS:
            self.offer = await self.voice.offer()
            await self.way.take(self, call_id, self.offer)

    async def go(self) -> None:
        self._life.cancel()
        await self.voice.close()


@dataclass
class Apps:
    """A plane, the way over it, and whoever has an app open."""

    way: AppWay
    clock: FakeClock
    ends: AsyncExitStack
    opened: list[App] = field(default_factory=list)

    def app(self, family: Family, **who: str) -> App:
        made = App(self.way, family, **who)
        self.ends.push_async_callback(made.go)
        self.opened.append(made)
        return made

    async def caller(self) -> Caller:
        made = Caller()
        self.ends.push_async_callback(made.close)
        return made

    async def order(self, family: Family) -> Order:
        self.app(family)
        return stage.order(await (await self.caller()).offer(), person=PARENT_ID)


@asynccontextmanager
async def apps() -> AsyncIterator[Apps]:
    clock = FakeClock()
    plane = await Plane.start(port=0, addresses=[netns.ADDRESS], clock=clock)
    async with AsyncExitStack() as ends:
        made = Apps(AppWay(plane, clock), clock, ends)
        try:
            yield made
        finally:
            await made.way.close()
            await plane.close()
