"""The way to the server: TLS, and the credential that is shown there."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from pecia_client import Client

from pecia_service.cli.failures import InputError
from pecia_service.cli.output import Output

_Command = TypeVar("_Command", bound=Callable[..., Any])

API_KEY_VARIABLE: Final = "PECIA_API_KEY"
PUBLIC: Final = "public"

_CA: Final = "ca"
_CERTIFICATE: Final = "client_certificate"
_KEY: Final = "client_key"
_API_KEY_FILE: Final = "api_key_file"


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Leave it to `connect`, so that no command has to carry it there."""
    ctx.meta[f"{__name__}.{param.name}"] = value


def _kept(name: str) -> str | None:
    value = click.get_current_context().meta.get(f"{__name__}.{name}")
    assert value is None or isinstance(value, str)
    return value


def security_options(command: _Command) -> _Command:
    """Add the options that `connect` reads: authorities, client certificate, API key."""
    for option in (
        click.option(
            "--api-key-file",
            _API_KEY_FILE,
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help=f"File with the API key, instead of {API_KEY_VARIABLE}. No flag takes the key itself: "
            "process lists would show it.",
        ),
        click.option(
            "--client-key",
            _KEY,
            envvar="PECIA_CLIENT_KEY",
            show_envvar=True,
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help="Key of the client certificate (PEM).",
        ),
        click.option(
            "--client-certificate",
            _CERTIFICATE,
            envvar="PECIA_CLIENT_CERTIFICATE",
            show_envvar=True,
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help="Client certificate (PEM), where the server asks for one.",
        ),
        click.option(
            "--ca",
            _CA,
            envvar="PECIA_CA",
            show_envvar=True,
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help=f"Speak TLS, and trust these authorities (PEM); {PUBLIC} means the well-known ones.",
        ),
    ):
        command = option(command)
    return command


def connect(target: str, timeout: float) -> Client:
    """Make a client with the current command's options; raises InputError for what can't be used."""
    ca, certificate, key = _kept(_CA), _kept(_CERTIFICATE), _kept(_KEY)
    if (certificate is None) != (key is None):
        raise InputError("--client-certificate and --client-key belong together: give both files, or neither")
    _check_pem(ca, certificate, key)
    api_key = _api_key()
    if api_key is not None and ca is None and certificate is None and not _is_this_machine(target):
        _warn_once(
            f"warning: the API key is sent to {target} in clear text, and whoever listens on the way can use "
            "it; give --ca where the server speaks TLS"
        )
    try:
        return Client(
            target,
            timeout=timeout,
            tls=ca == PUBLIC,
            ca=None if ca in {None, PUBLIC} else _content("--ca", ca),
            client_certificate=_content("--client-certificate", certificate),
            client_key=_content("--client-key", key),
            api_key=api_key,
        )
    except ValueError as error:
        # The target was checked when it was read.
        raise InputError(f"{error} ({API_KEY_VARIABLE} or --api-key-file)") from None


def _is_this_machine(target: str) -> bool:
    """Tell whether what is sent to a target stays here, as far as its text says so."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    host = target.removeprefix("dns:///").rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in {"", "localhost"}


def _warn_once(text: str) -> None:
    """Write a line to stderr, unless the command has done so."""
    if text not in (told := click.get_current_context().meta.setdefault(f"{__name__}.told", set())):
        told.add(text)
        Output().note(text)


def _api_key() -> str | None:
    file = _kept(_API_KEY_FILE)
    if file is not None:
        content = _content("--api-key-file", file) or b""
        return content.decode(errors="replace").strip()
    return os.environ.get(API_KEY_VARIABLE, "").strip() or None


def _content(option: str, file: str | None) -> bytes | None:
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{option} {file}: {error.strerror}") from None


def _check_pem(ca: str | None, certificate: str | None, key: str | None) -> None:
    """Raise InputError for what gRPC would only log, and then not connect."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca not in {None, PUBLIC}:
        content = _content("--ca", ca) or b""
        try:
            context.load_verify_locations(cadata=content.decode("ascii", errors="ignore"))
        except (OSError, ValueError):
            raise InputError(f"--ca {ca} must hold certificates in PEM") from None
    if certificate is not None and key is not None:
        for option, file in (("--client-certificate", certificate), ("--client-key", key)):
            _content(option, file)
        try:
            # Without a password OpenSSL would ask the terminal for that of a key that has one.
            context.load_cert_chain(certificate, key, password="")
        except OSError:
            raise InputError(
                f"--client-certificate {certificate} and --client-key {key} must be a certificate and its "
                "own key in PEM, without a password"
            ) from None
