"""Reading what waits in segments: records in batches, and what is damaged set aside."""

from __future__ import annotations

from dataclasses import dataclass

from pecia_service.audit.record import AuditRecord
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.codec import CodecError, decode_record
from pecia_service.audit.spool.folder import OwnerFolder
from pecia_service.audit.spool.segment import Segment


class NewerSegmentError(Exception):
    """A later version wrote the segment; this one leaves it alone."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that stand together in a segment, the offset after them, and what was in their midst.

    `frames` counts whole frames. `damaged` counts what was set aside, `torn` the bytes of a write that was
    interrupted, which nobody was told had succeeded.
    """

    records: list[AuditRecord]
    end: int
    frames: int
    damaged: int
    torn: int


class SegmentReader:
    """Gives what waits in one segment; make it with `load`."""

    def __init__(self, folder: OwnerFolder, name: str, data: bytes, start: int) -> None:
        self._folder = folder
        self._name = name
        self._data = data
        self._found = fmt.scan(data, start)

    @classmethod
    def load(cls, folder: OwnerFolder, segment: Segment, start: int | None = None) -> SegmentReader:
        """Read a segment's file from an offset, or from where it says itself that records wait.

        Raises OSError, NewerSegmentError.
        """
        data = segment.read()
        if fmt.version_of(data) not in (None, fmt.VERSION):
            raise NewerSegmentError
        return cls(folder, segment.path.stem, data, fmt.first_unsettled(data) if start is None else start)

    def next_batch(self, max_records: int, max_bytes: int) -> Batch | None:
        """Return the next records, None at the end; a batch has one at least. Raises OSError.

        What is damaged is in the folder for that when this returns.
        """
        records: list[AuditRecord] = []
        end = frames = damaged = torn = size = 0
        for found in self._found:
            end = found.end
            match found:
                case fmt.Body():
                    frames += 1
                    size += len(found.body)
                    try:
                        records.append(decode_record(found.body))
                    except CodecError:
                        self._set_aside(end - len(found.body) - fmt.FRAME_BYTES, end)
                        damaged += 1
                case fmt.Damage():
                    self._set_aside(found.start, end)
                    damaged += not found.torn
                    torn += (end - found.start) * found.torn
            if len(records) >= max_records or size >= max_bytes:
                break
        return Batch(records, end, frames, damaged, torn) if end else None

    def _set_aside(self, start: int, end: int) -> None:
        self._folder.set_aside(f"{self._name}-{start}.bin", self._data[start:end])
