"""What every command has at hand: its output, the time, and a way to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import click
from pecia_client import PeciaError

from pecia_service.cli.output import Output

_Result = TypeVar("_Result")

_PENDING = "AUDIT_RECORD_PENDING"
_PENDING_DELAY = 0.5


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """The surroundings of one command; `monotonic` and `sleep` are in seconds."""

    output: Output = field(default_factory=Output)
    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def when_recorded(self, call: Callable[[], _Result], timeout: float) -> _Result:
        """Repeat a call while its record is on its way to the database, for at most `timeout` seconds.

        Raises PeciaError: what the call raises last.
        """
        deadline = self.monotonic() + timeout
        while True:
            try:
                return call()
            except PeciaError as error:
                delay = error.retry_after or _PENDING_DELAY
                if error.reason != _PENDING or self.monotonic() + delay > deadline:
                    raise
            self.sleep(delay)


pass_session = click.make_pass_decorator(Session)
