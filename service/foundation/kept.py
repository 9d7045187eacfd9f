"""What a view was told before and what is true still: a school's name, its rules, its adults. Read once, not by every page.

This process is the only one that serves (decision 193), and every change goes through `Database.writing`. So nothing
is believed across a transaction of ours that may have decided something: not while it is being committed, nor after. What other
processes write beside us (`chaperone chair`) is seen ten seconds later at the latest. docs/decisions: 103.
"""

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

Found = TypeVar("Found")
STANDS = timedelta(seconds=10)
MOST = 4096


class Memory:
    """Of one database. `decides_nothing`: kinds of events whose transactions change nothing that is ever kept here."""

    def __init__(self, decides_nothing: Collection[str] = ()) -> None:
        self.decides_nothing = frozenset(decides_nothing)
        self.changes = 0
        self.committing = 0
        self.found: dict[Hashable, tuple[datetime, Any]] = {}

    def view(self) -> "View":
        """For a session that is about to begin to read."""
        return View(self)

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Around a writing transaction, from its begin to after its commit."""
        own = Transaction(self)
        try:
            yield own
        finally:
            if own.may_decide:
                self.committing -= 1
                self.forget()

    def forget(self) -> None:
        self.changes += 1
        self.found.clear()


class Transaction:
    """One that writes. Until it says that it commits nobody else can see anything of it."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self.may_decide = memory, False

    def commits(self, kinds: Collection[str]) -> None:
        """It is about to. `kinds`: the events it published; one that published nothing may have written anything."""
        if not kinds or not self._memory.decides_nothing.issuperset(kinds):
            self.may_decide = True
            self._memory.committing += 1
            self._memory.forget()


class View:
    """What one consistent view has been told, and whether others may believe it, or it them: only while nothing was decided
    from before it began until now."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._began = memory.changes if not memory.committing else None
        self._told: dict[Hashable, Any] = {}

    @property
    def _is_current(self) -> bool:
        return self._began == self._memory.changes and not self._memory.committing

    async def ask(self, key: Hashable, now: datetime, read: Callable[[], Awaitable[Found]]) -> Found:
        if key in self._told:
            answer: Found = self._told[key]
            return answer
        kept = self._memory.found.get(key) if self._is_current else None
        if kept is not None and timedelta() <= now - kept[0] < STANDS:
            answer = kept[1]
        else:
            answer = await read()
            if self._is_current:
                if len(self._memory.found) >= MOST:
                    self._memory.found.clear()
                self._memory.found[key] = now, answer
        self._told[key] = answer
        return answer


async def kept(session: AsyncSession, key: Hashable, read: Callable[[], Awaitable[Found]]) -> Found:
    """What `read` finds in this session, or found before where nothing was decided since. A session that writes reads anew.

    `key`: the question with all that its answer depends on, the day where it depends on the day. The answer is shared: frozen.
    """
    view: View | None = session.info.get("view")
    return await read() if view is None else await view.ask(key, session.info["clock"].now(), read)
