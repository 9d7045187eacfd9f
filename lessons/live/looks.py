"""One look at the database answers every live lesson that asked before it began: whether its plan is current, and who of those
inside is still signed in (invariant I8). docs/decisions: 98 and 184."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import bindparam
from sqlmodel import col, select

from lessons.live import reading
from lessons.live.host import Check
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.people.tables import SignIn

HANGS = 1.0
"""Seconds after which nobody waits any longer for somebody else's look: well before a plan's proof runs out."""
_SIGNED_IN = select(SignIn.id).where(
    col(SignIn.id).in_(bindparam("sessions", expanding=True)), col(SignIn.ended_at).is_(None), SignIn.ends_at > bindparam("now"))


@dataclass(eq=False)
class _Question:
    """What a host asks: whether anything was decided since `seen` that concerns its plan, and which sessions are over."""

    seen: int
    sessions: set[str]
    whom: Collection[str]
    answer: Check | None = None


class Looks:
    """Of one process. `seen` is told of each session that is in a lesson."""

    def __init__(self, database: Database, clock: Clock, seen: Callable[[str], None]):
        self._database, self._clock, self._mark_seen = database, clock, seen
        self._questions: list[_Question] = []
        self._looking = asyncio.Lock()

    async def check(self, seen: int, sessions: set[str], whom: Collection[str]) -> Check:
        """What a host asks twice a second: all of them ask in the same moment, and by one look all are answered.

        `whom`: the host's lesson and who is in its plan; what is decided about another child or lesson alone concerns it not.
        """
        question = _Question(seen, sessions, whom)
        self._questions.append(question)
        try:
            async with self._turn():
                if question.answer is None:
                    await asyncio.sleep(0)  # the others of the same moment
                    if asked := [one for one in self._questions if one.answer is None]:
                        await self._look(asked)
            assert question.answer is not None
            return question.answer
        finally:
            self._questions.remove(question)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """When the look before is done; or hangs, for then the next begins beside it and only the lesson that began it waits."""
        while True:
            turn = self._looking
            try:
                async with asyncio.timeout(HANGS):
                    await turn.acquire()
                break
            except TimeoutError:
                if turn is self._looking:
                    self._looking = asyncio.Lock()
        try:
            yield
        finally:
            turn.release()

    async def _look(self, questions: list[_Question]) -> None:
        now, sessions = self._clock.now(), sorted(set[str]().union(*(one.sessions for one in questions)))
        async with self._database.glance() as session:
            since = await reading.decided(session, min(one.seen for one in questions))
            signed_in = frozenset((await session.exec(_SIGNED_IN, params={"sessions": sessions, "now": now})).all())
        for session_id in signed_in:
            self._mark_seen(session_id)  # who is in a lesson is not idle
        for one in questions:
            one.answer = Check(since.stands, since.concerns(one.whom, one.seen), frozenset(one.sessions) - signed_in)
