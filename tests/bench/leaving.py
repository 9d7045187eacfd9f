"""The last-but-one pupil goes, and the teacher's voice still reaches the last one for so long: after a press of Leave, after
SIGKILL of their program (the kernel closes its sockets), and after silence that nobody announces (a flat battery)."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.bench.attendee import Attendee

QUIET = 0.35
"""Seconds after which nothing more was under way."""
FRESH = 0.2
"""The voice was heard this shortly before, or the room was not open and the run proves nothing."""
CHAT_PAUSE = 2.1


@dataclass
class Left:
    """Seconds until the last byte, of each run. `void`: runs in which the voice was not heard just before."""

    took: list[float] = field(default_factory=list)
    void: int = 0


async def leave(going: Attendee) -> None:
    await going.say("leave")


async def killed(going: Attendee) -> None:
    await going.die()


async def silent(going: Attendee) -> None:
    await going.vanish()


class Watching:
    """One lesson: a teacher who speaks and a pupil who stays; others come and go."""

    def __init__(self, teacher: Attendee, stays: Attendee, others: list[Callable[[], Attendee]]) -> None:
        self.teacher, self.stays, self.others = teacher, stays, itertools.cycle(others)
        self._chatted = 0.0

    async def runs(self, count: int, go: Callable[[Attendee], Awaitable[None]], wait: float, found: Left) -> None:
        for _ in range(count):
            going = await next(self.others)().open()
            try:
                await self.stays.sees("open")
                await self.stays.hears(of=self.teacher)
                await self._one(going, go, wait, found)
            finally:
                await going.go()

    async def _one(self, going: Attendee, go: Callable[[Attendee], Awaitable[None]], wait: float, found: Left) -> None:
        began = time.time()
        heard = began - self.stays.down.last < FRESH
        await go(going)
        if began - self._chatted > CHAT_PAUSE:  # words on their way at that moment count as well
            self._chatted = began
            await self.teacher.say("chat", own=str(began), text="Who can say why?")
        await asyncio.sleep(wait)
        await self.stays.sees("held")
        await asyncio.sleep(QUIET)
        last = max(self.stays.down.last, self.stays.told_at("chat"))
        if heard:
            found.took.append(max(0.0, last - began))
        else:
            found.void += 1
