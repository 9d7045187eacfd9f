"""The database: one engine, one transaction a request, durable before it is seen.

SQLite is the embedded default (WAL, synchronous=FULL: an acknowledged row survives a power cut); PostgreSQL is the same
code by one setting. On both a writing session is the only one from its begin to its commit, so that what a command read is
still true when it writes; a reading one is one consistent view. docs/decisions: 2, 94, 99 and 192.
"""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

from prometheus_client import Histogram
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.kept import Memory
from service.foundation.postgresql import SETTLES, Serving, open_postgresql
from service.foundation.sqlite import COMPILED, Nearby
from service.foundation.turn import PATIENCE, Turn

WRITE_SECONDS = Histogram(
    "chaperone_write_transaction_seconds", "How long a write transaction held the database's one writer",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)


def new_id() -> str:
    """An opaque id of 128 random bits that names nobody and grants nothing."""
    return secrets.token_hex(16)


def IdField(**kwargs: Any) -> Any:
    return Field(default_factory=new_id, primary_key=True, max_length=32, **kwargs)


def open_sqlite(url: str, *, reads_only: bool = False) -> AsyncEngine:
    """WAL, synchronous=FULL, foreign keys and secure deletion on every connection."""
    # An error of SQL is logged with what went wrong, never with the values: they are children's names (policy: CO4).
    engine = create_async_engine(
        make_url(url).set(drivername="sqlite+nearby"), hide_parameters=True, module=Nearby(WRITE_SECONDS.observe),
        connect_args={"timeout": PATIENCE}, execution_options={"compiled_cache": COMPILED})
    event.listen(engine.sync_engine, "connect", _reads_only if reads_only else _prepare)
    if not reads_only:  # a reading connection says it with its first statement
        event.listen(engine.sync_engine, "begin", _begin_writing)
    return engine


PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")


def _prepare(connection: Any, _record: object, more: tuple[str, ...] = ()) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (*PRAGMAS, *more):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _reads_only(connection: Any, record: object) -> None:
    _prepare(connection, record, ("query_only=ON",))
    connection.begins = True


def _begin_writing(connection: Any) -> None:
    connection.connection.dbapi_connection.begin_writing()


class Database:
    """The engines and what every session carries: `info` is where `bus.publish` finds its clock and its subscribers.

    Requests may hold a reading session, look something up beside it and then write, so each of the three has connections of its
    own: whoever holds one and wants another would otherwise wait for others who do the same.
    """

    def __init__(self, url: str, info: dict[str, Any]):
        self._serving = None if url.startswith("sqlite") else Serving(url)
        opened = partial(open_postgresql, serving=self._serving) if self._serving else open_sqlite
        self.engine = opened(url)
        self._readers, self._lookups = opened(url, reads_only=True), opened(url, reads_only=True)
        self._turn = Turn()
        self.memory = Memory(info.get("decides_nothing", ()))
        self._sessions, self._readings, self._glances = (
            async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False, info=info)
            for engine in (self.engine, self._readers, self._lookups))

    @asynccontextmanager
    async def writing(self, *, closes: bool = False, decides: bool = True) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back whole when anything raises.

        What was published is delivered from here on, not before: until the commit there is nothing to see. What `closes` a room
        or ends access, or proves who wants to, waits for the transaction that is under way and for no other (goal G3).
        What `decides` nothing changes nothing that a view may have been told before (`kept`).
        """
        async with self._turn.taken(first=closes), self._sessions() as session:
            with self.memory.transaction() as transaction:
                async with session.begin():
                    await session.connection()
                    began = time.perf_counter()
                    yield session
                    if decides:
                        transaction.commits(session.info.get("kinds", ()))
            if self._serving:  # a connection to SQLite says itself when it let go of the writer
                WRITE_SECONDS.observe(time.perf_counter() - began)
            if session.info.get("published"):
                session.info["outbox"].set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One consistent view; nothing can be written through it."""
        async with self._readings() as session:
            session.info["view"] = self.memory.view()
            yield session

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[AsyncSession]:
        """A short look-up beside a request's own session (who is signed in, what the frame shows)."""
        async with self._glances() as session:
            session.info["view"] = self.memory.view()
            yield session

    @asynccontextmanager
    async def served(self, *, settles: float = SETTLES) -> AsyncIterator[None]:
        """While the block runs, this process serves and no other does. On SQLite the lock of the data folder says so already.

        Raises AlreadyServed.
        """
        async with self._serving.held(settles) if self._serving else nullcontext():
            yield

    def keep_to(self, is_same: Callable[[AsyncConnection], Awaitable[bool]]) -> None:
        """Serve this database and no other: one that comes back is asked first. On SQLite nobody exchanges an open file."""
        if self._serving:
            self._serving.keep_to(is_same)

    def end(self) -> None:
        """This is not the database that was served: nothing is read or written any more, and the process stops."""
        if self._serving:
            self._serving.end()

    async def close(self) -> None:
        for engine in (self.engine, self._readers, self._lookups):
            await engine.dispose()
