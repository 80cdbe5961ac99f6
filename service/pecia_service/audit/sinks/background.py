"""What sinks that write to a store in the background have in common: attempts, pauses, and flushing."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

import structlog

from pecia_service.audit.ports import RecordWriter, SinkStatus
from pecia_service.audit.record import AuditRecord
from pecia_service.errors import ErrorReason, ResourceExhaustedError, UnavailableError

_FULL_RETRY_SECONDS = 1.0


class BackgroundSink(ABC):
    """Delivers batches to a store; what becomes of a record is told to the methods that a sink overrides.

    While the store is unavailable a batch is tried again for `retry_seconds` (None: until it is taken), with
    pauses that double from `first_pause` to `longest_pause` seconds. A batch that the store refuses for good
    is delivered record by record. With `refuse`, what can't be taken raises. `monotonic` gives seconds,
    `clock` microseconds since the epoch.
    """

    keeps_records = True

    def __init__(
        self,
        store: RecordWriter,
        *,
        retry_seconds: float | None,
        first_pause: float,
        longest_pause: float,
        refuse: bool,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._retry_seconds = retry_seconds
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._refuses = refuse
        self._monotonic = monotonic
        self._clock = clock
        self._sleep = sleep
        self._log = structlog.get_logger(__name__)
        self._taken = 0
        self._settled = 0
        self._written = 0
        self._dropped = 0
        self._refused_renders = 0
        self._refused_in_a_row = 0
        self._store_failing = False
        self._closed = False
        self._wake = asyncio.Event()
        self._waiters: list[tuple[int, frozenset[str], asyncio.Future[None]]] = []

    @abstractmethod
    def start(self) -> None:
        """Begin to deliver, on the event loop that runs."""

    async def flush(self, seconds: float) -> bool:
        """Wait at most `seconds` until what was taken by now is settled; tell whether it is."""
        backlog = self._backlog()
        if self._settled >= self._taken and not backlog:
            return True
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (self._taken, backlog, reached)
        self._waiters.append(waiter)
        # Cuts a pause short: what comes back can be written now, and the caller wants to know soon.
        self._wake.set()
        try:
            async with asyncio.timeout(seconds):
                await reached
        except TimeoutError:
            return False
        finally:
            self._waiters.remove(waiter)
        return True

    @abstractmethod
    async def aclose(self, seconds: float) -> None:
        """Take no more, flush for at most `seconds`, and stop."""

    @abstractmethod
    def status(self) -> SinkStatus:
        """Tell how the sink stands."""

    @abstractmethod
    def _queued(self) -> int:
        """Tell how many records are on their way."""

    def _backlog(self) -> frozenset[str]:
        """Name what waits beside the records that were taken here."""
        return frozenset()

    @abstractmethod
    def _when_written(self, records: Sequence[AuditRecord]) -> None:
        """Take note that the store has records."""

    @abstractmethod
    def _when_refused(self, record: AuditRecord) -> None:
        """Take note that the store will never take a record."""

    def _when_given_up(self, records: Sequence[AuditRecord]) -> None:  # noqa: B027 - only with retry_seconds
        """Take note that the time for an attempt is over."""

    def _when_unavailable(self) -> None:  # noqa: B027 - not every sink has to do something then
        """Take note that an attempt failed, and that another follows."""

    async def _deliver(self, batch: Sequence[AuditRecord]) -> None:
        """Write a batch, or settle otherwise what of it can't be written."""
        pause = self._first_pause
        last_try = None if self._retry_seconds is None else self._monotonic() + self._retry_seconds
        while True:
            try:
                await self._store.insert_many(batch)
            except UnavailableError:
                if not self._store_failing:
                    self._store_failing = True
                    self._log.warning("audit_store_unavailable", queued=self._queued())
                self._when_unavailable()
                if last_try is not None and self._monotonic() + pause > last_try:
                    self._when_given_up(batch)
                    return
                await self._pause(pause)
                pause = min(2 * pause, self._longest_pause)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one record, the others go on
                await self._deliver_apart(batch, error)
                return
            else:
                if self._store_failing:
                    self._store_failing = False
                    self._log.info("audit_store_recovered", queued=self._queued())
                self._written += len(batch)
                self._when_written(batch)
                return

    async def _deliver_apart(self, batch: Sequence[AuditRecord], error: Exception) -> None:
        if len(batch) > 1:
            for record in batch:
                await self._deliver([record])
            return
        # The error's own text can hold the statement with its values, and is not logged.
        self._log.error("audit_record_refused", render_id=batch[0].render_id, error=type(error).__name__)
        self._when_refused(batch[0])

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

    def _admit(self) -> None:
        """Count a record that is taken."""
        self._taken += 1
        if self._refused_in_a_row:
            count, self._refused_in_a_row = self._refused_in_a_row, 0
            figure = {"refused" if self._refuses else "dropped": count}
            # It is told of others: outside of this call, so that the line has not its request id.
            Context().run(self._log.warning, "audit_records_taken_again", **figure)

    def _refuse(self, reason: str, **figures: int) -> None:
        """Count a record that can't be taken; say so at the first in a row, the tenth, the hundredth, …

        Raises ResourceExhaustedError (AUDIT_FULL) where renders are refused rather than left out.
        """
        self._refused_in_a_row += 1
        if self._refuses:
            self._refused_renders += 1
            total = {"refused": self._refused_renders}
        else:
            self._dropped += 1
            total = {"dropped": self._dropped}
        if str(self._refused_in_a_row).rstrip("0") == "1":
            self._log.error(
                "audit_records_not_taken",
                reason=reason,
                count=self._refused_in_a_row,
                queued=self._queued(),
                **total,
                **figures,
            )
        if self._refuses:
            raise ResourceExhaustedError(
                ErrorReason.AUDIT_FULL,
                "no more audit records can wait for the database, and this server renders nothing that it "
                "can't record; try again later",
                metadata={"setting": "PECIA_AUDIT_FULL"},
                retry_after=_FULL_RETRY_SECONDS,
            )

    def _count_settled(self, count: int) -> None:
        self._settled += count
        if self._waiters:
            remaining = self._backlog()
            for target, backlog, reached in self._waiters:
                if target <= self._settled and backlog.isdisjoint(remaining) and not reached.done():
                    reached.set_result(None)
