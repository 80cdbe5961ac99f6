"""Commands that use a database themselves: what keeps them from it is one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pecia_service.cli.failures import ExitCode, InputError, RefusedError
from pecia_service.errors import UnavailableError
from pecia_service.storage.outages import explain
from pecia_service.storage.schema import SchemaError
from pecia_service.storage.url import DatabaseUrl


class DatabaseError(InputError):
    """The database can't be used; the message has the driver's reason."""

    exit_code = ExitCode.UNAVAILABLE


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """End the command in one line when the database can't be used, or has another schema."""
    try:
        yield
    except UnavailableError as error:
        raise DatabaseError(f"{explain(DatabaseUrl.parse(url), error)} [{error.reason.name}]") from None
    except SchemaError as error:
        raise RefusedError(str(error)) from None
