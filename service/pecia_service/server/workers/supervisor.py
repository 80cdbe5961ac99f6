"""The supervisor: keeps a number of workers serving, and stops them together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from pecia_service.server.workers.backoff import Backoff
from pecia_service.server.workers.worker import Worker, describe

TOLD: Final = frozenset({2, 4, 5})
"""Exit codes with which a worker has said, in a line of its own, why it can't start as things are."""

REFUSED: Final = 4
"""The exit code of a supervisor that can't listen."""

_FAILED: Final = 1


class Supervisor:
    """Keeps workers 0 to `workers - 1` serving until it is stopped; it belongs to one event loop.

    `start` starts a worker by its number, `backoff` makes what tells the pauses between the starts of one.
    Workers get `patience` seconds to stop.
    """

    def __init__(
        self,
        *,
        workers: int,
        start: Callable[[int], Awaitable[Worker]],
        backoff: Callable[[], Backoff],
        patience: float,
        log: FilteringBoundLogger,
    ) -> None:
        self.restarts = [0] * workers
        self._workers: list[Worker | None] = [None] * workers
        self._start = start
        self._backoff = backoff
        self._patience = patience
        self._log = log
        self._first = asyncio.Event()
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        self._code = 0
        self._complete = False
        self._about: dict[str, object] = {}

    @property
    def serving(self) -> list[Worker]:
        """The workers that serve now."""
        return [worker for worker in self._workers if worker is not None and worker.report is not None]

    def pages(self) -> dict[int, str]:
        """Return HOST:PORT of the pages of each worker that serves and has some, by its number."""
        found = [(worker.index, worker.report) for worker in self._workers if worker is not None]
        return {index: report.metrics for index, report in found if report and report.metrics}

    @property
    def stopping(self) -> bool:
        """Whether the workers are being stopped."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Stop all workers gracefully."""
        if not self.stopping:
            self._log.info("stopping", workers=len(self.serving), patience_seconds=self._patience)
        self._stopping.set()

    def interrupt(self) -> None:
        """Stop all workers gracefully, or, when asked once more, at once."""
        if self.stopping:
            self._killing.set()
        self.stop()

    async def run(self, **about: object) -> int:
        """Keep the workers serving until they are stopped; return the exit code of the service.

        When all serve for the first time, the log says so, with what it is told `about` the service.
        It is 0 when all have drained, 1 when one was cut off, and that of the first worker if it has said
        why it can't start.
        """
        self._about = about
        async with asyncio.TaskGroup() as keepers:
            keepers.create_task(self._keep(0))
            # What keeps all of them from starting is told once: by the first, which starts alone.
            await _either(self._first, self._stopping)
            for index in range(1, len(self._workers)):
                keepers.create_task(self._keep(index))
        if self._first.is_set():
            self._log.info("stopped", exit_code=self._code)
        return self._code

    async def _keep(self, index: int) -> None:
        """Start one worker again and again, and end the last."""
        backoff = self._backoff()
        while not self.stopping:
            try:
                worker = await self._start(index)
            except OSError as error:
                self._log.error("worker not started", worker=index, reason=error.strerror)
                await _either(self._stopping, seconds=backoff.pause(0))
                continue
            life = asyncio.create_task(self._live(worker))
            await _either(life, self._stopping)
            if self.stopping:
                await self._end(worker, life)
                return
            code = life.result()
            if code in TOLD and not self._first.is_set():
                self._code = code
                self._stopping.set()
                return
            pause = backoff.pause(worker.served)
            self.restarts[index] += 1
            self._log.warning(
                "worker ended",
                worker=index,
                pid=worker.pid,
                **describe(code),
                served_seconds=round(worker.served, 3),
                restart_in_seconds=round(pause, 3),
            )
            await _either(self._stopping, seconds=pause)

    async def _live(self, worker: Worker) -> int:
        """Follow a worker from its start to its end; return its exit code."""
        self._workers[worker.index] = worker
        try:
            if await worker.serving():
                self._first.set()
                self._announce(worker)
            return await worker.ended()
        finally:
            self._workers[worker.index] = None

    def _announce(self, worker: Worker) -> None:
        self._log.info("worker serves", worker=worker.index, pid=worker.pid)
        if not self._complete and len(self.serving) == len(self._workers):
            self._complete = True
            self._log.info("all workers serve", workers=len(self._workers), **self._about)

    async def _end(self, worker: Worker, life: asyncio.Task[int]) -> None:
        """Stop a worker gracefully, and kill it when its time is over."""
        worker.send(signal.SIGTERM)
        await _either(life, self._killing, seconds=self._patience)
        if not life.done():
            self._log.error("worker killed", worker=worker.index, pid=worker.pid)
            worker.send(signal.SIGKILL)
        # One that never served had accepted nothing that could be cut off.
        if await life != 0 and worker.report is not None:
            self._code = _FAILED


async def _either(*awaited: asyncio.Event | asyncio.Task[int], seconds: float | None = None) -> None:
    """Wait for the first of some events and tasks, or until seconds have passed; tasks go on."""
    waiters = {one if isinstance(one, asyncio.Task) else asyncio.create_task(one.wait()) for one in awaited}
    await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters - set(awaited):
        waiter.cancel()
