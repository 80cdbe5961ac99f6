"""Everything that a server tells of itself over HTTP, put together."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, make_wsgi_app

from pecia_service.audit.ports import SinkStatus
from pecia_service.caching.bounded import BoundedCache
from pecia_service.server.monitoring.calls import CallMetrics
from pecia_service.server.monitoring.database_watch import DatabaseWatch
from pecia_service.server.monitoring.http_server import MonitoringServer
from pecia_service.server.monitoring.loop_calls import LoopCalls
from pecia_service.server.monitoring.loop_lag import LoopLag
from pecia_service.server.monitoring.pages import health_page, readiness_page
from pecia_service.server.monitoring.readiness import Readiness
from pecia_service.server.monitoring.snapshot import Snapshot, SnapshotCollector
from pecia_service.storage.engine import Database

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class Monitor:
    """The metrics and probes of one server; make it with `monitored`.

    Without an address in `listen` nothing is served, and nothing counted: `calls` is None.
    """

    def __init__(
        self,
        listen: str,
        *,
        database: Database,
        caches: Mapping[str, BoundedCache[Any, Any]],
        audit: Callable[[], SinkStatus],
    ) -> None:
        self._database = database
        self._caches = caches
        self._audit = audit
        self._watch = DatabaseWatch(database.ping)
        self._lag = LoopLag()
        self.readiness = Readiness(self._watch, audit)
        self.calls: CallMetrics | None = None
        self._server: MonitoringServer | None = None
        if listen:
            registry = CollectorRegistry()
            self.calls = CallMetrics(registry)
            self._server = MonitoringServer(listen, self._pages(registry))

    @property
    def address(self) -> str | None:
        """HOST:PORT of the pages as bound, None if there are none."""
        return None if self._server is None else self._server.address

    def start(self) -> None:
        """Begin to measure and to answer."""
        if self._server is not None:
            self._lag.start()
            self._server.start()

    async def aclose(self) -> None:
        """Let go of the port, and stop to measure."""
        if self._server is not None:
            await self._server.close()
        self._lag.stop()
        await self._watch.aclose()

    def _pages(self, registry: CollectorRegistry) -> dict[str, WSGIApplication]:
        # When a series began is of no use here, and would double their number.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # in the library
        loop = LoopCalls()
        registry.register(SnapshotCollector(loop, self._snapshot))
        Gauge(
            "pecia_loop_lag_seconds",
            "How late the event loop ran what was due, at worst in the last 15 seconds.",
            registry=registry,
        ).set_function(self._lag.seconds)
        Gauge(
            "pecia_build_info",
            "Always 1; the labels say what runs.",
            ("version", "python"),
            registry=registry,
        ).labels(_version(), platform.python_version()).set(1)
        ProcessCollector(registry=registry)
        return {
            "/metrics": make_wsgi_app(registry),
            "/healthz": health_page(loop),
            "/readyz": readiness_page(loop, self.readiness.report),
        }

    async def _snapshot(self) -> Snapshot:
        report = await self.readiness.report()
        return Snapshot(
            ready=report.ready,
            database_up=report.database_up,
            pool=self._database.pool_status(),
            audit=self._audit(),
            caches={name: cache.statistics() for name, cache in self._caches.items()},
        )


@asynccontextmanager
async def monitored(
    listen: str,
    *,
    database: Database,
    caches: Mapping[str, BoundedCache[Any, Any]],
    audit: Callable[[], SinkStatus],
) -> AsyncIterator[Monitor]:
    """Serve the pages of a server on HOST:PORT while it runs; see Monitor.

    Raises ListenError for an address that can't be had.
    """
    monitor = Monitor(listen, database=database, caches=caches, audit=audit)
    monitor.start()
    try:
        yield monitor
    finally:
        await monitor.aclose()


def _version() -> str:
    try:
        return metadata.version("pecia")
    except metadata.PackageNotFoundError:
        return "unknown"
