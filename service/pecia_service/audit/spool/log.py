"""The segments that one process appends to: when another begins, what they may take, and what is removed."""

from __future__ import annotations

import errno
import os
from collections import deque

from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.folder import OwnerFolder
from pecia_service.audit.spool.segment import Segment, Write

# A spool that is smaller than a few segments would be full of records that are settled.
_LEAST_SEGMENTS = 4


class SpoolLog:
    """Appends to segments of `segment_bytes` that have at most `max_bytes` together."""

    def __init__(
        self, folder: OwnerFolder, *, max_bytes: int, segment_bytes: int, write: Write = os.write
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max_bytes // _LEAST_SEGMENTS)
        self._write = write
        self._segments: deque[Segment] = deque()
        self._current: Segment | None = None
        self._numbers = 0
        self._bytes = 0

    @property
    def records(self) -> int:
        """How many records are not settled."""
        return sum(segment.records for segment in self._segments)

    @property
    def waiting_bytes(self) -> int:
        """The bytes of what is not settled."""
        return sum(segment.waiting_bytes for segment in self._segments)

    @property
    def oldest_at(self) -> int | None:
        """When the oldest record that may wait was made, in microseconds; None when none waits."""
        return next((segment.oldest_at for segment in self._segments if segment.records), None)

    def append(self, frame: bytes, created_at: int) -> tuple[Segment, int]:
        """Append a frame, and return where it is and the offset after it.

        Raises OSError: ENOSPC when there would be too many bytes, else what the file system said.
        """
        current = self._appendable()
        if self._bytes + len(frame) > self._max_bytes:
            raise OSError(errno.ENOSPC, "the spool is full")
        end = current.append(frame, created_at, self._write)
        self._bytes += len(frame)
        return current, end

    def has_room(self, count: int) -> bool:
        """Tell whether a frame of so many bytes could be appended now."""
        if self._bytes + count > self._max_bytes:
            return False
        try:
            self._appendable().try_room(count, self._write)
        except OSError:
            return False
        return True

    def seal_oldest(self) -> tuple[Segment | None, bool]:
        """Return the oldest segment with records that wait, and whether others have some too.

        From now on that segment only gets shorter.
        """
        waiting = [segment for segment in self._segments if segment.records]
        if not waiting:
            return None, False
        if waiting[0] is self._current:
            self._current = None
        return waiting[0], len(waiting) > 1

    def settle(self, segment: Segment, end: int, records: int) -> None:
        """Note that records are settled, and remove or clear their segment when all of it is.

        Raises OSError for what can't be noted in the file.
        """
        before = segment.size
        try:
            segment.settle(end, records)
            if segment is self._current and not segment.records:
                segment.clear()
        finally:
            self._bytes -= before - segment.size
            if segment is not self._current and not segment.records:
                # Also where no mark could be written: what is gone needs none.
                self.drop(segment)
                segment.remove()

    def drop(self, segment: Segment) -> None:
        """Count a segment no more."""
        self._segments.remove(segment)
        self._bytes -= segment.size

    def close(self) -> None:
        """Close all files; those with records that wait stay, the others are removed."""
        self._current = None
        for segment in self._segments:
            if segment.records:
                segment.close()
            else:
                segment.remove()

    def _appendable(self) -> Segment:
        """Return the segment that is appended to next; raises OSError."""
        current = self._current
        if current is None or not current.usable or current.size >= self._segment_bytes:
            return self._roll()
        return current

    def _roll(self) -> Segment:
        """Begin another segment."""
        if self._bytes + fmt.HEADER_BYTES > self._max_bytes:
            raise OSError(errno.ENOSPC, "the spool is full")
        segment = Segment.create(self._folder.segment(self._numbers + 1), self._write)
        self._numbers += 1
        full, self._current = self._current, segment
        self._segments.append(segment)
        self._bytes += segment.size
        if full is not None and full.records:
            full.rest()
        elif full is not None:
            self.drop(full)
            full.remove()
        return segment
