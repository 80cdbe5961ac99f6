"""What a scrape reads of a server besides its calls, and how that becomes metrics."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pecia_service.audit.ports import SinkStatus
from pecia_service.caching.bounded import CacheStatistics
from pecia_service.server.monitoring.loop_calls import LoopAwayError, LoopCalls
from pecia_service.storage.engine import PoolStatus

_LOOP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A server at one moment; `caches` by name."""

    ready: bool
    database_up: bool
    pool: PoolStatus
    audit: SinkStatus
    caches: Mapping[str, CacheStatistics]


_Read: TypeAlias = Callable[[Snapshot], float]
_ReadCache: TypeAlias = Callable[[CacheStatistics], float]

_GAUGES: Final[tuple[tuple[str, str, _Read], ...]] = (
    ("pecia_ready", "Whether calls should be sent here: 1 or 0.", lambda s: s.ready),
    ("pecia_audit_queued", "Audit records that are not in the database yet.", lambda s: s.audit.queued),
    (
        "pecia_audit_queued_bytes",
        "About what the records that wait in memory weigh.",
        lambda s: s.audit.queued_bytes,
    ),
    (
        "pecia_audit_spooled_bytes",
        "Bytes of records that wait in local files.",
        lambda s: s.audit.spooled_bytes,
    ),
    (
        "pecia_audit_lag_seconds",
        "Age of the oldest record that waits.",
        lambda s: s.audit.lag_seconds,
    ),
    (
        "pecia_audit_failing",
        "Whether the last attempt to write failed, or records are being dropped: 1 or 0.",
        lambda s: s.audit.failing,
    ),
    ("pecia_audit_full", "Whether no further record can be taken: 1 or 0.", lambda s: s.audit.full),
    (
        "pecia_database_up",
        "Whether the database answers within half a second: 1 or 0.",
        lambda s: s.database_up,
    ),
    ("pecia_database_pool_size", "Connections that may be open at once.", lambda s: s.pool.size),
    ("pecia_database_pool_checked_out", "Connections in use.", lambda s: s.pool.checked_out),
    ("pecia_database_pool_idle", "Connections that are open and not in use.", lambda s: s.pool.idle),
)
_COUNTERS: Final[tuple[tuple[str, str, _Read], ...]] = (
    ("pecia_audit_written_total", "Audit records written to the database.", lambda s: s.audit.written),
    ("pecia_audit_dropped_total", "Audit records lost.", lambda s: s.audit.dropped),
    (
        "pecia_audit_damaged_total",
        "Records in local files that could not be read or kept, and were set aside.",
        lambda s: s.audit.damaged,
    ),
)
_CACHE_COUNTERS: Final[tuple[tuple[str, str, _ReadCache], ...]] = (
    ("pecia_cache_hits_total", "Values that a cache had.", lambda c: c.hits),
    ("pecia_cache_misses_total", "Values that a cache did not have.", lambda c: c.misses),
    ("pecia_cache_evictions_total", "Values that a cache let go of for others.", lambda c: c.evictions),
)
_CACHE_GAUGES: Final[tuple[tuple[str, str, _ReadCache], ...]] = (
    ("pecia_cache_entries", "Values in a cache.", lambda c: c.entries),
    ("pecia_cache_bytes", "About what the values in a cache weigh.", lambda c: c.weight),
)


class SnapshotCollector(Collector):
    """Takes a snapshot on the event loop for each scrape; yields nothing when the loop does not answer."""

    def __init__(self, loop: LoopCalls, take: Callable[[], Coroutine[Any, Any, Snapshot]]) -> None:
        self._loop = loop
        self._take = take

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of a new snapshot."""
        try:
            snapshot = self._loop.ask(self._take, _LOOP_SECONDS)
        except LoopAwayError:
            return []
        return _metrics(snapshot)

    def describe(self) -> Iterable[Metric]:
        """Yield the metrics without values."""
        return _metrics(None)


def _metrics(snapshot: Snapshot | None) -> Iterator[Metric]:
    for name, meaning, read in _GAUGES:
        yield GaugeMetricFamily(name, meaning, value=None if snapshot is None else read(snapshot))
    for name, meaning, read in _COUNTERS:
        yield CounterMetricFamily(name, meaning, value=None if snapshot is None else read(snapshot))
    caches = {} if snapshot is None else snapshot.caches
    for kind, table in ((CounterMetricFamily, _CACHE_COUNTERS), (GaugeMetricFamily, _CACHE_GAUGES)):
        for name, meaning, read_cache in table:
            family = kind(name, meaning, labels=("cache",))
            for cache, statistics in caches.items():
                family.add_metric((cache,), read_cache(statistics))
            yield family
