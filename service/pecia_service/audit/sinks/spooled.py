"""The sink that appends each record to a local file before the render is answered, and then delivers it."""

from __future__ import annotations

import asyncio
import enum
import errno
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from pecia_service.audit.ports import RecordWriter, SinkStatus
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.background import BackgroundSink
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.adoption import Adoptions
from pecia_service.audit.spool.answers import Answers
from pecia_service.audit.spool.codec import encode_record
from pecia_service.audit.spool.draining import SegmentDrain
from pecia_service.audit.spool.folder import OwnerFolder
from pecia_service.audit.spool.group_commit import GroupCommit
from pecia_service.audit.spool.log import SpoolLog
from pecia_service.audit.spool.reading import Batch, NewerSegmentError
from pecia_service.audit.spool.segment import Segment
from pecia_service.audit.spool.window import Window
from pecia_service.errors import Error, ErrorReason, InternalError
from pecia_service.ids import uuid7_time_ms

_MANY_RECORDS = 16
"""With so many in a batch, the next one waits longer."""


class Durability(enum.Enum):
    """When a render may be answered: its record is in the file, on the disk, or in the database."""

    SPOOL = "spool"
    FSYNC = "fsync"
    COMMIT = "commit"


class SpooledAuditSink(BackgroundSink):
    """Appends records to the segments of `spool` and writes them to a store; call `start` to begin.

    At most `max_records` that weigh at most `max_bytes` are in memory too; later ones are read back when it
    is their turn. A batch has at most `batch_size` records with about `batch_bytes`, however much there is:
    what the store has no time for at once it would never take. It waits `linger` seconds for more, and up to
    `longest_linger` while many come: a transaction costs much the same for few and for many. What the store
    refuses for good is set aside. Each `housekeeping` seconds the folders of processes that have ended
    are looked for. What is not delivered at the end stays for the next process.
    """

    def __init__(
        self,
        store: RecordWriter,
        folder: OwnerFolder,
        spool: SpoolLog,
        *,
        durability: Durability = Durability.SPOOL,
        commits: GroupCommit | None = None,
        max_records: int = 10_000,
        max_bytes: int = 64 * 1024 * 1024,
        batch_size: int = 500,
        batch_bytes: int = 8 * 1024 * 1024,
        linger: float = 0.02,
        longest_linger: float = 0.25,
        first_pause: float = 0.1,
        longest_pause: float = 5.0,
        housekeeping: float = 2.0,
        refuse: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(
            store,
            retry_seconds=None,
            first_pause=first_pause,
            longest_pause=longest_pause,
            refuse=refuse,
            monotonic=monotonic,
            clock=clock,
            sleep=sleep,
        )
        self._folder = folder
        self._spool = spool
        self._adoptions = Adoptions(folder.path.parent, folder.about.destination, monotonic)
        self._durability = durability
        self._commits = commits or GroupCommit()
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        # A render that waits for the database should not wait for others' company too.
        self._linger = self._first_linger = 0.0 if durability is Durability.COMMIT else linger
        self._longest_linger = longest_linger
        self._housekeeping = housekeeping
        # While `_spilling`, what comes is in the files only, and is read back once the memory is empty.
        self._memory = Window(max_records=max_records, max_bytes=max_bytes)
        self._spilling = False
        self._drain = SegmentDrain(self._deliver, batch_size=batch_size, batch_bytes=batch_bytes)
        self._answers = Answers()
        self._needed_bytes = 0
        self._refused = 0
        self._lingering = False
        self._idle = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waits(self) -> bool:
        """Whether a record in the spool is not enough for a render to be answered."""
        return self._durability is not Durability.SPOOL

    def start(self) -> None:
        """Take what dead processes left, and start to deliver."""
        self._look_for_dead()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._deliver_for_ever(), name="audit-writer"),
            loop.create_task(self._keep_house(), name="audit-spool"),
        ]

    def record(self, record: AuditRecord) -> Awaitable[None] | None:
        """Append a record to the spool, and return what must be awaited before the render is answered.

        When the spool is full or closed, the record is dropped and counted, or it raises (AUDIT_FULL).
        """
        if self._closed:
            self._refuse("closed")
            return None
        # A record that is taken already is not taken again.
        segment = self._memory.segment_of(record.render_id) or self._append(record)
        match self._durability:
            case Durability.FSYNC if segment is not None:
                return self._commits.wait(segment)
            case Durability.COMMIT if segment is not None:
                return self._answers.wait(record.render_id)
        return None

    def holds(self, render_id: str) -> bool:
        """Tell whether a record is on its way; of one that may be in a file, as far as its time tells."""
        if render_id in self._memory or render_id in self._answers:
            return True
        since = [self._adoptions.oldest_at]
        if self._spilling or self._drain.active:
            since.append(self._spool.oldest_at)
        made_at = uuid7_time_ms(render_id)
        return made_at is not None and any(at is not None and made_at >= at // 1000 for at in since)

    async def aclose(self, seconds: float) -> None:
        """Take no more, deliver for at most `seconds`, and leave the rest for the next process."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._tasks:
                await self.flush(seconds)
        finally:
            for task in self._tasks:
                task.cancel()
            # Waiting keeps a cancellation of the caller apart from the one that is asked for here.
            await asyncio.wait({*self._tasks, asyncio.ensure_future(self._commits.aclose())})
            self._answers.fail_all()
            if left := self._spool.records:
                self._log.warning("audit_records_left_in_spool", count=left, owner=self._folder.owner_id)
            self._adoptions.close()
            self._spool.close()
            self._folder.close()

    def status(self) -> SinkStatus:
        """Tell how the spool stands; `queued` counts the records of this process only."""
        full = self._needed_bytes > 0
        return SinkStatus(
            queued=self._spool.records,
            queued_bytes=self._memory.weight,
            written=self._written,
            dropped=self._dropped,
            failing=self._store_failing or full,
            full=full,
            lag_seconds=self._lag_seconds(),
            spooled_bytes=self._spool.waiting_bytes + self._adoptions.waiting_bytes,
            damaged=self._refused + self._drain.damaged,
        )

    def _append(self, record: AuditRecord) -> Segment | None:
        """Append a record and queue it; return its segment, None for one that had to be dropped."""
        frame = fmt.frame(encode_record(record))
        try:
            segment, end = self._spool.append(frame, record.receipt.created_at)
        except OSError as error:
            self._needed_bytes = len(frame)
            self._refuse(_reason(error), spooled_bytes=self._spool.waiting_bytes)
            return None
        self._needed_bytes = 0
        self._admit()
        self._spilling = self._spilling or not self._memory.add(record, segment, end)
        # Only a writer that has nothing to do is woken: a pause between two attempts must last.
        if self._idle or (self._lingering and self._has_batch()):
            self._wake.set()
        return segment

    def _queued(self) -> int:
        return self._spool.records

    def _backlog(self) -> frozenset[str]:
        return self._adoptions.owners

    def _lag_seconds(self) -> float:
        times = [self._adoptions.written_at]
        if self._drain.made_at is not None:
            times.append(self._drain.made_at)
        elif self._memory:
            times.append(self._memory.oldest_at)
        else:
            times.append(self._spool.oldest_at)
        oldest = min((at for at in times if at is not None), default=None)
        return 0.0 if oldest is None else max(0, self._clock() - oldest) / 1e6

    async def _deliver_for_ever(self) -> None:
        while True:
            while not (self._memory or self._spilling or self._adoptions.owners):
                self._idle = True
                self._wake.clear()
                await self._wake.wait()
                self._idle = False
            if self._memory:
                if self._linger and not self._has_batch() and not self._waiters:
                    self._lingering = True
                    await self._pause(self._linger)
                    self._lingering = False
                    self._linger = self._next_linger()
                await self._deliver_fresh()
            elif self._spilling:
                await self._deliver_spilled()
            if self._adoptions.owners:
                await self._deliver_adopted()

    def _has_batch(self) -> bool:
        """Tell whether a batch is full: to wait for more would only let what is there pile up."""
        return len(self._memory) >= self._batch_size or self._memory.weight >= self._batch_bytes

    def _next_linger(self) -> float:
        if len(self._memory) < _MANY_RECORDS:
            return self._first_linger
        return min(2 * self._linger, self._longest_linger)

    async def _deliver_fresh(self) -> None:
        """Deliver a batch from memory, if something is there: renders may wait for it."""
        if self._memory:
            await self._deliver(self._memory.first(self._batch_size, self._batch_bytes))

    async def _deliver_spilled(self) -> None:
        """Deliver the oldest segment of this process's own whose records are not in memory."""
        # From here on what comes is in memory again, unless there are further segments before it.
        segment, self._spilling = self._spool.seal_oldest()
        if segment is not None:
            await self._deliver_own(segment)

    async def _deliver_own(self, segment: Segment) -> None:
        def settled(batch: Batch) -> None:
            self._mark(segment, batch.end, batch.frames)
            self._count_settled(batch.frames)

        try:
            await self._drain.drain(self._folder, segment, segment.settled, settled)
            rest = segment.records
            self._settle(segment, segment.size, rest)
        except OSError as error:
            self._log.error("audit_spool_unreadable", segment=segment.path.stem, error=error.strerror)
            rest = segment.records
            self._spool.drop(segment)
            segment.close()
            # The next process delivers what of it can be read; nobody here is told when.
            self._answers.fail_all()
        self._count_settled(rest)

    async def _deliver_adopted(self) -> None:
        """Deliver a segment of a process that has ended."""
        folder, path = self._adoptions.first()
        try:
            segment = Segment.open(path)
            try:
                recovered = await self._drain.drain(
                    folder,
                    segment,
                    None,
                    lambda batch: self._mark(segment, batch.end, 0),
                    self._deliver_fresh,
                )
                segment.remove()
            finally:
                segment.close()
        except NewerSegmentError:
            self._log.error(
                "audit_spool_left_alone", owner=folder.owner_id, reason="a later version wrote it"
            )
            self._adoptions.leave(folder)
        except OSError as error:
            self._adoptions.put_off(folder, error)
        else:
            self._log.info("audit_records_recovered", count=recovered, owner=folder.owner_id)
            self._adoptions.done(path)
        self._count_settled(0)

    async def _keep_house(self) -> None:
        while True:
            await self._sleep(self._housekeeping)
            self._look_for_dead()
            if self._needed_bytes and self._spool.has_room(self._needed_bytes):
                # Who is asked whether it can take records must not need one to find out.
                self._needed_bytes = 0

    def _look_for_dead(self) -> None:
        try:
            self._adoptions.look()
        except OSError as error:
            self._log.error("audit_spool_unreadable", error=error.strerror)
        if self._adoptions.owners and self._idle:
            self._wake.set()

    def _when_written(self, records: Sequence[AuditRecord]) -> None:
        self._finish(records, None)

    def _when_refused(self, record: AuditRecord) -> None:
        try:
            self._folder.set_aside(f"{record.render_id}.bin", fmt.frame(encode_record(record)))
            self._refused += 1
        except OSError as error:
            self._dropped += 1
            self._log.error("audit_records_dropped", reason=_reason(error), count=1)
        self._finish([record], _refused())

    def _when_unavailable(self) -> None:
        self._answers.fail_all()

    def _finish(self, records: Sequence[AuditRecord], failure: Error | None) -> None:
        """Answer who waits for records, and settle those that are in memory."""
        for record in records:
            self._answers.tell(record.render_id, failure)
        if self._drain.active:
            return
        for segment, (end, count) in self._memory.take(records).items():
            self._settle(segment, end, count)
        self._count_settled(len(records))

    def _settle(self, segment: Segment, end: int, records: int) -> None:
        with self._noting():
            self._spool.settle(segment, end, records)

    def _mark(self, segment: Segment, end: int, records: int) -> None:
        with self._noting():
            segment.settle(end, records)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # They are delivered; what can't be noted down costs another delivery, which changes nothing.
            self._log.error("audit_spool_unwritable", error=error.strerror)


def _reason(error: OSError) -> str:
    return "full" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else str(error.strerror)


def _refused() -> InternalError:
    return InternalError(
        ErrorReason.INTERNAL_FAULT, "the database does not take the audit record of the render; see the log"
    )
