"""Commands that use a database themselves: what keeps them from it is one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pecia_service.cli.failures import ExitCode, InputError, RefusedError
from pecia_service.errors import UnavailableError
from pecia_service.settings import SETTINGS
from pecia_service.storage.outages import explain
from pecia_service.storage.schema import SchemaError
from pecia_service.storage.url import DatabaseUrl

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
