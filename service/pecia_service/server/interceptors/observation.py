"""The second stage: counting and timing calls, and logging those that were slow or failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from pecia_service.errors import Error, Kind
from pecia_service.server.interceptors.calls import Call

OK: Final = "OK"
CANCELLED: Final = "CANCELLED"

_TURNED_AWAY: Final = frozenset({Kind.UNAUTHENTICATED, Kind.PERMISSION_DENIED})


class CallObserver(Protocol):
    """What is told of each call of the contract, on the event loop; it must be quick and must not raise."""

    def started(self, method: str) -> None:
        """Learn that a call of a method, such as /pecia.v1.PromptService/Render, has begun."""
        ...

    def finished(self, method: str, code: str, seconds: float) -> None:
        """Learn that one has ended, with the name of its status code; CANCELLED if its client left."""
        ...


class NullObserver:
    """Looks away."""

    def started(self, method: str) -> None:
        """Do nothing."""

    def finished(self, method: str, code: str, seconds: float) -> None:
        """Do nothing."""


class Observation:
    """Tells an observer of each call, and the log of each that failed or took `slow_seconds` or longer."""

    def __init__(
        self,
        observer: CallObserver,
        *,
        slow_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observer = observer
        self._slow_seconds = slow_seconds
        self._monotonic = monotonic
        self._log = structlog.get_logger("pecia.server")

    def start(self, method: str) -> float:
        """Begin to observe a call, and return what `finish` needs."""
        self._observer.started(method)
        return self._monotonic()

    def finish(
        self,
        call: Call,
        started: float,
        code: str,
        error: Error | None = None,
        peer: Callable[[], str] = str,
    ) -> None:
        """End what `start` began: `code` is the name of the status, `error` what it was made of.

        `peer` tells the client's address, which is logged of those who are turned away.
        """
        seconds = self._monotonic() - started
        self._observer.finished(call.method, code, seconds)
        if code != OK or seconds >= self._slow_seconds:
            self._write(call, code, error, seconds, peer)

    def _write(
        self, call: Call, code: str, error: Error | None, seconds: float, peer: Callable[[], str]
    ) -> None:
        reason = {} if error is None else {"reason": error.reason.name}
        if error is not None and error.kind in _TURNED_AWAY:
            reason["peer"] = peer()
            # Whoever still uses a key that was revoked or has expired has to be found.
            if "key_id" in error.metadata:
                reason["credential_id"] = error.metadata["key_id"]
        trace = {"trace_id": call.trace_id} if call.trace_id else {}
        # Whom nobody knows is not shown as somebody.
        caller = {"tenant": call.caller.tenant_id, "principal": call.caller.principal} if call.caller else {}
        self._log.info(
            "call",
            method=call.method,
            status=code,
            **reason,
            seconds=round(seconds, 6),
            request_id=call.request_id,
            **trace,
            **caller,
        )
