"""Why a database can't be used: all of it for who starts a program, and no values in a log."""

import socket
import sqlite3

import pytest
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.storage.outages import OutageLog, explain
from pecia_service.storage.url import DatabaseUrl
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from structlog.testing import capture_logs

POSTGRESQL = DatabaseUrl.parse("postgresql://u:my-secret@h/d")
LOCKED = sqlite3.OperationalError("database is locked")


def unavailable(cause: BaseException) -> UnavailableError:
    """Make the error as storage raises it."""
    error = UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "the database does not answer; try again")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host is unknown: Name or service not known"),
        (TimeoutError(), "it did not answer in time"),
        (PoolTimeoutError("QueuePool limit of size 1 reached"), "no connection became free in time"),
        (OSError("Multiple exceptions: one, two"), "Multiple exceptions: one, two"),
        (ConnectionResetError(), "ConnectionResetError"),
        (DBAPIError.instance(None, None, LOCKED, sqlite3.Error), "database is locked"),
        (sqlite3.OperationalError("first\nDETAIL: second"), "first"),
    ],
)
def test_the_reason_is_one_line(cause: BaseException, reason: str) -> None:
    """The driver's words where it has some, with the URL but not its password."""
    assert f"can't use the database postgresql://u:***@h/d: {reason}" == explain(
        POSTGRESQL, unavailable(cause)
    )


def test_a_statement_s_error_is_logged_without_its_words() -> None:
    """They could hold values; the type of the driver's error is enough to look it up."""
    driver = sqlite3.OperationalError("disk I/O error near my-secret")
    with capture_logs() as logs:
        OutageLog().failed(unavailable(OperationalError("INSERT …", {"prompt": "my-secret"}, driver)))
    assert [
        {
            "event": "database_unavailable",
            "log_level": "warning",
            "error": "OperationalError",
            "sqlstate": "",
        }
    ] == logs


def test_each_time_is_logged_once() -> None:
    """However many requests fail, and again when it is away again."""
    outages = OutageLog()
    with capture_logs() as logs:
        outages.worked()
        for _ in range(2):
            outages.failed(unavailable(TimeoutError()))
            outages.failed(unavailable(TimeoutError()))
            outages.worked()
            outages.worked()
    assert ["database_unavailable", "database_available_again"] * 2 == [entry["event"] for entry in logs]
