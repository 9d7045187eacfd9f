"""SQLite beside the event loop, one visit a statement: the thread that owns the connection executes, fetches and closes at once.

The driver's own adapter goes there four times for each statement. While the loop is busy each visit waits for the interpreter
to change threads, so at nine o'clock a request waited for the database's answers longer than the database worked.
"""

import sqlite3
from collections import deque
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util import EMPTY_DICT


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


def _visit(run: Any, operation: str, parameters: Any, begins: bool) -> tuple[_Said, deque[Any]]:
    if begins and not run.__self__.in_transaction:
        run.__self__.execute("BEGIN")
    cursor: sqlite3.Cursor = run(operation, parameters)
    rows = deque(cursor.fetchall()) if cursor.description else deque[Any]()
    said = _Said(cursor)
    cursor.close()
    return said, rows


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()
    _awaitable_cursor_close = False
    _adapt_connection: "_Connection"

    def __init__(self, adapt_connection: Any) -> None:
        self._adapt_connection, self._connection = adapt_connection, adapt_connection._connection
        self._cursor: Any = _Said()
        self._rows, self._soft_closed_memoized = deque(), EMPTY_DICT

    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        await self._go(self._connection._conn.execute, operation, parameters or ())

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        await self._go(self._connection._conn.executemany, operation, seq_of_parameters)

    async def _go(self, run: Any, operation: Any, parameters: Any) -> None:
        async with self._adapt_connection._execute_mutex:
            begins = self._adapt_connection.begins
            self._cursor, self._rows = await self._connection._execute(_visit, run, operation, parameters, begins)


class _Connection(AsyncAdapt_aiosqlite_connection):
    """`begins`: the first statement begins a transaction, in the same visit. For connections that only read."""

    __slots__ = ("begins",)
    _cursor_cls = _Cursor
    _ss_cursor_cls = None  # type: ignore[assignment]  # rows as they come would begin nothing, and so be no consistent view

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.begins = False


class OneVisit(AsyncAdapt_aiosqlite_dbapi):
    """For `create_async_engine(…, module=OneVisit())`."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arguments: Any, **named: Any) -> _Connection:
        made = super().connect(*arguments, **named)
        return _Connection(self, made._connection)
