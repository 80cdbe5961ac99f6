"""Which tasks the service has begun and not ended."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection

_TURNS = 100


def _others(aside_from: Collection[str]) -> dict[asyncio.Task[object], str]:
    """Return the tasks besides the caller's with what they run."""
    # gRPC's own coroutines have no names.
    names = {
        task: getattr(task.get_coro(), "__qualname__", "a call of gRPC")
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
    }
    return {task: name for task, name in names.items() if not name.startswith(tuple(aside_from))}


async def running(aside_from: Collection[str] = ()) -> Counter[str]:
    """Count the tasks of this event loop by what they run, when those that only have to end have ended.

    The caller's task is left out, and what begins with one of the given names.
    """
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    return Counter(_others(aside_from).values())


async def left_over(before: Counter[str], seconds: float, aside_from: Collection[str] = ()) -> Counter[str]:
    """Wait for at most so long until there are no more tasks than before; return those that are."""
    end = time.monotonic() + seconds
    while True:
        left = await running(aside_from) - before
        remaining = end - time.monotonic()
        if not left or remaining <= 0:
            return left
        excess = [task for task, name in _others(aside_from).items() if name in left]
        await asyncio.wait(excess, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
