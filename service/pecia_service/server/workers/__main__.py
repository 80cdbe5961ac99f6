"""Run a supervisor with the settings of the environment: what `pecia serve --workers N` becomes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from pecia_service import logs
from pecia_service.server.monitoring.http_server import MonitoringServer
from pecia_service.server.starting import StartError
from pecia_service.server.workers.backoff import Backoff
from pecia_service.server.workers.command import with_settings, worker_command
from pecia_service.server.workers.monitoring import WorkerPages
from pecia_service.server.workers.reservation import Reservation
from pecia_service.server.workers.supervisor import REFUSED, Supervisor
from pecia_service.server.workers.worker import Worker
from pecia_service.settings import Settings

_MARGIN_SECONDS: Final = 5.0
# A writer that is cancelled may wait for a statement that is on its way, to roll it back.
_LONGEST_ROLLBACK_SECONDS: Final = 10.0
_PAGES_OF_A_WORKER: Final = "127.0.0.1:0"


def patience(settings: Settings) -> float:
    """Return how many seconds a worker that was told to stop may take."""
    # It gives its calls one grace, its audit records another, and its spans a third.
    graces = (2 + settings.tracing) * settings.shutdown_grace
    rollback = min(settings.database_statement_timeout, _LONGEST_ROLLBACK_SECONDS)
    return graces + rollback + _MARGIN_SECONDS


async def supervise(settings: Settings, reservation: Reservation) -> int:
    """Keep workers on a reserved port until SIGTERM or SIGINT; return the exit code of the service."""
    values = {"listen": reservation.listen}
    if settings.metrics_listen:
        values["metrics_listen"] = _PAGES_OF_A_WORKER
    environment = with_settings(os.environ, values)

    async def start(index: int) -> Worker:
        return await Worker.start(index, worker_command, environment, time.monotonic)

    supervisor = Supervisor(
        workers=settings.workers,
        start=start,
        backoff=lambda: Backoff(random.random),
        patience=patience(settings),
        log=structlog.get_logger("pecia.supervisor"),
    )
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
    loop.add_signal_handler(signal.SIGINT, supervisor.interrupt)
    async with _monitored(settings.metrics_listen, supervisor) as metrics:
        return await supervisor.run(listen=reservation.listen, metrics=metrics)


@asynccontextmanager
async def _monitored(listen: str, supervisor: Supervisor) -> AsyncIterator[str | None]:
    """Serve the pages of all workers together, and give HOST:PORT; None if no pages are wanted.

    Raises ListenError for an address that can't be had.
    """
    if not listen:
        yield None
        return
    pages = WorkerPages(supervisor.pages, lambda: supervisor.restarts)
    server = MonitoringServer(listen, pages.pages())
    server.start()
    try:
        yield server.address
    finally:
        await server.close()
        pages.close()


def main() -> int:
    """Reserve the port and run the workers; return the exit code."""
    settings = Settings.load(os.environ)
    logs.configure(settings.log_level, settings.log_format)
    try:
        with Reservation.make(settings.listen) as reservation:
            return asyncio.run(supervise(settings, reservation))
    except StartError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED


if __name__ == "__main__":
    sys.exit(main())
