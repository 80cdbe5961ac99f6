"""Which failures of a database are its own, which are conflicts worth another try, and which are faults."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pecia_service.errors import ErrorReason, UnavailableError

RETRY_AFTER_SECONDS = 1.0

# Serialization failure and deadlock: https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
_CONFLICTS = frozenset({"40001", "40P01"})

# Connection, resources, operator intervention (which holds query cancellation), the system around PostgreSQL,
# rolled-back transactions; of other classes: a lock that was not to be had, a database that became a replica.
_UNAVAILABLE_CLASSES = frozenset({"08", "53", "57", "58", "40"})
_UNAVAILABLE_STATES = frozenset({"55P03", "25006"})

_SQLITE_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
# Syntax and access rules (what is meant is not there, or may not be used), and damage of the database itself.
_MENDABLE_CLASSES = frozenset({"42", "XX", "F0"})
_SQLITE_MENDABLE = frozenset(
    {
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
    }
)

# Extended result codes have the primary one in their lowest byte: https://sqlite.org/rescode.html
_SQLITE_PRIMARY = 0xFF


class ConflictError(Exception):
    """Raised within a transaction to have it rolled back and run again; see `Database.write`."""


def is_conflict(error: BaseException) -> bool:
    """Tell whether a transaction failed only because of another one, so that it may succeed when repeated."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, ConflictError)
    return sqlstate(error) in _CONFLICTS or _is_stale_statement(error)


def is_busy(error: BaseException) -> bool:
    """Tell whether another process kept a file of SQLite locked.

    Where SQLite waits for the lock, it has done so for as long as it may.
    """
    return isinstance(error, DBAPIError) and _sqlite_code(error) == sqlite3.SQLITE_BUSY


def is_disconnect(error: BaseException) -> bool:
    """Tell whether a statement failed only because its connection was gone, or had a statement gone stale."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or _is_stale_statement(error))


@contextmanager
def waiting_for_operators() -> Iterator[None]:
    """Raise UnavailableError (STORAGE_UNAVAILABLE) where a table or a right is missing, or the store damaged.

    For statements that others have run before: whoever took something away can bring it back, or restore a
    backup, so that work which waits for the database can wait for that too.
    """
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error)[:2] in _MENDABLE_CLASSES or _sqlite_code(error) in _SQLITE_MENDABLE:
            raise _unavailable() from error
        raise


@contextmanager
def translated(*, connecting: bool = False) -> Iterator[None]:
    """Raise UnavailableError (STORAGE_UNAVAILABLE) for what a database or its network did wrong.

    While `connecting` every failure is of that kind. Otherwise a statement that the database refuses is a
    fault of the code and passes as it is.
    """
    try:
        yield
    except (OSError, PoolTimeoutError, ConflictError) as error:
        # asyncpg reports its time limits and broken sockets as they are; TimeoutError is an OSError.
        raise _unavailable() from error
    except DBAPIError as error:
        if connecting or _is_unavailable(error):
            raise _unavailable() from error
        raise


def _unavailable() -> UnavailableError:
    return UnavailableError(
        ErrorReason.STORAGE_UNAVAILABLE,
        "the database does not answer; try again",
        retry_after=RETRY_AFTER_SECONDS,
    )


def _is_unavailable(error: DBAPIError) -> bool:
    state = sqlstate(error)
    return (
        error.connection_invalidated
        or state[:2] in _UNAVAILABLE_CLASSES
        or state in _UNAVAILABLE_STATES
        or _sqlite_code(error) in _SQLITE_UNAVAILABLE
        or _is_stale_statement(error)
    )


def sqlstate(error: DBAPIError) -> str:
    """Return the SQLSTATE, or "" where the driver has none."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state or ""


def _sqlite_code(error: DBAPIError) -> int | None:
    """Return SQLite's primary result code, or None for another engine's error."""
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & _SQLITE_PRIMARY


def _is_stale_statement(error: DBAPIError) -> bool:
    """Tell whether a prepared statement was older than the schema; SQLAlchemy prepares it anew."""
    return type(error.orig).__name__ == "InvalidCachedStatementError"
