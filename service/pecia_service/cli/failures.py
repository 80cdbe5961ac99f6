"""Say what went wrong in one line, and with which exit code."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any, NoReturn

import click
from pecia_client import PeciaError

from pecia_service.cli.output import Output, OutputError
from pecia_service.errors import Error, FieldViolation, Kind
from pecia_service.rendering.sources.directory import DirectoryError


class ExitCode(enum.IntEnum):
    """What a script learns from a command; `pecia --help` lists them."""

    OK = 0
    NEGATIVE = 1
    INVALID = 2
    UNVERIFIABLE = 3
    REFUSED = 4
    UNAVAILABLE = 5
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


class InputError(click.ClickException):
    """What the user gave can't be used; the message says what to do."""

    exit_code = ExitCode.INVALID

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message as every other error is printed."""
        Output().note(f"error: {self.message}")


class RefusedError(InputError):
    """What the user gave is right, but the state of things does not allow it."""

    exit_code = ExitCode.REFUSED


def finish(exit_code: ExitCode) -> NoReturn:
    """End the command with an exit code, after its output is written."""
    raise click.exceptions.Exit(exit_code)


@dataclass(frozen=True, slots=True)
class Failure:
    """An expected error in words: a first line, and one more for each thing that it names."""

    exit_code: ExitCode
    message: str
    details: tuple[str, ...] = ()


EXPECTED = (PeciaError, Error, DirectoryError, OutputError, OSError)
"""The errors that `explain` can put into words."""

_BY_STATUS = {
    "INVALID_ARGUMENT": ExitCode.INVALID,
    "UNAVAILABLE": ExitCode.UNAVAILABLE,
    "DEADLINE_EXCEEDED": ExitCode.UNAVAILABLE,
}

_CREDENTIAL_HINTS = {
    "CREDENTIALS_MISSING": (
        "set PECIA_API_KEY to a key that pecia keys create made, or give --client-certificate",
    ),
    "CREDENTIALS_INVALID": (
        "see that PECIA_API_KEY, --api-key-file or --client-certificate is meant for this server",
    ),
    "SCOPE_MISSING": ("use the key of a caller who may do this, or have one made (pecia keys create)",),
}


def explain(error: BaseException) -> Failure:
    """Put one of the EXPECTED errors into words."""
    match error:
        case PeciaError():
            return _of_server(error)
        case Error():
            code = _BY_STATUS.get(_status(error.kind), ExitCode.REFUSED)
            message = f"{error.message} [{error.reason.name}]"
            return Failure(code, message, _violations(error.message, error.violations))
        case DirectoryError():
            return Failure(ExitCode.INVALID, error.summary, tuple(map(str, error.problems)))
        case OutputError():
            return Failure(ExitCode.REFUSED, str(error))
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            return Failure(ExitCode.INVALID, f"{name}{error.strerror or error}")
    raise TypeError(f"{type(error).__name__} is not expected")


def _of_server(error: PeciaError) -> Failure:
    code = _BY_STATUS.get(error.code.name, ExitCode.REFUSED)
    if error.reason:
        violations = [FieldViolation(*violation) for violation in error.violations]
        message = f"{error.message} [{error.reason}]"
        hints = _CREDENTIAL_HINTS.get(error.reason, ())
        return Failure(code, message, (*_violations(error.message, violations), *hints))
    match error.code.name:
        case "UNAVAILABLE":
            hint = (
                "can't reach the server; is it running (pecia serve), and is --target right? "
                "A server with TLS needs --ca, and one with client certificates also --client-certificate"
            )
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            hint = "the server, or a proxy before it, does not let this caller in; is PECIA_API_KEY right?"
        case "DEADLINE_EXCEEDED":
            hint = "the server did not answer in time; try a larger --timeout"
        case "UNIMPLEMENTED":
            hint = "what answers at --target is no Pecia server, or an older one"
        case _:
            hint = "the call failed"
    return Failure(code, f"{hint} [{error.code.name}]", (error.message,) if error.message else ())


def _status(kind: Kind) -> str:
    """Give the gRPC status of a kind; they are named alike."""
    return kind.name


def _violations(message: str, violations: Iterable[FieldViolation]) -> tuple[str, ...]:
    """Give a line for each field; the first is left out where the message begins with it."""
    lines = tuple(f"{violation.field}: {violation.description}" for violation in violations)
    return lines[1:] if lines and message.startswith(lines[0]) else lines
