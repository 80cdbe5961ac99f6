"""`pecia serve`: run a server; every setting is a flag and an environment variable."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import click

from pecia_service.cli.database import database_errors
from pecia_service.cli.failures import InputError, RefusedError
from pecia_service.server.loop import loop_factory
from pecia_service.server.starting import StartError, UnusableSettingError
from pecia_service.server.workers.command import supervisor_command, with_settings
from pecia_service.server.workers.link import Report, SupervisorLink
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


def _link(ctx: click.Context, param: click.Parameter, text: str | None) -> SupervisorLink | None:
    if text is None:
        return None
    try:
        return SupervisorLink.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


class _ServeCommand(click.Command):
    """Suggests, for an option that is none, only options that are shown."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hidden = {name for param in self.params if getattr(param, "hidden", False) for name in param.opts}
            shown = [name for name in error.possibilities or () if name not in hidden]
            raise click.NoSuchOption(error.option_name, possibilities=shown, ctx=ctx) from None


@click.command(cls=_ServeCommand, short_help="Run a server.")
@_setting_options
@click.option("--worker", hidden=True, callback=_link)
def serve(worker: SupervisorLink | None, **flags: str | None) -> None:
    """Run a server until SIGTERM or SIGINT.

    A flag goes before its environment variable. SQLite needs no set-up; a PostgreSQL database must be
    migrated first (pecia migrate). Beyond loopback the server listens with TLS and authentication only.

    \b
    Examples:
      pecia serve
      PECIA_DATABASE_URL=postgresql://pecia@db/pecia pecia serve --listen 127.0.0.1:50052
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings.load(os.environ, given)
    except SettingsError as error:
        raise InputError(str(error)) from None
    if worker is None and settings.workers > 1:
        _become_supervisor(given)
    with database_errors(settings.database_url):
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(_run(settings, worker))
        except (SettingsError, UnusableSettingError) as error:
            raise InputError(str(error)) from None
        except StartError as error:
            raise RefusedError(str(error)) from None


def _become_supervisor(flags: Mapping[str, str]) -> NoReturn:
    """Go on as a supervisor, which needs nothing of what this process has loaded."""
    command = supervisor_command()
    os.execve(command[0], command, with_settings(os.environ, flags))


async def _run(settings: Settings, link: SupervisorLink | None) -> None:
    from pecia_service.server.app import serve as run_server  # noqa: PLC0415 - a supervisor needs none of it

    if link is None:
        await run_server(settings)
    else:
        link.watch()
        await run_server(settings, lambda metrics: link.report(Report(metrics)), worker=link.index)
