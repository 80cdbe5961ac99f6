"""Delivering what waits in a segment file, batch by batch, with what is damaged set aside and told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pecia_service.audit.record import AuditRecord
from pecia_service.audit.spool.folder import OwnerFolder
from pecia_service.audit.spool.reading import Batch, SegmentReader
from pecia_service.audit.spool.segment import Segment


class SegmentDrain:
    """Reads segments and hands their records to `deliver`, which returns when they are settled.

    While `active`, what is delivered comes from a file; `made_at` is when the first of a batch was made, in
    microseconds, None between batches. `damaged` counts what was set aside.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[AuditRecord]], Awaitable[None]],
        *,
        batch_size: int,
        batch_bytes: int,
    ) -> None:
        self.active = False
        self.made_at: int | None = None
        self.damaged = 0
        self._deliver = deliver
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        self._log = structlog.get_logger(__name__)

    async def drain(
        self,
        folder: OwnerFolder,
        segment: Segment,
        start: int | None,
        settled: Callable[[Batch], None],
        between: Callable[[], Awaitable[None]] | None = None,
    ) -> int:
        """Deliver what a file has from an offset, None for where it says itself; return the records' number.

        `settled` is told after each batch, and `between` is what others get to do then. Raises OSError,
        NewerSegmentError.
        """
        reader = await asyncio.to_thread(SegmentReader.load, folder, segment, start)
        delivered = 0
        self.active = True
        try:
            while batch := await asyncio.to_thread(reader.next_batch, self._batch_size, self._batch_bytes):
                self._note_damage(folder, segment, batch)
                if batch.records:
                    self.made_at = batch.records[0].receipt.created_at
                    await self._deliver(batch.records)
                    self.made_at = None
                    delivered += len(batch.records)
                settled(batch)
                if between is not None:
                    # What is delivered meanwhile does not come from this file.
                    self.active = False
                    await between()
                    self.active = True
        finally:
            self.active = False
            self.made_at = None
        return delivered

    def _note_damage(self, folder: OwnerFolder, segment: Segment, batch: Batch) -> None:
        if not batch.damaged and not batch.torn:
            return
        self.damaged += batch.damaged
        self._log.error(
            "audit_spool_damaged",
            owner=folder.owner_id,
            segment=segment.path.stem,
            set_aside=batch.damaged,
            torn_bytes=batch.torn,
        )
