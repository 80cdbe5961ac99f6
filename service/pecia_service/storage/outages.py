"""Saying why a database can't be used: to whoever starts a program, and in the log of a server."""

from __future__ import annotations

import os
import socket
import sqlite3

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pecia_service.errors import UnavailableError
from pecia_service.storage.failures import sqlstate
from pecia_service.storage.url import DatabaseUrl, EngineKind


class OutageLog:
    """Logs the first failure of each time that a database is away, and that it is back."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(__name__)
        self._failing = False

    def failed(self, error: UnavailableError) -> None:
        """Take note of a request that the database failed."""
        if self._failing:
            return
        self._failing = True
        cause = _cause(error)
        if isinstance(cause, DBAPIError) and cause.statement is not None:
            # What a database says of a statement can hold values, which are prompts and payloads.
            self._log.warning("database_unavailable", error=_name(cause), sqlstate=sqlstate(cause))
        else:
            self._log.warning("database_unavailable", error=_name(cause), reason=_words(cause))

    def worked(self) -> None:
        """Take note of a request that the database did."""
        if self._failing:
            self._failing = False
            self._log.info("database_available_again")


def explain(url: DatabaseUrl, error: UnavailableError) -> str:
    """Say in a line, without a secret, why a program that is starting can't use a database.

    Only for what was raised before there were values: the driver's own words are repeated.
    """
    cause = _cause(error)
    reason = _words(cause)
    if url.kind is EngineKind.SQLITE and _is_cannot_open(cause):
        reason = _why_not_opened(url.location) or reason
    return f"can't use the database {url}: {reason}"


def _cause(error: UnavailableError) -> BaseException:
    return error.__cause__ or error


def _name(cause: BaseException) -> str:
    """Return the name of the driver's exception."""
    while isinstance(inner := getattr(cause, "orig", None), BaseException):
        cause = inner
    return type(cause).__name__


def _words(cause: BaseException) -> str:
    """Return the driver's words, without the details that follow on lines of their own."""
    match cause:
        case DBAPIError():
            text = str(cause.orig)
        case socket.gaierror():
            text = f"the host is unknown: {cause.strerror}"
        case ConnectionRefusedError():
            text = "the connection was refused: is the database running, and are host and port right?"
        case PoolTimeoutError():
            text = "no connection became free in time"
        case TimeoutError():
            text = "it did not answer in time"
        case _:
            text = str(cause)
    return text.partition("\n")[0] or type(cause).__name__


def _is_cannot_open(cause: BaseException) -> bool:
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlite_errorcode", None) in {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CANTOPEN_ISDIR,
    }


def _why_not_opened(location: str) -> str | None:
    """Look for what SQLite leaves out of its message."""
    directory = os.path.dirname(os.path.abspath(location))
    if os.path.isdir(location):
        return "it is a directory"
    if not os.path.isdir(directory):
        return f"there is no directory {directory}"
    return None
