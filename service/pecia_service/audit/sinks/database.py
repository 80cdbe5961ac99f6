"""The sink that writes to the database in batches, in the background, from a bounded queue in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import structlog

from pecia_service.audit.ports import RecordWriter, SinkStatus
from pecia_service.audit.record import AuditRecord
from pecia_service.errors import UnavailableError


class DatabaseAuditSink:
    """Queues records and writes them to a store; call `start` on the event loop that renders.

    The queue holds at most `max_records` that weigh at most `max_bytes` (those under way included); beyond,
    the newest are dropped and counted. A batch has at most `batch_size` records and waits `linger` seconds
    for more. While the store is unavailable a batch is tried again for `retry_seconds`, with pauses that
    double from `first_pause` to `longest_pause` seconds; then it is dropped. A batch that the store refuses
    for good is written record by record, so that only the bad ones are dropped. `monotonic` gives seconds.
    """

    keeps_records = True

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
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._batch_size = batch_size
        self._linger = linger
        self._retry_seconds = retry_seconds
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._monotonic = monotonic
        self._sleep = sleep
        self._log = structlog.get_logger(__name__)
        # In order of arrival; a record leaves when it is settled, that is written or dropped.
        self._queue: dict[str, AuditRecord] = {}
        self._queued_bytes = 0
        self._taken = 0
        self._settled = 0
        self._written = 0
        self._dropped = 0
        self._refused_in_a_row = 0
        self._store_failing = False
        self._closed = False
        self._lingering = False
        self._wake = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the writer."""
        self._writer = asyncio.get_running_loop().create_task(self._write_for_ever(), name="audit-writer")

    def record(self, record: AuditRecord) -> None:
        """Queue a record, or drop and count it when the queue is full or closed."""
        weight = record.weight
        if (
            self._closed
            or len(self._queue) >= self._max_records
            or self._queued_bytes + weight > self._max_bytes
        ):
            self._refuse()
            return
        if record.render_id in self._queue:
            return
        self._admit(record, weight)
        if len(self._queue) == 1 or (self._lingering and len(self._queue) >= self._batch_size):
            self._wake.set()

    def holds(self, render_id: str) -> bool:
        """Tell whether a record is still in the queue, or being written."""
        return render_id in self._queue

    async def flush(self, seconds: float) -> bool:
        """Wait at most `seconds` until what is queued now is written or dropped; tell whether it is."""
        if self._settled == self._taken:
            return True
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (self._taken, reached)
        self._waiters.append(waiter)
        # Cuts a pause short: what comes back can be written now, and the caller wants to know soon.
        self._wake.set()
        try:
            async with asyncio.timeout(seconds):
                await reached
        except TimeoutError:
            return False
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return True

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
        return SinkStatus(
            queued=len(self._queue),
            queued_bytes=self._queued_bytes,
            written=self._written,
            dropped=self._dropped,
            failing=self._store_failing or self._refused_in_a_row > 0,
        )

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

    async def _deliver(self, batch: Sequence[AuditRecord]) -> None:
        """Write a batch, or drop what of it can't be written."""
        pause = self._first_pause
        last_try = self._monotonic() + self._retry_seconds
        while True:
            try:
                await self._store.insert_many(batch)
            except UnavailableError:
                if not self._store_failing:
                    self._store_failing = True
                    self._log.warning("audit_store_unavailable", queued=len(self._queue))
                if self._monotonic() + pause > last_try:
                    self._drop(batch, "store unavailable")
                    return
                await self._pause(pause)
                pause = min(2 * pause, self._longest_pause)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one record, the others go on
                await self._deliver_apart(batch, error)
                return
            else:
                if self._store_failing:
                    self._store_failing = False
                    self._log.info("audit_store_recovered", queued=len(self._queue))
                self._written += len(batch)
                self._settle(batch)
                return

    async def _deliver_apart(self, batch: Sequence[AuditRecord], error: Exception) -> None:
        if len(batch) > 1:
            for record in batch:
                await self._deliver([record])
            return
        # The error's own text can hold the statement with its values, and is not logged.
        self._log.error("audit_record_refused", render_id=batch[0].render_id, error=type(error).__name__)
        self._drop(batch, "refused")

    async def _pause(self, seconds: float) -> None:
        """Sleep, or less when there is a reason to go on."""
        self._wake.clear()
        sleeper = asyncio.ensure_future(self._sleep(seconds))

        def wake(_: object) -> None:
            self._wake.set()

        sleeper.add_done_callback(wake)
        try:
            await self._wake.wait()
        finally:
            # A sleep that ends later must not cut the next pause short.
            sleeper.remove_done_callback(wake)
            sleeper.cancel()

    def _admit(self, record: AuditRecord, weight: int) -> None:
        self._queue[record.render_id] = record
        self._queued_bytes += weight
        self._taken += 1
        if self._refused_in_a_row:
            self._log.warning("audit_records_taken_again", dropped=self._refused_in_a_row)
            self._refused_in_a_row = 0

    def _refuse(self) -> None:
        """Count a record that can't be taken; say so at the first in a row, the tenth, the hundredth, …"""
        self._dropped += 1
        self._refused_in_a_row += 1
        if str(self._refused_in_a_row).rstrip("0") == "1":
            self._log.error(
                "audit_records_not_taken",
                reason="closed" if self._closed else "queue full",
                count=self._refused_in_a_row,
                dropped=self._dropped,
                queued=len(self._queue),
                queued_bytes=self._queued_bytes,
            )

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
        self._settled += len(records)
        for target, reached in self._waiters:
            if target <= self._settled and not reached.done():
                reached.set_result(None)
