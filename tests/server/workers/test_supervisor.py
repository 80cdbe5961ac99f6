"""The supervisor over small processes that behave as workers can; servers are in test_workers.py."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from pecia_service.server.workers.backoff import Backoff
from pecia_service.server.workers.supervisor import Supervisor
from pecia_service.server.workers.worker import Worker

SECONDS = 30.0

SERVES = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.write({end}, b'{{"metrics": null}}\\n')
signal.sigwait([signal.SIGTERM])
"""
STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write({end}, b'{{"metrics": null}}\\n')
while True:
    signal.pause()
"""
STARTS = "import signal; signal.pause()"
FAILS = "raise SystemExit(3)"
IS_TOLD_WHY_NOT = "raise SystemExit(4)"


class Pauses(Backoff):
    """Takes no time, and tells nobody apart."""

    def pause(self, served: float) -> float:
        """Return no time."""
        return 0.0


class Log:
    """Keeps what is logged, and lets wait for it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    def __call__(self, logger: object, method: str, line: MutableMapping[str, Any]) -> str:
        """Take a line."""
        self.lines.append(dict(line))
        self._more.set()
        raise structlog.DropEvent

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of an event."""
        return [line for line in self.lines if line["event"] == event]

    async def until(self, event: str, times: int) -> None:
        """Wait until an event was logged so many times."""
        async with asyncio.timeout(SECONDS):
            while len(self.of(event)) < times:
                self._more.clear()
                await self._more.wait()


@dataclass
class Run:
    """A supervisor that runs, what it has started, and what it logs."""

    supervisor: Supervisor
    result: asyncio.Task[int]
    started: list[Worker]
    log: Log

    async def until(self, times: int) -> None:
        """Wait until a worker has begun to serve so many times."""
        await self.log.until("worker serves", times)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log that have this event."""
        return self.log.of(name)

    async def code(self) -> int:
        """Return what the service ends with."""
        return await asyncio.wait_for(self.result, SECONDS)


@asynccontextmanager
async def running(*scripts: Sequence[str], patience: float = SECONDS) -> AsyncIterator[Run]:
    """Run a supervisor with a worker for each list of scripts; the last script of a list is repeated."""
    turns = [0] * len(scripts)
    started: list[Worker] = []

    async def start(index: int) -> Worker:
        mine = scripts[index]
        script = mine[min(turns[index], len(mine) - 1)]
        turns[index] += 1
        command = lambda _, end: [sys.executable, "-S", "-c", script.format(end=end)]  # noqa: E731
        worker = await Worker.start(index, command, os.environ, time.monotonic)
        started.append(worker)
        logger.info("started")
        return worker

    log = Log()
    logger = structlog.wrap_logger(None, processors=[log], wrapper_class=structlog.BoundLogger)
    supervisor = Supervisor(
        workers=len(scripts),
        start=start,
        backoff=lambda: Pauses(lambda: 0.0),
        patience=patience,
        log=logger,
    )
    run = Run(supervisor, asyncio.create_task(supervisor.run()), started, log)
    try:
        yield run
    finally:
        supervisor.interrupt()
        supervisor.interrupt()
        await run.code()


async def test_workers_that_drain_end_the_service_with_0() -> None:
    """All get SIGTERM, and the log tells of it once."""
    async with running([SERVES], [SERVES], [SERVES]) as run:
        await run.until(3)
        run.supervisor.stop()
        run.supervisor.stop()
        code = await run.code()
    assert (0, 3, [3]) == (
        code,
        len(run.started),
        [line["workers"] for line in run.events("all workers serve")],
    )
    assert [1, 1, 0] == [len(run.events(name)) for name in ("stopping", "stopped", "worker ended")]


async def test_a_worker_that_dies_is_restarted() -> None:
    """The others stay; the log has the signal, and the service still ends with 0."""
    async with running([SERVES], [SERVES]) as run:
        await run.until(2)
        os.kill(run.started[1].pid, signal.SIGKILL)
        await run.until(3)
        run.supervisor.stop()
        code = await run.code()
    assert (0, [0, 1], [0, 1, 1]) == (
        code,
        run.supervisor.restarts,
        [worker.index for worker in run.started],
    )
    assert [(1, run.started[1].pid, "SIGKILL")] == [
        (line["worker"], line["pid"], line["signal"]) for line in run.events("worker ended")
    ]
    assert 1 == len(run.events("all workers serve"))


async def test_workers_that_fail_again_and_again_are_tried_again() -> None:
    """What keeps them from it may pass; each end is logged with its exit code."""
    async with running([FAILS, FAILS, FAILS, SERVES], [FAILS, SERVES]) as run:
        await run.until(2)
    assert ([3, 1], [3] * 4) == (
        run.supervisor.restarts,
        [line["exit_code"] for line in run.events("worker ended")],
    )


async def test_a_first_worker_that_was_told_why_not_ends_the_service() -> None:
    """With its exit code, and without a word of the supervisor: the worker has said all."""
    async with running([IS_TOLD_WHY_NOT], [SERVES]) as run:
        code = await run.code()
    assert (4, 1, []) == (
        code,
        len(run.started),
        [line for line in run.log.lines if line["event"] != "started"],
    )


async def test_a_worker_that_was_told_why_not_is_restarted_where_others_have_served() -> None:
    """A database that is away for a moment must not take those down that go on without it."""
    async with running([SERVES], [IS_TOLD_WHY_NOT, SERVES]) as run:
        await run.until(2)
        run.supervisor.stop()
        code = await run.code()
    assert (0, [0, 1]) == (code, run.supervisor.restarts)


async def test_a_stop_ends_workers_that_do_not_serve_yet() -> None:
    """They have accepted nothing, so nothing is cut off: 0."""
    async with running([STARTS], [SERVES]) as run:
        await run.log.until("started", 1)
        run.supervisor.stop()
        code = await run.code()
    assert (0, 1) == (code, len(run.started))


async def test_a_worker_that_does_not_stop_is_killed_when_its_time_is_over() -> None:
    """The service then ends with 1, and the log names the worker."""
    # Enough for the other worker to end by itself, on any machine.
    async with running([SERVES], [STUBBORN], patience=3) as run:
        await run.until(2)
        run.supervisor.stop()
        code = await run.code()
    assert (1, [1]) == (code, [line["worker"] for line in run.events("worker killed")])


async def test_a_second_interrupt_kills_at_once() -> None:
    """Who presses Ctrl-C twice does not want to wait; a second SIGTERM changes nothing."""
    async with running([STUBBORN], [STUBBORN]) as run:
        await run.until(2)
        run.supervisor.stop()
        run.supervisor.stop()
        done, _ = await asyncio.wait({run.result}, timeout=0.1)
        run.supervisor.interrupt()
        code = await run.code()
    assert (set(), 1, {0, 1}) == (done, code, {line["worker"] for line in run.events("worker killed")})


async def test_where_no_process_can_be_started_the_supervisor_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A system without room for another process may have it later."""
    spawn = asyncio.create_subprocess_exec
    failures = iter([BlockingIOError(11, "Resource temporarily unavailable")] * 2)

    async def full(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        for failure in failures:
            raise failure
        return await spawn(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    async with running([SERVES]) as run:
        await run.until(1)
    assert ["Resource temporarily unavailable"] * 2 == [
        line["reason"] for line in run.events("worker not started")
    ]
