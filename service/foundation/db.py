"""The database: one engine, one transaction a request, durable before it is seen.

SQLite is the embedded default (WAL, synchronous=FULL: an acknowledged row survives a power cut); PostgreSQL is the same
code by one setting. On both a writing session is the only one from its begin to its commit, so that what a command read is
still true when it writes; a reading one is one consistent view. docs/decisions: 2, 94, 99 and 192.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from prometheus_client import Histogram
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Unavailable
from service.foundation.kept import Memory
from service.foundation.sqlite import COMPILED, PATIENCE, Nearby

WRITE_SECONDS = Histogram(
    "chaperone_write_transaction_seconds", "How long a write transaction held the database's one writer",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)


def new_id() -> str:
    """An opaque id of 128 random bits that names nobody and grants nothing."""
    return secrets.token_hex(16)


def IdField(**kwargs: Any) -> Any:
    return Field(default_factory=new_id, primary_key=True, max_length=32, **kwargs)


def open_engine(url: str, *, reads_only: bool = False) -> AsyncEngine:
    """An engine for `url` whose writing transactions are alone, and whose reading ones are one view and write nothing."""
    return (_sqlite if is_sqlite(url) else _postgresql)(url, reads_only)


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


# An error of SQL is logged with what went wrong, never with the values: they are children's names (policy: CO4).
_open = partial(create_async_engine, hide_parameters=True)


def _sqlite(url: str, reads_only: bool) -> AsyncEngine:
    """WAL, synchronous=FULL, foreign keys and secure deletion on every connection."""
    engine = _open(url, connect_args={"timeout": PATIENCE}, module=Nearby(WRITE_SECONDS.observe))
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


WRITER = 6962
"""The advisory lock of PostgreSQL that makes a writing session the only one, of every process on this database."""
SESSION = f"-c TimeZone=UTC -c synchronous_commit=on -c lock_timeout={PATIENCE * 1000:.0f}"
"""What every connection to PostgreSQL asks of the server, whatever its own configuration says."""


def _postgresql(url: str, reads_only: bool) -> AsyncEngine:
    engine = _open(
        url, connect_args={"options": SESSION, "connect_timeout": int(PATIENCE)}, pool_pre_ping=True,
        isolation_level="REPEATABLE READ" if reads_only else "READ COMMITTED",
        execution_options={"postgresql_readonly": reads_only})
    if not reads_only:
        event.listen(engine.sync_engine, "begin", _be_the_writer)
    return engine


def _be_the_writer(connection: Connection) -> None:
    """Each statement from here on sees all that was committed, and nobody else commits. Raises WriterBusy."""
    try:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") == "55P03":  # lock_not_available
            raise WriterBusy() from error
        raise


class Database:
    """The engines and what every session carries: `info` is where `bus.publish` finds its clock and its subscribers.

    Requests may hold a reading session, look something up beside it and then write, so each of the three has connections of its
    own: whoever holds one and wants another would otherwise wait for others who do the same.
    """

    def __init__(self, url: str, info: dict[str, Any]):
        self.engine = open_engine(url)
        self._readers, self._lookups = open_engine(url, reads_only=True), open_engine(url, reads_only=True)
        self._turn, self._is_timed = Turn(), is_sqlite(url)
        self.memory = Memory(info.get("decides_nothing", ()))
        self._sessions, self._readings, self._glances = (
            async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False, info=info)
            for engine in (self.engine, self._readers, self._lookups))

    @asynccontextmanager
    async def writing(self, *, closes: bool = False, decides: bool = True) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back whole when anything raises.

        What was published is delivered from here on, not before: until the commit there is nothing to see. What `closes` a room
        or ends access, or proves who wants to, waits for the transaction that is under way and for no other (security G3).
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
            if not self._is_timed:  # a connection to SQLite says itself when it let go of the writer
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

    async def close(self) -> None:
        for engine in (self.engine, self._readers, self._lookups):
            await engine.dispose()


class WriterBusy(Unavailable):
    """This is not available just now. Nothing has been saved. Try again in a minute."""

    retry_after = 3


class Turn:
    """There is one writer. Waiting here is first come, first served, but for what closes, which goes before the others;
    waiting inside SQLite is by luck, and starves."""

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
