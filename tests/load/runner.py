"""Make a run: prepare the server, let the generators work, and put together what they count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from load.collector import Collector
from load.cpu import cpu_seconds
from load.plan import Connection, Plan
from load.prepare import LoadError, prepare
from load.processes import GeneratorProcess, generators
from load.result import Interval, Result
from load.schedule import Window, clock

_HEAD_START: Final = 0.1

__all__ = ["LoadError", "Progress", "run"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        plan: What is run.
        phase: What is going on, for people.
        share: How much of the run's time is over, from 0 to 1; None where that is not known.
        interval: The last piece of the window that is complete.
        failed: Calls without a right answer so far.

    """

    plan: Plan
    phase: str
    share: float | None = None
    interval: Interval | None = None
    failed: int = 0


class _Meter:
    """Reads the processor time of the server and of each generator at both ends of the window."""

    def __init__(self, server_pid: int | list[int] | None, started: list[GeneratorProcess]) -> None:
        servers = [server_pid] if isinstance(server_pid, int) else server_pid or []
        self._groups = [servers, *([process.pid] for process in started)]
        self._before = self._read()
        self._after = self._before

    def begin(self) -> None:
        """Read at the beginning."""
        self._before = self._read()

    def end(self) -> None:
        """Read at the end."""
        self._after = self._read()

    def used(self) -> list[float | None]:
        """Return what the server used, and then each generator; None for what could not be read."""
        return [
            None if before is None or after is None else after - before
            for before, after in zip(self._before, self._after, strict=True)
        ]

    def _read(self) -> list[float | None]:
        return [cpu_seconds(pids) if pids else None for pids in self._groups]


async def run(
    plan: Plan,
    connection: Connection,
    *,
    server_pid: int | list[int] | None = None,
    publish: bool = True,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Result:
    """Make one run and return what came of it.

    Args:
        plan: What is run.
        connection: Where the server is.
        server_pid: The server's process, or several; their descendants count too. None measures none.
        publish: Publish the profile first; else the server must have it.
        progress: Is told where the run stands.

    Raises:
        LoadError: There is no server, it refuses to be prepared, or a generator has failed.

    """

    def told(phase: str) -> None:
        progress(Progress(plan, phase))

    told("preparing")
    recorded = await prepare(plan, connection, publish=publish, told=told)
    async with generators(plan, connection, recorded) as started:
        window = Window.of(plan, clock() + _HEAD_START)
        collector = Collector(plan, window)
        meter = _Meter(server_pid, started)
        told("warming up" if plan.warmup else "measuring")
        for process in started:
            process.say(f"{window.start!r}\n")

        async def measure() -> None:
            await asyncio.sleep(max(0.0, window.measured - clock()))
            meter.begin()
            if plan.requests is None:
                await asyncio.sleep(max(0.0, window.until - clock()))
                meter.end()

        async def collect(process: GeneratorProcess) -> None:
            while True:
                said = await process.heard()
                last = said["event"] == "last"
                for interval in collector.take(said["number"], said["counts"], last=last):
                    progress(_where(plan, window, collector, interval))
                if last:
                    return

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(measure())
            await asyncio.gather(*(collect(process) for process in started))
        if plan.requests is not None:
            meter.end()
    server, *generator = meter.used()
    return collector.result(server, [used or 0.0 for used in generator])


def _where(plan: Plan, window: Window, collector: Collector, interval: Interval) -> Progress:
    now = clock()
    share = None
    if plan.requests is None or plan.rate is not None:
        share = min(1.0, (now - window.measured) / (window.until - window.measured))
    elif plan.requests:
        share = min(1.0, collector.answered / plan.requests)
    phase = "measuring" if now < window.until else "waiting for the last answers"
    return Progress(plan, phase, share, interval, collector.failed)
