"""Taking the records of all renders of one turn of the event loop together, when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context, copy_context
from typing import Any

from pecia_service.audit.ports import AuditSink
from pecia_service.audit.record import AuditRecord
from pecia_service.rendering.ports import Recording


class Turns:
    """Has records made and taken by a sink one after the other.

    Each by itself, between two renders, would find nothing of what it needs in the processor's caches.
    """

    def __init__(self, sink: AuditSink) -> None:
        self._sink = sink
        self._takings: list[_Taking] = []

    @property
    def keeps_records(self) -> bool:
        """Whether a record can be read back later."""
        return self._sink.keeps_records

    def take(self, make: Callable[[], AuditRecord]) -> Recording:
        """Have a record made and taken when this turn is over, whoever waits for it by then.

        What is returned raises what `AuditSink.record` raises, and ends as what that returns.
        """
        if not self._takings:
            asyncio.get_running_loop().call_soon(self._end)
        taking = _Taking(make, at_once=not self._sink.waits)
        self._takings.append(taking)
        return taking

    def _end(self) -> None:
        takings, self._takings = self._takings, []
        for taking in takings:
            taking.take(self._sink)


class _Taking:
    """One record that is taken at the end of a turn, and who waits for that."""

    __slots__ = ("_context", "_error", "_further", "_make", "_taken", "_waiter", "at_once")

    def __init__(self, make: Callable[[], AuditRecord], *, at_once: bool) -> None:
        self.at_once = at_once
        self._make: Callable[[], AuditRecord] | None = make
        # What is logged of a record belongs to the call that it is of.
        self._context: Context | None = copy_context()
        self._taken = False
        self._error: Exception | None = None
        self._further: Awaitable[None] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def take(self, sink: AuditSink) -> None:
        """Make the record, have it taken, and let who waits go on."""
        make, context = self._make, self._context
        # A batch keeps this until its last render is made, and should not keep the texts of each with it.
        self._make = self._context = None
        assert make is not None
        assert context is not None
        try:
            self._further = context.run(_record, sink, make)
        except Exception as error:  # noqa: BLE001 - it is raised where this render waits; others go on
            self._error = error
        self._taken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __await__(self) -> Generator[Any, None, None]:
        if not self._taken:
            # Of its own: who is cancelled cancels what it waits for.
            self._waiter = asyncio.get_running_loop().create_future()
            yield from self._waiter
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback has this frame: together they would stay until garbage is collected.
                del error
        if self._further is not None:
            yield from self._further.__await__()


def _record(sink: AuditSink, make: Callable[[], AuditRecord]) -> Awaitable[None] | None:
    return sink.record(make())
