"""SQLite in the event loop's own process: what is quick runs at once, what may wait runs in the thread that owns the connection.

The driver's own adapter goes to that thread four times for each statement. While the loop is busy each visit waits for the
interpreter to change threads and then for the loop to come round, so at nine o'clock a request waited for the database's answers
longer than the database worked, and a transaction held the one writer for as long. docs/decisions: 94 and 99.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import aiosqlite
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.util import EMPTY_DICT, LRUCache
from sqlalchemy.util.concurrency import await_

from service.foundation.turn import PATIENCE

QUICK = 0.002
"""Seconds. A statement that took longer the last time goes to the thread: the loop has media to pass on."""
STAY, STAY_WRITING = 0.03, 0.05
"""Seconds of one round of the loop after which statements go to the thread; and of a transaction that others wait for."""
KNOWN, FEW = 4096, 20
"""Statements that are remembered; rows of one that are written at once."""


COMPILED: LRUCache[Any, Any] = LRUCache(2 * KNOWN)
"""Statements as SQL, for all engines of the process: writing one out takes longer than most of them run."""


class Dialect(SQLiteDialect_aiosqlite):
    """The driver's own, alike in all engines: a statement is kept under its dialect, which is otherwise another in each."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return type(other) is Dialect

    def __hash__(self) -> int:
        return hash(Dialect)


registry.register("sqlite.nearby", __name__, "Dialect")


class _Said:
    """What a statement left behind, besides its rows. Stands where the adapter expects a driver's cursor."""

    __slots__ = ("arraysize", "description", "lastrowid", "rowcount")

    def __init__(self, cursor: sqlite3.Cursor | None = None) -> None:
        self.description = cursor.description if cursor else None
        self.rowcount = cursor.rowcount if cursor else -1
        self.lastrowid = cursor.lastrowid if cursor else None
        self.arraysize = 1

    def close(self) -> None:
        pass


def _visit(run: Any, operation: str, parameters: Any, begins: bool) -> tuple[_Said, deque[Any], float]:
    """Execute, fetch and close; with the seconds it took."""
    began = time.perf_counter()
    if begins and not run.__self__.in_transaction:
        run.__self__.execute("BEGIN")
    cursor: sqlite3.Cursor = run(operation, parameters)
    rows = deque(cursor.fetchall()) if cursor.description else deque[Any]()
    said = _Said(cursor)
    cursor.close()
    return said, rows, time.perf_counter() - began


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()
    _awaitable_cursor_close = False
    _adapt_connection: "_Connection"

    def __init__(self, adapt_connection: Any) -> None:
        self._adapt_connection, self._connection = adapt_connection, adapt_connection._connection
        self._cursor: Any = _Said()
        self._rows, self._soft_closed_memoized = deque(), EMPTY_DICT

    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        owner = self._adapt_connection
        async with owner._execute_mutex:
            visit = (self._connection._conn.execute, operation, parameters or (), owner.begins)
            stays = owner.may_stay() and owner.dbapi.quick.get(operation, owner.is_writing)
            self._cursor, self._rows, took = _visit(*visit) if stays else await owner.go(_visit, *visit)
            owner.dbapi.learn(operation, took)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        owner = self._adapt_connection
        async with owner._execute_mutex:
            visit = (self._connection._conn.executemany, operation, seq_of_parameters, owner.begins)
            stays = len(seq_of_parameters) <= FEW and owner.may_stay()
            self._cursor, self._rows, _ = _visit(*visit) if stays else await owner.go(_visit, *visit)


class _Connection(AsyncAdapt_aiosqlite_connection):
    """`begins`: the first statement begins a transaction, in the same visit. For connections that only read."""

    __slots__ = ("_is_away", "_took_writer", "begins")
    dbapi: "Nearby"
    _cursor_cls = _Cursor
    _ss_cursor_cls = None  # type: ignore[assignment]  # rows as they come would begin nothing, and so be no consistent view

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.begins = self._is_away = False
        self._took_writer: float | None = None

    @property
    def is_writing(self) -> bool:
        return self._took_writer is not None

    def may_stay(self) -> bool:
        """Whether the next thing may run here: nothing of it is in the thread, and the loop was not kept for long."""
        if self._is_away:
            return False
        if self._took_writer is not None:  # others wait for the writer, longer if the loop went round in between
            return time.perf_counter() - self._took_writer < STAY_WRITING
        return self.dbapi.may_stay()

    async def go(self, run: Callable[..., Any], *arguments: Any) -> Any:
        """Run it in the connection's thread. The loop is others' meanwhile."""
        self._is_away = True  # and stays so for whoever is cancelled here: the thread may be at it still
        try:
            result = await self._connection._execute(run, *arguments)
        except Exception:
            self._is_away = False
            raise
        self._is_away = False
        return result

    def begin_writing(self) -> None:
        """Take SQLite's write lock: at once when it is free, else in the thread, which may wait for another process."""
        connection = self._connection._conn
        try:
            if self._is_away or not _begin_at_once(connection):
                await_(self.go(connection.execute, "BEGIN IMMEDIATE"))
            self._took_writer = time.perf_counter()
            connection.execute("PRAGMA defer_foreign_keys=ON")  # rows may arrive in any order; the commit checks them
        except Exception as error:
            self._handle_exception(error)

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        if self._connection._connection:
            self._end("rollback")

    def _end(self, how: str) -> None:
        """A commit waits for the disk, in the thread. The end of a view waits for nothing."""
        connection = self._connection._conn
        took_writer, held = self._took_writer, self.dbapi.held
        stays = self.begins and self.may_stay()
        self._took_writer = None
        try:
            if self._is_away or (connection.in_transaction and not stays):
                await_(self.go(_end, getattr(connection, how), took_writer, held))
            elif connection.in_transaction:
                connection.rollback()
        except Exception as error:
            self._handle_exception(error)


def _begin_at_once(connection: sqlite3.Connection) -> bool:
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
    finally:
        connection.execute(f"PRAGMA busy_timeout={PATIENCE * 1000:.0f}")
    return connection.in_transaction


def _end(how: Callable[[], None], took_writer: float | None, held: Callable[[float], None]) -> None:
    try:
        how()
    finally:
        if took_writer is not None:
            held(time.perf_counter() - took_writer)


class Nearby(AsyncAdapt_aiosqlite_dbapi):
    """For `create_async_engine(…, module=Nearby(held))`. `held` is told for how many seconds a transaction had the writer."""

    def __init__(self, held: Callable[[float], None]) -> None:
        super().__init__(aiosqlite, sqlite3)
        self.held = held
        self.quick: dict[str, bool] = {}
        self._round_began: float | None = None

    def learn(self, operation: str, took: float) -> None:
        """What a statement took the last time says where it runs the next time. One that nobody knows goes to the thread, unless
        others wait for the writer."""
        if len(self.quick) >= KNOWN:
            self.quick.clear()  # lists of different lengths are different statements
        self.quick[operation] = took < QUICK

    def may_stay(self) -> bool:
        """Whether this round of the loop may take one more statement: a job of a thousand quick ones lets others in between."""
        now = time.perf_counter()
        if self._round_began is None:
            self._round_began = now
            asyncio.get_running_loop().call_soon(self._next_round)
        return now - self._round_began < STAY

    def _next_round(self) -> None:
        self._round_began = None

    def connect(self, *arguments: Any, **named: Any) -> _Connection:
        made = super().connect(*arguments, **{**named, "check_same_thread": False})
        return _Connection(self, made._connection)
