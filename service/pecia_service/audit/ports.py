"""What rendering hands records to, and what reading them back needs."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pecia_service.audit.record import AuditRecord
from pecia_service.rendering.ports import BundleSource, TemplateSource


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How a sink stands: records on their way, written, and dropped since it was made.

    `queued_bytes` is about what the queued ones weigh. `failing` means that the last attempt to write failed,
    or that records are being dropped. `full` means that the next record can't be taken. `lag_seconds` is the
    age of the oldest record that waits. `spooled_bytes` wait in local files; `damaged` records were found in
    those and set aside.
    """

    queued: int
    queued_bytes: int
    written: int
    dropped: int
    failing: bool
    full: bool = False
    lag_seconds: float = 0.0
    spooled_bytes: int = 0
    damaged: int = 0


class AuditSink(Protocol):
    """Takes records and brings them to where they are kept."""

    @property
    def keeps_records(self) -> bool:
        """Whether a record can be read back later."""
        ...

    @property
    def waits(self) -> bool:
        """Whether `record` may return something that has to be waited for."""
        ...

    def record(self, record: AuditRecord) -> Awaitable[None] | None:
        """Take one record, without waiting for anything.

        Returns None when the render may be answered at once, else what must be awaited before: it ends when
        the record is as durable as was promised, and raises UnavailableError when that can't be had now. What
        can't be kept is counted as dropped, or, where renders are to be refused instead, raises
        ResourceExhaustedError (AUDIT_FULL).
        """
        ...

    def holds(self, render_id: str) -> bool:
        """Tell whether the record of a render is still on its way."""
        ...

    async def flush(self, seconds: float) -> bool:
        """Wait at most `seconds` until all that was taken so far is settled; tell whether it is."""
        ...

    async def aclose(self, seconds: float) -> None:
        """Take no more, and flush for at most `seconds`; the rest is dropped, or stays for the next process.

        What is dropped is counted.
        """
        ...

    def status(self) -> SinkStatus:
        """Tell how the sink stands."""
        ...


class RecordWriter(Protocol):
    """Where a sink brings its records."""

    async def insert_many(self, records: Sequence[AuditRecord]) -> None:
        """Keep all of the records or none; one that is there already is left alone.

        Raises UnavailableError when another attempt may succeed, anything else when none will.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the pieces of one tenant are read, past every cache that renders share."""

    bundles: BundleSource
    templates: TemplateSource
