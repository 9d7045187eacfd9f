"""The database: one engine, one transaction a request, durable before it is seen.

SQLite is the embedded default (WAL, synchronous=FULL: an acknowledged row survives a power cut); PostgreSQL is the same
code by one setting. A writing session takes SQLite's write lock when it begins, so that a reader can never be refused in
the middle of becoming a writer.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import Histogram
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Unavailable

WRITE_SECONDS = Histogram(
    "chaperone_write_transaction_seconds", "How long a write transaction held the database",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)


def new_id() -> str:
    """An opaque id of 128 random bits that names nobody and grants nothing."""
    return secrets.token_hex(16)


def IdField(**kwargs: Any) -> Any:
    return Field(default_factory=new_id, primary_key=True, max_length=32, **kwargs)


def open_engine(url: str) -> AsyncEngine:
    """An engine for `url`. SQLite gets WAL, synchronous=FULL, foreign keys and secure deletion on every connection."""
    sqlite = url.startswith("sqlite")
    # An error of SQL is logged with what went wrong, never with the values: they are children's names (policy: CO4).
    engine = create_async_engine(url, hide_parameters=True, **({"connect_args": {"timeout": 10}} if sqlite else {}))
    if sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    writing = connection.get_execution_options().get("writing", True)
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writing else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")  # rows may arrive in any order; the commit checks them


class Database:
    """The engine and what every session carries: `info` is where `bus.publish` finds its clock and its subscribers."""

    def __init__(self, url: str, info: dict[str, Any]):
        self.engine = open_engine(url)
        self._one_writer = asyncio.Lock() if url.startswith("sqlite") else None
        self._lookups = open_engine(url)
        self._sessions = async_sessionmaker(self.engine, class_=AsyncSession, expire_on_commit=False, info=info)
        self._glances = async_sessionmaker(self._lookups, class_=AsyncSession, expire_on_commit=False, info=info)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back whole when anything raises.

        What was published is delivered from here on, not before: until the commit there is nothing to see.
        """
        async with self._turn(), self._sessions() as session:
            async with session.begin():
                await session.connection()
                began = time.perf_counter()
                yield session
            WRITE_SECONDS.observe(time.perf_counter() - began)
            if session.info.get("published"):
                session.info["outbox"].set()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """SQLite has one writer. Waiting here is first come, first served; waiting inside SQLite is by luck, and starves."""
        if self._one_writer is None:
            yield
            return
        try:
            async with asyncio.timeout(10):
                await self._one_writer.acquire()
        except TimeoutError as error:
            raise Unavailable() from error
        try:
            yield
        finally:
            self._one_writer.release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One consistent view; nothing can be written through it."""
        async with self._sessions() as session:
            await session.connection(execution_options={"writing": False})
            yield session

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[AsyncSession]:
        """A short look-up beside a request's own session (who is signed in, what the frame shows).

        It has connections of its own: requests that each hold one and want a second would otherwise wait for each other.
        """
        async with self._glances() as session:
            await session.connection(execution_options={"writing": False})
            yield session

    async def close(self) -> None:
        await self.engine.dispose()
        await self._lookups.dispose()
