"""Whose turn it is to write."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.foundation.errors import Unavailable

PATIENCE = 10.0
"""Seconds for which a writer waits: for its turn, and for another process that writes."""


class WriterBusy(Unavailable):
    """This is not available just now. Nothing has been saved. Try again in a minute."""

    retry_after = 3


class Turn:
    """There is one writer. Waiting here is first come, first served, but for what closes, which goes before the others;
    waiting inside the database is by luck, and starves."""

    def __init__(self) -> None:
        self._is_taken = False
        self._closing, self._waiting = deque[asyncio.Future[None]](), deque[asyncio.Future[None]]()

    @asynccontextmanager
    async def taken(self, *, first: bool = False) -> AsyncIterator[None]:
        """Raises WriterBusy after ten seconds."""
        if self._is_taken:
            await self._come(self._closing if first else self._waiting)
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _come(self, queue: deque[asyncio.Future[None]]) -> None:
        mine = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            async with asyncio.timeout(PATIENCE):
                await mine
        except BaseException as error:
            if not mine.cancelled():
                self._pass_on()  # it was given to somebody who could not wait any longer
            if isinstance(error, TimeoutError):
                raise WriterBusy() from error
            raise

    def _pass_on(self) -> None:
        """To the next who still waits: the turn stays taken, so nobody who comes just then slips in between."""
        for queue in (self._closing, self._waiting):
            while queue:
                if not (following := queue.popleft()).done():
                    following.set_result(None)
                    return
        self._is_taken = False
