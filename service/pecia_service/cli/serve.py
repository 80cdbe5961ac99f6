"""`pecia serve`: run a server; every setting is a flag and an environment variable."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pecia_service.cli.database import database_errors
from pecia_service.cli.failures import InputError, RefusedError
from pecia_service.server.app import serve as run_server
from pecia_service.server.listening import ListenError
from pecia_service.server.loop import loop_factory
from pecia_service.settings import SETTINGS, Settings, SettingsError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _setting_options(command: _Command) -> _Command:
    """Add a flag for each setting; flags keep their text, so that Settings alone reads and checks it."""
    for setting in reversed(SETTINGS):
        command = click.option(
            setting.flag,
            setting.name,
            metavar="VALUE",
            help=f"{setting.help}  [{setting.env}; default: {setting.default}]",
        )(command)
    return command


@click.command(short_help="Run a server.")
@_setting_options
def serve(**flags: str | None) -> None:
    """Run a server until SIGTERM or SIGINT.

    A flag goes before its environment variable. SQLite needs no set-up; a PostgreSQL database must be
    migrated first (pecia migrate). The server listens on loopback addresses only.

    \b
    Examples:
      pecia serve
      PECIA_DATABASE_URL=postgresql://pecia@db/pecia pecia serve --listen 127.0.0.1:50052
    """
    try:
        settings = Settings.load(
            os.environ, {name: value for name, value in flags.items() if value is not None}
        )
    except SettingsError as error:
        raise InputError(str(error)) from None
    with database_errors(settings.database_url):
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(run_server(settings))
        except ListenError as error:
            raise RefusedError(str(error)) from None
