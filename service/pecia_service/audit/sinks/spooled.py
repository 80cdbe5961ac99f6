"""The sink that appends each record to a local file before the render is answered, and then delivers it."""

from __future__ import annotations

import asyncio
import enum
import errno
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from pecia_service.audit.ports import RecordWriter, SinkStatus
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.background import BackgroundSink
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.adoption import Adoptions
from pecia_service.audit.spool.codec import encode_record
from pecia_service.audit.spool.folder import OwnerFolder
from pecia_service.audit.spool.group_commit import GroupCommit, outcome, tell
from pecia_service.audit.spool.log import SpoolLog
from pecia_service.audit.spool.reading import NewerSegmentError, SegmentReader
from pecia_service.audit.spool.segment import Segment
from pecia_service.errors import Error, ErrorReason, InternalError, UnavailableError
from pecia_service.ids import uuid7_time_ms

_RETRY_SECONDS = 1.0
_READ_BYTES = 8 * 1024 * 1024


class Durability(enum.Enum):
    """When a render may be answered: its record is in the file, on the disk, or in the database."""

    SPOOL = "spool"
    FSYNC = "fsync"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A record that is in memory too, and where it is in the spool."""

    record: AuditRecord
    weight: int
    segment: Segment
    end: int


class SpooledAuditSink(BackgroundSink):
    """Appends records to the segments of `spool` and writes them to a store; call `start` to begin.

    At most `max_records` that weigh at most `max_bytes` are in memory too; later ones are read back when it
    is their turn. A batch has at most `batch_size` records and waits `linger` seconds for more. What the
    store refuses for good is set aside. Each `housekeeping` seconds the folders of processes that have ended
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
        linger: float = 0.02,
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
        self._adoptions = Adoptions(folder.path.parent, folder.about.destination)
        self._durability = durability
        self._commits = commits or GroupCommit()
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._batch_size = batch_size
        # A render that waits for the database should not wait for others' company too.
        self._linger = 0.0 if durability is Durability.COMMIT else linger
        self._housekeeping = housekeeping
        # In order of arrival, without gaps; while `_spilling`, what came later is in the files only.
        self._memory: dict[str, _Entry] = {}
        self._memory_bytes = 0
        self._spilling = False
        # While records from a file are delivered: when the first of them was made.
        self._from_file = False
        self._file_at = 0
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._needed_bytes = 0
        self._damaged = 0
        self._lingering = False
        self._tasks: list[asyncio.Task[None]] = []

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
        render_id = record.render_id
        if render_id in self._memory:
            return self._answers.get(render_id)
        frame = fmt.frame(encode_record(record))
        try:
            segment, end = self._spool.append(frame, record.receipt.created_at)
        except OSError as error:
            self._needed_bytes = len(frame)
            self._refuse(_reason(error), spooled_bytes=self._spool.waiting_bytes)
            return None
        self._needed_bytes = 0
        self._admit()
        self._queue(record, segment, end)
        if self._durability is Durability.SPOOL:
            return None
        if self._durability is Durability.FSYNC:
            return self._commits.wait(segment)
        answer = self._answers[render_id] = outcome()
        return answer

    def holds(self, render_id: str) -> bool:
        """Tell whether a record is on its way; of one that may be in a file, as far as its time tells."""
        if render_id in self._memory or render_id in self._answers:
            return True
        since = [self._adoptions.oldest_at]
        if self._spilling or self._from_file:
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
            self._fail_answers()
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
            queued_bytes=self._memory_bytes,
            written=self._written,
            dropped=self._dropped,
            failing=self._store_failing or full,
            full=full,
            lag_seconds=self._lag_seconds(),
            spooled_bytes=self._spool.waiting_bytes + self._adoptions.waiting_bytes,
            damaged=self._damaged,
        )

    def _queue(self, record: AuditRecord, segment: Segment, end: int) -> None:
        weight = record.weight
        if (
            self._spilling
            or len(self._memory) >= self._max_records
            or self._memory_bytes + weight > self._max_bytes
        ):
            self._spilling = True
            if not self._memory:
                self._wake.set()
            return
        self._memory[record.render_id] = _Entry(record, weight, segment, end)
        self._memory_bytes += weight
        if len(self._memory) == 1 or (self._lingering and len(self._memory) >= self._batch_size):
            self._wake.set()

    def _queued(self) -> int:
        return self._spool.records

    def _backlog(self) -> frozenset[str]:
        return self._adoptions.owners

    def _lag_seconds(self) -> float:
        times = [self._adoptions.written_at]
        if self._file_at:
            times.append(self._file_at)
        elif self._memory:
            times.append(next(iter(self._memory.values())).record.receipt.created_at)
        else:
            times.append(self._spool.oldest_at)
        oldest = min((at for at in times if at is not None), default=None)
        return 0.0 if oldest is None else max(0, self._clock() - oldest) / 1e6

    async def _deliver_for_ever(self) -> None:
        while True:
            while not (self._memory or self._spilling or self._adoptions.owners):
                self._wake.clear()
                await self._wake.wait()
            if self._memory:
                if self._linger and len(self._memory) < self._batch_size and not self._waiters:
                    self._lingering = True
                    await self._pause(self._linger)
                    self._lingering = False
                await self._deliver(
                    [entry.record for entry in islice(self._memory.values(), self._batch_size)]
                )
            elif self._spilling:
                await self._deliver_spilled()
            if self._adoptions.owners:
                await self._deliver_adopted()

    async def _deliver_spilled(self) -> None:
        """Deliver the oldest segment of this process's own whose records are not in memory."""
        # From here on what comes is in memory again, unless there are further segments before it.
        segment, self._spilling = self._spool.seal_oldest()
        if segment is None:
            return
        try:
            await self._deliver_segment(self._folder, segment, segment.settled)
            rest = segment.records
            self._settle(segment, segment.size, rest)
        except OSError as error:
            self._log.error("audit_spool_unreadable", segment=segment.path.stem, error=error.strerror)
            rest = segment.records
            self._spool.drop(segment)
            segment.close()
        self._count_settled(rest)

    async def _deliver_adopted(self) -> None:
        """Deliver a segment of a process that has ended."""
        found = self._adoptions.first()
        if found is None:
            return
        folder, path = found
        try:
            segment = Segment.open(path)
            try:
                recovered = await self._deliver_segment(folder, segment, None)
                segment.remove()
            finally:
                segment.close()
        except NewerSegmentError:
            self._log.error(
                "audit_spool_left_alone", owner=folder.owner_id, reason="a later version wrote it"
            )
            self._adoptions.leave(folder)
        except OSError as error:
            self._log.error("audit_spool_unreadable", owner=folder.owner_id, error=error.strerror)
            self._adoptions.leave(folder)
        else:
            self._log.info("audit_records_recovered", count=recovered, owner=folder.owner_id)
            self._adoptions.done(path)
        self._count_settled(0)

    async def _deliver_segment(self, folder: OwnerFolder, segment: Segment, start: int | None) -> int:
        """Deliver what waits in a file, and return how many records that were."""
        reader = await asyncio.to_thread(SegmentReader.load, folder, segment, start)
        delivered = 0
        own = folder is self._folder
        self._from_file = True
        try:
            while batch := await asyncio.to_thread(reader.next_batch, self._batch_size, _READ_BYTES):
                if batch.damaged or batch.torn:
                    self._damaged += batch.damaged
                    self._log.error(
                        "audit_spool_damaged",
                        owner=folder.owner_id,
                        segment=segment.path.stem,
                        set_aside=batch.damaged,
                        torn_bytes=batch.torn,
                    )
                if batch.records:
                    self._file_at = batch.records[0].receipt.created_at
                    await self._deliver(batch.records)
                    delivered += len(batch.records)
                segment.settle(batch.end, batch.frames if own else 0)
                self._file_at = 0
                if own:
                    self._count_settled(batch.frames)
        finally:
            self._from_file = False
            self._file_at = 0
        return delivered

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
        if self._adoptions.owners:
            self._wake.set()

    def _when_written(self, records: Sequence[AuditRecord]) -> None:
        self._finish(records, None)

    def _when_refused(self, record: AuditRecord) -> None:
        try:
            self._folder.set_aside(f"{record.render_id}.bin", fmt.frame(encode_record(record)))
            self._damaged += 1
        except OSError as error:
            self._dropped += 1
            self._log.error("audit_records_dropped", reason=_reason(error), count=1)
        self._finish([record], _refused())

    def _when_unavailable(self) -> None:
        self._fail_answers()

    def _finish(self, records: Sequence[AuditRecord], failure: Error | None) -> None:
        """Answer who waits for records, and settle those that are in memory."""
        for record in records:
            if (answer := self._answers.pop(record.render_id, None)) is not None:
                tell(answer, failure)
        if self._from_file:
            return
        ends: dict[Segment, tuple[int, int]] = {}
        for record in records:
            entry = self._memory.pop(record.render_id)
            self._memory_bytes -= entry.weight
            ends[entry.segment] = (entry.end, ends.get(entry.segment, (0, 0))[1] + 1)
        for segment, (end, count) in ends.items():
            self._settle(segment, end, count)
        self._count_settled(len(records))

    def _settle(self, segment: Segment, end: int, records: int) -> None:
        try:
            self._spool.settle(segment, end, records)
        except OSError as error:
            # They are delivered; what can't be noted down costs another delivery, which changes nothing.
            self._log.error("audit_spool_unwritable", error=error.strerror)

    def _fail_answers(self) -> None:
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            tell(answer, _undelivered())


def _reason(error: OSError) -> str:
    return "full" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else str(error.strerror)


def _undelivered() -> UnavailableError:
    return UnavailableError(
        ErrorReason.STORAGE_UNAVAILABLE,
        "the audit record of the render waits for the database; try again",
        retry_after=_RETRY_SECONDS,
    )


def _refused() -> InternalError:
    return InternalError(
        ErrorReason.INTERNAL_FAULT, "the database does not take the audit record of the render; see the log"
    )
