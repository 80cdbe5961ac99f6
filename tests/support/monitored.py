"""A server in the test's own event loop whose pages are served too."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from grpc import aio
from pecia.v1 import prompt_service_pb2_grpc, registry_service_pb2_grpc
from pecia_service.audit.ports import SinkStatus
from pecia_service.bootstrap import Application, application
from pecia_service.server.app import PeciaServer
from pecia_service.server.interceptors.observation import CallObserver
from pecia_service.server.monitoring.monitor import Monitor, monitored
from pecia_service.settings import Settings
from pecia_service.storage.engine import Database
from support.pages import SECONDS, Page, Scrape, page, scrape


class Told:
    """Passes on what an observer is told, and lets a test wait for it."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer
        self._changed = asyncio.Condition()
        self._counts: Counter[str] = Counter()

    def started(self, method: str) -> None:
        """Pass on the beginning of a call."""
        self._observer.started(method)
        self._count("started")

    def finished(self, method: str, code: str, seconds: float) -> None:
        """Pass on the end of a call."""
        self._observer.finished(method, code, seconds)
        self._count("finished")

    async def wait(self, what: str, count: int) -> None:
        """Wait until so many calls have started or finished."""
        async with asyncio.timeout(SECONDS), self._changed:
            await self._changed.wait_for(lambda: self._counts[what] >= count)

    def _count(self, what: str) -> None:
        self._counts[what] += 1
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@dataclass(frozen=True)
class MonitoredServer:
    """A server, its pages, and stubs of its services."""

    address: str
    application: Application
    server: PeciaServer
    monitor: Monitor
    calls: Told
    prompts: prompt_service_pb2_grpc.PromptServiceAsyncStub
    registry: registry_service_pb2_grpc.RegistryServiceAsyncStub
    channel: aio.Channel

    async def page(self, path: str, **options: object) -> Page:
        """Ask for a page while the server goes on."""
        return await page(self.address, path, **options)

    async def scrape(self) -> Scrape:
        """Read the metrics."""
        return await scrape(self.address)


@asynccontextmanager
async def monitored_server(
    database_url: str,
    *,
    audit: Callable[[], SinkStatus] | None = None,
    database: Database | None = None,
    **overrides: str,
) -> AsyncIterator[MonitoredServer]:
    """Serve on free ports; the monitor may be given another audit or database to look at."""
    with TemporaryDirectory(prefix="pecia-spool-") as folder:
        settings = Settings.load(
            {},
            {
                "listen": "127.0.0.1:0",
                "metrics_listen": "127.0.0.1:0",
                "database_url": database_url,
                "audit_spool_dir": folder,
                "shutdown_grace": "5",
                **overrides,
            },
        )
        async with (
            application(settings) as app,
            monitored(
                settings.metrics_listen,
                database=database or app.database,
                caches=app.caches,
                audit=audit or app.sink.status,
            ) as monitor,
        ):
            assert monitor.calls is not None
            assert monitor.address is not None
            told = Told(monitor.calls)
            server = PeciaServer(settings, app, observer=told)
            target = f"127.0.0.1:{await server.start()}"
            async with aio.insecure_channel(target) as channel:
                try:
                    yield MonitoredServer(
                        monitor.address,
                        app,
                        server,
                        monitor,
                        told,
                        prompt_service_pb2_grpc.PromptServiceStub(channel),
                        registry_service_pb2_grpc.RegistryServiceStub(channel),
                        channel,
                    )
                finally:
                    await server.stop()
