"""Structured logs: JSON for machines, readable on a terminal, never a payload, a prompt, or a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the call that is being answered, or empty; set by the edge for the task that handles the call."""


def configure(
    level: str, form: str, stream: TextIO | None = None, *, fields: Mapping[str, object] | None = None
) -> None:
    """Send logs of at least `level` to `stream` (standard error) as json, console, or as auto decides.

    `fields` are added to each line that does not have them itself.
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
        processors.append(structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=_plain))
    else:
        # Locals are left out of tracebacks: they hold payloads and prompts.
        processors.append(
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            )
        )
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
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    return event


_plain = structlog.dev.plain_traceback
