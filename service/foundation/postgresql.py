"""PostgreSQL: one writer among all processes, and one process that serves. docs/decisions: 192 and 193."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, NullPool, event, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.foundation.errors import Unavailable
from service.foundation.turn import PATIENCE, WriterBusy

log = structlog.get_logger(__name__)

WRITER, SERVES = 6962, 6963
"""Advisory locks: of the one that writes, for a transaction; of the process that serves, for life."""
TURNS = "serving_turn"
"""A sequence that each process draws from when it begins to serve. After a crash of the server it may skip: the safe side."""
SETTLES = 4.0
"""Seconds after which whatever another process proved before it lost the lock has run out (three, see `deadlines`)."""
LOOKS, WAITS = 1.0, 2.0
"""Seconds between two looks at whether we still hold it; for which one waits for who served before to be gone."""
ENDS = 10.0
"""Seconds that a process has for an orderly end."""
LOCK_NOT_AVAILABLE = "55P03"


def _session(patience: float) -> str:
    """What each connection asks of the server, whatever its configuration says. Who is gone is noticed in half a minute."""
    return (f"-c TimeZone=UTC -c synchronous_commit=on -c lock_timeout={patience * 1000:.0f} "
            "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4")


def _connect_args(patience: float) -> dict[str, Any]:
    """The same, and that we notice in as long when the server's machine is gone: nothing waits for an answer for ever."""
    return {"options": _session(patience), "connect_timeout": int(PATIENCE), "keepalives_idle": 10, "keepalives_interval": 5,
            "keepalives_count": 4, "tcp_user_timeout": 10_000}


_open = partial(create_async_engine, hide_parameters=True)


_pause = asyncio.sleep


def _end() -> None:
    """This process stops as when it is told to, and in any case; whoever looks after it starts it again."""
    asyncio.get_running_loop().call_later(ENDS, os._exit, 1)
    os.kill(os.getpid(), signal.SIGTERM)


class AlreadyServed(Unavailable):
    """Another Chaperone is already using this database. Stop it first."""


class Overtaken(Unavailable):
    """Another Chaperone has served this database since, or it was brought back. What is in memory here is of another time."""


class NotServing(Unavailable):
    """This is not available just now. Nothing has been saved. Try again in a minute."""

    retry_after = 3


def open_postgresql(url: str, *, serving: "Serving", reads_only: bool = False) -> AsyncEngine:
    """An engine whose writing transactions are alone, and whose reading ones are one view and write nothing."""
    engine = _open(
        url, connect_args=_connect_args(PATIENCE), pool_pre_ping=True,
        isolation_level="REPEATABLE READ" if reads_only else "READ COMMITTED",
        execution_options={"postgresql_readonly": reads_only})
    if not reads_only:
        event.listen(engine.sync_engine, "begin", _be_the_writer)
    event.listen(engine.sync_engine, "begin", serving.check)
    return engine


def _be_the_writer(connection: Connection) -> None:
    """Each statement from here on sees all that was committed, and nobody else commits. Raises WriterBusy."""
    try:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") == LOCK_NOT_AVAILABLE:
            raise WriterBusy() from error
        raise


class Serving:
    """That this process is the one that serves. A connection of its own holds the lock, and with it a second one under a number
    that no other process knows. Every transaction asks first whether that is still held: when the connection is gone, nothing is
    read or written any more, and rooms, whose proofs come from reading, shut by themselves (invariant I8).

    Who serves draws the next number of a sequence. A process that lost the lock serves again only if nobody has drawn since: its
    rooms would be of before. Else it ends. It ends, too, where the database is not the one that it was (`keep_to`).
    """

    def __init__(self, url: str) -> None:
        self._engine = _open(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_connect_args(WAITS))
        self._number = secrets.randbelow(2**31)
        self._serves = self._is_over = False
        self._turn = 0
        self._is_same: Callable[[AsyncConnection], Awaitable[bool]] | None = None
        self._connection: AsyncConnection | None = None

    def check(self, connection: Connection) -> None:
        """Raises NotServing in a process that serves, or did. A command beside the service has nothing to lose."""
        if self._is_over or (self._serves and connection.exec_driver_sql(
                f"SELECT pg_try_advisory_xact_lock_shared({SERVES}, {self._number})").scalar()):
            raise NotServing()

    def keep_to(self, is_same: Callable[[AsyncConnection], Awaitable[bool]]) -> None:
        """From here on whoever lost the connection asks this of the database before it serves again."""
        self._is_same = is_same

    def end(self) -> None:
        """This process reads and writes nothing any more, and stops."""
        self._is_over = True
        _end()

    @asynccontextmanager
    async def held(self, settles: float) -> AsyncIterator[None]:
        """Raises AlreadyServed. `settles`: seconds from the lock until this process serves."""
        await self._take(settles)
        self._serves = True
        keeping = asyncio.create_task(self._keep(settles), name="serving")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._let_go()

    async def _take(self, settles: float) -> None:
        self._connection = await self._engine.connect()
        try:
            if self._turn:
                await self._check_turn(self._connection)
            await self._connection.execute(text(f"SELECT pg_advisory_lock({SERVES})"))
            await asyncio.sleep(settles)
            await self._connection.execute(text(f"CREATE SEQUENCE IF NOT EXISTS {TURNS}"))
            if self._turn:
                await self._check_turn(self._connection)
            self._turn = (await self._connection.execute(text(f"SELECT nextval('{TURNS}')"))).scalar_one()
            await self._connection.execute(text(f"SELECT pg_advisory_lock({SERVES}, {self._number})"))
        except BaseException as error:
            await self._let_go()
            if isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") == LOCK_NOT_AVAILABLE:
                raise AlreadyServed() from error
            raise

    async def _check_turn(self, connection: AsyncConnection) -> None:
        if (await connection.execute(text(f"SELECT last_value FROM {TURNS}"))).scalar_one() != self._turn:
            raise Overtaken()
        if self._is_same and not await self._is_same(connection):
            raise Overtaken()

    async def _keep(self, settles: float) -> None:
        """The database was started again, say: who comes first serves from then on, and whoever served before that ends."""
        while True:
            await _pause(LOOKS)
            try:
                if self._connection is None:
                    await self._take(settles)
                    log.warning("serving.again")
                else:
                    await self._connection.execute(text("SELECT 1"))
            except Overtaken:
                log.error("serving.overtaken")
                self.end()
                return
            except (AlreadyServed, SQLAlchemyError, OSError) as error:  # of a disk: whether it is the same cannot be told
                log.warning("serving.lost", error=type(error).__name__)
                await self._let_go()

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # it may be broken, and is let go for that
                await connection.execute(text("SELECT pg_advisory_unlock_all()"))  # the server would notice a moment later
            with suppress(SQLAlchemyError):
                await connection.close()
