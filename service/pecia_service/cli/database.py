"""Commands that use a database themselves: what keeps them from it is one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pecia_service.cli.failures import ExitCode, InputError, RefusedError
from pecia_service.errors import UnavailableError
from pecia_service.settings import SETTINGS
from pecia_service.storage.outages import explain
from pecia_service.storage.schema import SchemaError
from pecia_service.storage.url import DatabaseUrl, EngineKind

_Command = TypeVar("_Command", bound=Callable[..., Any])

_URL = next(setting for setting in SETTINGS if setting.name == "database_url")


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


def database_option(command: _Command) -> _Command:
    """Add --database-url, whose value `checked_url` reads, to a command."""
    return click.option(
        _URL.flag,
        _URL.name,
        envvar=_URL.env,
        default=_URL.default,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
    )(command)


def checked_url(text: str) -> str:
    """Return the current command's database URL; raises InputError for one that can't be read."""
    try:
        return str(_URL.parse(text))
    except ValueError as error:
        source = click.get_current_context().get_parameter_source(_URL.name)
        where = _URL.env if source is ParameterSource.ENVIRONMENT else _URL.flag
        raise InputError(f"{where} {error}") from None


def shown_database(url: str) -> str:
    """Return a URL as it may be shown: without a password, and with a file's whole path."""
    parsed = DatabaseUrl.parse(url)
    if parsed.kind is EngineKind.SQLITE:
        parsed = replace(parsed, location=os.path.abspath(parsed.location))
    return str(parsed)


def require_file(url: str) -> None:
    """Raise InputError for a file of SQLite that is not there, which opening it would make."""
    parsed = DatabaseUrl.parse(url)
    if parsed.kind is EngineKind.SQLITE and not os.path.exists(parsed.location):
        raise InputError(
            f"there is no database {shown_database(url)}; name another with {_URL.flag} or {_URL.env}, "
            "start the server once, or run: pecia migrate"
        )
