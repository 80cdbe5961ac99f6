"""The sink that writes to the database in batches, in the background, from a bounded queue in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

from pecia_service.audit.ports import RecordWriter, SinkStatus
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.background import BackgroundSink


def _now() -> int:
    return time.time_ns() // 1000


class DatabaseAuditSink(BackgroundSink):
    """Queues records and writes them to a store; call `start` on the event loop that renders.

    The queue holds at most `max_records` that weigh at most `max_bytes` (those under way included); beyond,
    the newest are dropped and counted, or refused. A batch has at most `batch_size` records and waits
    `linger` seconds for more. While the store is unavailable a batch is tried again for `retry_seconds`; then
    it is dropped. Of a batch that the store refuses for good only the bad records are dropped.
    """

    waits = False

    def __init__(
        self,
        store: RecordWriter,
        *,
        max_records: int = 10_000,
        max_bytes: int = 64 * 1024 * 1024,
        batch_size: int = 500,
        linger: float = 0.02,
        retry_seconds: float = 300.0,
        first_pause: float = 0.1,
        longest_pause: float = 5.0,
        refuse: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = _now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(
            store,
            retry_seconds=retry_seconds,
            first_pause=first_pause,
            longest_pause=longest_pause,
            refuse=refuse,
            monotonic=monotonic,
            clock=clock,
            sleep=sleep,
        )
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._batch_size = batch_size
        self._linger = linger
        # In order of arrival; a record leaves when it is settled, that is written or dropped.
        self._queue: dict[str, AuditRecord] = {}
        self._queued_bytes = 0
        self._refused_weight = 0
        self._lingering = False
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the writer."""
        self._writer = asyncio.get_running_loop().create_task(self._write_for_ever(), name="audit-writer")

    def record(self, record: AuditRecord) -> None:
        """Queue a record; when the queue is full or closed, drop and count it, or raise (AUDIT_FULL)."""
        weight = record.weight
        if self._closed or not self._has_room(weight):
            self._refused_weight = weight
            self._refuse("closed" if self._closed else "queue full", queued_bytes=self._queued_bytes)
            return
        if record.render_id in self._queue:
            return
        self._queue[record.render_id] = record
        self._queued_bytes += weight
        self._admit()
        if len(self._queue) == 1 or (self._lingering and len(self._queue) >= self._batch_size):
            self._wake.set()

    def holds(self, render_id: str) -> bool:
        """Tell whether a record is still in the queue, or being written."""
        return render_id in self._queue

    async def aclose(self, seconds: float) -> None:
        """Take no more, write the rest for at most `seconds`, and drop and count what is left."""
        self._closed = True
        if self._writer is None:
            self._drop(list(self._queue.values()), "closed")
            return
        try:
            await self.flush(seconds)
        finally:
            self._writer.cancel()
            # Waiting keeps a cancellation of the caller apart from the one that is asked for here.
            await asyncio.wait({self._writer})
            self._drop(list(self._queue.values()), "closed")

    def status(self) -> SinkStatus:
        """Tell how the queue stands."""
        oldest = next(iter(self._queue.values()), None)
        full = not self._has_room(self._refused_weight)
        return SinkStatus(
            queued=len(self._queue),
            queued_bytes=self._queued_bytes,
            written=self._written,
            dropped=self._dropped,
            failing=self._store_failing or (full and self._refused_in_a_row > 0),
            full=full,
            lag_seconds=0.0 if oldest is None else max(0, self._clock() - oldest.receipt.created_at) / 1e6,
        )

    def _has_room(self, weight: int) -> bool:
        return len(self._queue) < self._max_records and self._queued_bytes + weight <= self._max_bytes

    def _queued(self) -> int:
        return len(self._queue)

    async def _write_for_ever(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            if len(self._queue) < self._batch_size and not self._waiters:
                self._lingering = True
                await self._pause(self._linger)
                self._lingering = False
            await self._deliver(list(islice(self._queue.values(), self._batch_size)))

    def _when_written(self, records: Sequence[AuditRecord]) -> None:
        self._settle(records)

    def _when_refused(self, record: AuditRecord) -> None:
        self._drop([record], "refused")

    def _when_given_up(self, records: Sequence[AuditRecord]) -> None:
        self._drop(records, "store unavailable")

    def _drop(self, records: Sequence[AuditRecord], why: str) -> None:
        if not records:
            return
        self._dropped += len(records)
        self._log.error("audit_records_dropped", reason=why, count=len(records))
        self._settle(records)

    def _settle(self, records: Sequence[AuditRecord]) -> None:
        for record in records:
            del self._queue[record.render_id]
            self._queued_bytes -= record.weight
        self._count_settled(len(records))
