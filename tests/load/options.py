"""The options of the command that say where the server is and how to speak to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from load.plan import Connection
from pecia_client import DEFAULT_TARGET, check_target
from pecia_client.security import Security
from pecia_service.settings import SETTINGS

_Command = TypeVar("_Command", bound=Callable[..., Any])

API_KEY_VARIABLE: Final = "PECIA_API_KEY"
PUBLIC: Final = "public"

_FILES: Final = (
    ("ca", "PECIA_CA", f"Speak TLS, and trust these authorities (PEM); {PUBLIC} means the well-known ones."),
    ("client-certificate", "PECIA_CLIENT_CERTIFICATE", "Client certificate (PEM)."),
    ("client-key", "PECIA_CLIENT_KEY", "Key of the client certificate (PEM)."),
    ("api-key-file", None, f"File with the API key, instead of {API_KEY_VARIABLE}."),
)


def connection_options(command: _Command) -> _Command:
    """Add the options that `connection_to` reads, as `pecia` has them."""
    for name, variable, text in reversed(_FILES):
        command = click.option(
            f"--{name}",
            envvar=variable,
            show_envvar=variable is not None,
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help=text,
        )(command)
    return click.option(
        "--target",
        envvar="PECIA_TARGET",
        show_envvar=True,
        default=DEFAULT_TARGET,
        metavar="HOST:PORT",
        help="The server.",
    )(command)


def connection_to(target: str) -> Connection:
    """Return the connection that the current command's options describe; raises UsageError."""
    ca, certificate, key, api_key_file = (_kept(name) for name, _, _ in _FILES)
    shown = _file("api-key-file", api_key_file)
    api_key = (
        os.environ.get(API_KEY_VARIABLE, "") if shown is None else shown.decode(errors="replace")
    ).strip()
    try:
        connection = Connection(
            target=check_target(target),
            tls=ca is not None,
            ca=None if ca == PUBLIC else _file("ca", ca),
            client_certificate=_file("client-certificate", certificate),
            client_key=_file("client-key", key),
            api_key=api_key or None,
        )
        Security(
            connection.tls,
            connection.ca,
            connection.client_certificate,
            connection.client_key,
            connection.api_key,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return connection


def settings_of(pairs: Iterable[str]) -> dict[str, str]:
    """Read NAME=VALUE pairs; raises UsageError for what is none, or no setting."""
    known = {setting.name for setting in SETTINGS}
    settings: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise click.UsageError(
                f"--set {pair}: write NAME=VALUE, with the name of a setting such as workers"
            )
        settings[name] = value
    return settings


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    ctx.meta[f"{__name__}.{param.name}"] = value


def _kept(name: str) -> str | None:
    value = click.get_current_context().meta.get(f"{__name__}.{name.replace('-', '_')}")
    assert value is None or isinstance(value, str)
    return value


def _file(option: str, file: str | None) -> bytes | None:
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"--{option} {file}: {error.strerror}") from None
