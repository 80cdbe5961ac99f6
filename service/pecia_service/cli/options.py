"""Options and arguments that several commands take, and how their text is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from pecia_client import DEFAULT_TARGET, audit_filter, check_target, parse_bundle_ref, parse_template_ref
from pecia_client.messages import AuditFilter, BundleRef, TemplateRef

from pecia_service.cli.connection import security_options
from pecia_service.cli.failures import InputError
from pecia_service.registry.identifiers import is_semver

_Command = TypeVar("_Command", bound=Callable[..., Any])

DEFAULT_TIMEOUT = 10.0

_AGE = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_AGE_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _BundleRefType(click.ParamType[BundleRef]):
    name = "BUNDLE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> BundleRef:
        try:
            return parse_bundle_ref(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _TemplateRefType(click.ParamType[TemplateRef]):
    name = "TEMPLATE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> TemplateRef:
        try:
            return parse_template_ref(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _TargetType(click.ParamType[str]):
    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return check_target(str(value))
        except ValueError as error:
            raise InputError(f"--{error}") from None


class _AgeType(click.ParamType[timedelta]):
    name = "AGE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = _AGE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not an age; write for instance 90d, 12h or 30m", param, ctx)
        return timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})


class _MomentType(click.ParamType[datetime]):
    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is not a time; write for instance 2026-11-21 or 2026-11-21T08:30:00+01:00",
                param,
                ctx,
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


BUNDLE_REF = _BundleRefType()
TEMPLATE_REF = _TemplateRefType()
TARGET = _TargetType()
AGE = _AgeType()
MOMENT = _MomentType()
DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
INPUT_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long one call may take.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
offline_option = click.option(
    "--offline",
    type=DIRECTORY,
    metavar="DIR",
    help="Read the pieces from a directory; no server is asked.",
)


def confirm(question: str) -> None:
    """Ask on stderr; raises Abort for anything but yes, and InputError when nobody is there to answer."""
    try:
        answer = click.confirm(question, err=True)
    except click.Abort as error:
        click.echo(err=True)
        # click makes one error of a missing answer and of an interrupt.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise InputError("nothing was confirmed; answer the question, or give --yes") from None
    if not answer:
        raise click.Abort


def server_options(command: _Command) -> _Command:
    """Add --target, --timeout and the options of `connect` to a command."""
    target = click.option(
        "--target",
        type=TARGET,
        envvar="PECIA_TARGET",
        default=DEFAULT_TARGET,
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT",
        help="The server.",
    )
    return target(timeout_option(security_options(command)))


def filter_options(command: _Command) -> _Command:
    """Add the options that select audit records; `make_filter` reads them."""
    for option in (
        click.option("--prompt-hash", default="", metavar="SHA256", help="Only renders of this prompt."),
        click.option(
            "--bundle", default="", metavar="ID[@VERSION]", help="Only renders of this bundle or version."
        ),
        click.option("--until", type=MOMENT, help="Only renders made before this time (UTC unless it says)."),
        click.option("--since", type=MOMENT, help="Only renders made at this time or later."),
    ):
        command = option(command)
    return command


def make_filter(since: datetime | None, until: datetime | None, bundle: str, prompt_hash: str) -> AuditFilter:
    """Build the filter that the `filter_options` describe; raises UsageError."""
    bundle_id, at, semver = bundle.partition("@")
    if at and not is_semver(semver):
        raise click.UsageError(
            f"--bundle {bundle}: an audit record keeps the exact version; write for instance companion@1.2.0"
        )
    return audit_filter(
        start_time=since, end_time=until, bundle_id=bundle_id, semver=semver, prompt_hash=prompt_hash
    )
