"""When a whole school comes at once: a few are served at a time, the others wait in order, and nobody is shown an error for it.

Whoever is further on goes first: a child at a room's door before one with a PIN, and that one before a badge. So a way that was
begun is soon done, instead of three hundred that are begun and none of them done. What goes on in lessons never waits here, nor
does what ends access or stops a lesson. docs/decisions: 104.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from itertools import count
from typing import Any

from fastapi import Depends, Request

from service.foundation.errors import Unavailable

AT_ONCE = 6
"""How many are served at once: enough that the processor has work while some wait for the disk."""
HOLDS = 2.0
"""Seconds after which one that is still being served keeps nobody else waiting."""
PATIENCE = 45.0
"""Seconds in the queue, less than a proxy waits. After that a page is told to come again, and does so by itself."""
MOST_WAITING = 2000
AHEAD = 30.0
"""Seconds of waiting that one stage more is worth: nobody waits for ever, whoever else comes."""


class Stage(IntEnum):
    """How far on the way from the badge to the room, the nearest to the room first."""

    DOOR, ROOM, DAY, PIN, BADGE, START = range(6)


class Crowded(Unavailable):
    """Many people are coming in just now. Try again in a moment."""

    code = "crowded"
    retry_after = 3


class Crowd:
    """`waiting`: how many requests wait for their turn."""

    def __init__(self) -> None:
        self._served = 0
        self._queue: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()

    @property
    def waiting(self) -> int:
        return sum(not turn.done() for *_, turn in self._queue)

    @asynccontextmanager
    async def turn(self, stage: Stage) -> AsyncIterator[bool]:
        """Gives whether it had to wait. Raises Crowded when it takes too long, or too many wait already."""
        if waits := self._served >= AT_ONCE:
            await self._wait(stage)
        else:
            self._served += 1
        place = _Place(self)
        timer = asyncio.get_running_loop().call_later(HOLDS, place.leave)
        try:
            yield waits
        finally:
            timer.cancel()
            place.leave()

    async def _wait(self, stage: Stage) -> None:
        """Whoever leaves gives their place away, so nobody who comes just then slips in between."""
        if len(self._queue) >= MOST_WAITING:
            raise Crowded()
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        heapq.heappush(self._queue, (loop.time() + stage * AHEAD, next(self._number), mine))
        try:
            async with asyncio.timeout(PATIENCE):
                await mine
        except BaseException as error:
            if not mine.cancelled():
                self.leave()  # it was given to somebody who could not wait any longer
            if isinstance(error, TimeoutError):
                raise Crowded() from error
            raise

    def leave(self) -> None:
        while self._queue:
            *_, following = heapq.heappop(self._queue)
            if not following.done():
                following.set_result(None)
                return
        self._served -= 1


class _Place:
    """One of those that are served, given back once."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd: Crowd | None = crowd

    def leave(self) -> None:
        crowd, self._crowd = self._crowd, None
        if crowd is not None:
            crowd.leave()


def in_turn(stage: Stage) -> Any:
    """For a route's dependencies: the first of them, so that nothing was read or opened before."""
    async def turn(request: Request) -> AsyncIterator[None]:
        async with request.app.state.crowd.turn(stage) as waited:
            if waited and await request.is_disconnected():
                raise Crowded()  # nobody is there to be answered
            yield

    return Depends(turn, scope="function")
