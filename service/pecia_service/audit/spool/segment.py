"""One segment file: what was appended to it, how much of that is settled, and reading it back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.folder import open_segment

Write: TypeAlias = Callable[[int, bytes], int]
"""How bytes are appended: `os.write`, or what a test puts in its place."""


class Segment:
    """A segment file. `size` and `settled` are offsets, `records` counts those that are not settled.

    `named` says that the file's name is on the disk too, `usable` that its end and its mark are what they
    should be, so that more may be appended.
    """

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self.settled = fmt.HEADER_BYTES
        self.records = 0
        self.oldest_at = 0
        self.named = False
        self.usable = True
        self._descriptor = descriptor
        self._resting = False

    @classmethod
    def create(cls, path: Path, write: Write) -> Segment:
        """Make a new segment; raises OSError, and then leaves no file."""
        segment = cls(path, open_segment(path), 0)
        try:
            segment._append(fmt.header(), write)
        except OSError:
            segment.remove()
            raise
        return segment

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Open a segment that is there; raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        return cls(path, descriptor, os.fstat(descriptor).st_size)

    @property
    def waiting_bytes(self) -> int:
        """The bytes of frames that are not settled."""
        return max(0, self.size - self.settled)

    def append(self, frame: bytes, created_at: int, write: Write) -> int:
        """Append the frame of one record in one write, and return the offset after it; raises OSError.

        What a failed write leaves is cut off again.
        """
        self._append(frame, write)
        if not self.records:
            self.oldest_at = created_at
        self.records += 1
        return self.size

    def settle(self, end: int, records: int) -> None:
        """Note that all up to an offset is settled, among it so many records.

        Raises OSError for a mark that can't be written: it is noted here then, and not in the file.
        """
        self.records -= records
        self.settled = end
        with self._awake() as descriptor:
            os.pwrite(descriptor, fmt.settled_mark(end), fmt.SETTLED_AT)

    def clear(self) -> None:
        """Cut off all that is settled, when that is all there is: its texts are kept elsewhere now.

        Raises OSError, and then nothing may be appended any more: the mark could be beyond it.
        """
        self._cut(fmt.HEADER_BYTES)
        self.usable = False
        self.settle(fmt.HEADER_BYTES, 0)
        self.usable = True

    def try_room(self, count: int, write: Write) -> None:
        """Append so many bytes and cut them off again; raises OSError when there is no room for them."""
        size = self.size
        self._append(bytes(count), write)
        self._cut(size)

    def read(self) -> bytes:
        """Return the bytes of the file; raises OSError."""
        return self.path.read_bytes()

    def duplicate(self) -> int | None:
        """Return another descriptor, for who syncs the file while it may be closed here; None when it is.

        Raises OSError.
        """
        if self._descriptor < 0 and not self._resting:
            return None
        with self._awake() as descriptor:
            return os.dup(descriptor)

    def rest(self) -> None:
        """Do without a descriptor while nothing is done with the file: a long outage fills many of them."""
        self.close()
        self._resting = True

    def close(self) -> None:
        """Close the file, and leave it."""
        self._resting = False
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Close the file and delete it; raises OSError."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _append(self, data: bytes, write: Write) -> None:
        written = 0
        try:
            written = write(self._descriptor, data)
            while written < len(data):
                # The disk took a part, or a signal came in between; the rest tells which.
                written += write(self._descriptor, data[written:])
        except OSError:
            if written:
                self._cut(self.size)
            raise
        self.size += len(data)

    def _cut(self, size: int) -> None:
        self.usable = False
        os.ftruncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        self.size = size
        self.usable = True

    @contextmanager
    def _awake(self) -> Iterator[int]:
        """Lend a descriptor, one of its own while the file rests; raises OSError."""
        if not self._resting:
            yield self._descriptor
            return
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
