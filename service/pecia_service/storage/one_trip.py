"""A connection to SQLite that goes to its thread once for a statement, where aiosqlite goes four times.

Such a trip is two switches between threads, and costs several times what a short statement does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from typing import Any, Self

import aiosqlite
from aiosqlite.context import contextmanager


class OneTripConnection(aiosqlite.Connection):
    """A connection whose statements are run, read and closed in one trip. Nobody can read rows one by one."""

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        """Make a cursor, which needs no trip: SQLAlchemy has the connection opened for use by any thread."""
        return _OneTripCursor(self, self._conn.cursor())

    async def rollback(self) -> None:
        """Roll back if a transaction is open, which only those that write begin."""
        if self.in_transaction:
            await super().rollback()


class _OneTripCursor(aiosqlite.Cursor):
    _rows: list[Any]

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Self:
        return await self._go(sqlite3.Cursor.execute, sql, parameters or ())

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Self:
        return await self._go(sqlite3.Cursor.executemany, sql, parameters)

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Do nothing: each statement closes its own cursor."""

    async def _go(self, how: Callable[..., object], sql: str, parameters: Iterable[Any]) -> Self:
        at_thread: Callable[..., Awaitable[None]] = self._execute
        await at_thread(self._run, how, sql, parameters)
        return self

    def _run(self, how: Callable[..., object], sql: str, parameters: Iterable[Any]) -> None:
        # All at once, so that it also ends if nobody waits for it any more. A cursor left open would keep a
        # connection after its closing, and with it its transaction, whose lock lets nobody else write
        # (https://sqlite.org/c3ref/close.html).
        self._cursor = self._cursor.connection.cursor()
        with closing(self._cursor):
            how(self._cursor, sql, parameters)
            self._rows = self._cursor.fetchall()
