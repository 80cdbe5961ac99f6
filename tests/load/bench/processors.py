"""Processors: the time that other processes spend on them, and which ones a process may use."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs

_SCHEDULER_CLOCK = 2


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return the time that processes, given by their ids, have spent on processors, in seconds.

    On Linux that is the scheduler's own account in nanoseconds; elsewhere it comes in hundredths.
    """
    return sum(_cpu_seconds(process) for process in processes)


def _cpu_seconds(process: int) -> float:
    if sys.platform == "linux":
        # The clock of another process, as clock_getcpuclockid(3) numbers it.
        return time.clock_gettime((~process << 3) | _SCHEDULER_CLOCK)
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def family(process: int) -> list[int]:
    """Return a process and all that it started, by their ids."""
    parent = psutil.Process(process)
    return [process, *(child.pid for child in parent.children(recursive=True))]


@contextmanager
def within(processors: set[int]) -> Iterator[None]:
    """Keep this thread, and what it starts meanwhile, to some processors; nothing where that can't be."""
    if sys.platform != "linux" or not processors:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Shares:
    """The processors of a server of one event loop, which has one of its own, of everything else, and all.

    Empty sets mean that nothing is kept apart.
    """

    server: set[int] = field(default_factory=set)
    others: set[int] = field(default_factory=set)
    all: set[int] = field(default_factory=set)

    @classmethod
    def of_machine(cls) -> Shares:
        """Share out the processors that this process may use."""
        if sys.platform != "linux":
            return cls()
        mine = sorted(os.sched_getaffinity(0))
        return cls({mine[0]}, set(mine[1:]), set(mine)) if len(mine) > 1 else cls()
