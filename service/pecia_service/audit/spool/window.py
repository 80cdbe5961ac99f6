"""The records of the spool that are in memory too, so that they need not be read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from pecia_service.audit.record import AuditRecord
from pecia_service.audit.spool.segment import Segment


@dataclass(frozen=True, slots=True)
class _Entry:
    record: AuditRecord
    weight: int
    segment: Segment
    end: int


class Window:
    """At most `max_records` that weigh at most `max_bytes`, in the order of the files and without gaps."""

    def __init__(self, *, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._entries: dict[str, _Entry] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, render_id: str) -> bool:
        return render_id in self._entries

    @property
    def weight(self) -> int:
        """About how many bytes the records take in memory."""
        return self._bytes

    @property
    def oldest_at(self) -> int | None:
        """When the first record was made, in microseconds; None when there is none."""
        return next((entry.record.receipt.created_at for entry in self._entries.values()), None)

    def add(self, record: AuditRecord, segment: Segment, end: int) -> bool:
        """Keep a record that ends at an offset of a segment; tell whether there was room for it."""
        weight = record.weight
        if len(self._entries) >= self._max_records or self._bytes + weight > self._max_bytes:
            return False
        self._entries[record.render_id] = _Entry(record, weight, segment, end)
        self._bytes += weight
        return True

    def segment_of(self, render_id: str) -> Segment | None:
        """Return the segment that a record is in, None for a record that is not here."""
        entry = self._entries.get(render_id)
        return None if entry is None else entry.segment

    def first(self, count: int, max_bytes: int) -> list[AuditRecord]:
        """Return the first records, at most so many that weigh at most so much; one at least."""
        records: list[AuditRecord] = []
        weight = 0
        for entry in islice(self._entries.values(), count):
            weight += entry.weight
            if records and weight > max_bytes:
                break
            records.append(entry.record)
        return records

    def take(self, records: Sequence[AuditRecord]) -> Mapping[Segment, tuple[int, int]]:
        """Forget the first records; return where they end in each of their segments, and their number."""
        ends: dict[Segment, tuple[int, int]] = {}
        for record in records:
            entry = self._entries.pop(record.render_id)
            self._bytes -= entry.weight
            ends[entry.segment] = (entry.end, ends.get(entry.segment, (0, 0))[1] + 1)
        return ends
