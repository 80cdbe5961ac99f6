"""Structured logs: JSON for machines, readable on a terminal, never a payload, a prompt, or a secret."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger


class Identified(Protocol):
    """A call that has an id."""

    @property
    def request_id(self) -> str:
        """What it is known by."""
        ...


CURRENT_CALL: ContextVar[Identified | None] = ContextVar("current_call", default=None)
"""The call that is being answered; set by the edge for the task that handles it."""


def current_request_id() -> str:
    """Return the id of the call that is being answered, or nothing outside of one."""
    call = CURRENT_CALL.get()
    return call.request_id if call is not None else ""


def configure(
    level: str, form: str, stream: TextIO | None = None, *, fields: Mapping[str, object] | None = None
) -> None:
    """Send logs of at least `level` to `stream` (standard error) as json, console, or as auto decides.

    `fields` are added to each line that does not have them itself. Of an exception its types and frames are
    written, and neither its text nor locals, which can hold payloads and prompts.
    """
    constant = dict(fields or {})

    def add_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**constant, **event}

    out = stream or sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    processors: list[Processor] = [
        add_fields,
        add_request_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        processors.append(structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=_write_text))
    else:
        processors.append(structlog.processors.ExceptionRenderer(_as_json))
        processors.append(structlog.processors.JSONRenderer())
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Workers share a stream: each line is one write, or those of others would come in between.
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the id of the call into a line that is logged while it is being answered."""
    if request_id := current_request_id():
        event.setdefault("request_id", request_id)
    return event


def adopt_standard_logging() -> None:
    """Write what libraries log as warnings and worse in the same form, from now on."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Adopted) for handler in root.handlers):
        root.addHandler(_Adopted(logging.WARNING))


# What gRPC says, as an error with a traceback, when a client left while its answer was being written.
_CLIENT_LEFT = ("grpc._cython.cygrpc", "ExecuteBatchError raised in core by servicer method ")


class _Adopted(logging.Handler):
    """Passes records of the standard library's logging on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        # asyncio tells on further lines of tasks and what they raised, with its text.
        event = record.getMessage().partition("\n")[0]
        if record.name == _CLIENT_LEFT[0] and event.startswith(_CLIENT_LEFT[1]):
            structlog.get_logger().debug(event, logger=record.name)
            return
        structlog.get_logger().log(record.levelno, event, logger=record.name, exc_info=record.exc_info)


def _as_json(exc_info: ExcInfo) -> list[dict[str, Any]]:
    return [
        {
            "exc_type": type(error).__name__,
            "frames": [
                {"filename": frame.filename, "lineno": frame.lineno, "name": frame.name}
                for frame in traceback.extract_tb(error.__traceback__)
            ],
        }
        for error in _chain(exc_info[1])
    ]


def _write_text(out: TextIO, exc_info: ExcInfo) -> None:
    for error in reversed(_chain(exc_info[1])):
        frames = "".join(traceback.format_tb(error.__traceback__))
        out.write(f"\nTraceback (most recent call last):\n{frames}{type(error).__name__}")


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an exception and those that led to it, as a traceback shows them, the last one first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return chain
