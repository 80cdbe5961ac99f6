"""A small cache, and loads for it that are counted, held up, and fail when told to."""

import asyncio
from collections.abc import Awaitable, Callable

from pecia_service.caching.bounded import BoundedCache

KEYS = "abcdef"


class LoadError(Exception):
    """What a load fails with here."""


class Loader:
    """Counts loads; each waits for its gate, if there is one, and then answers or raises."""

    def __init__(self, *results: int | Exception, gate: asyncio.Event | None = None) -> None:
        self.calls = 0
        self.cancelled = 0
        self._results = results
        self._gate = gate

    async def __call__(self) -> int:
        """Load once."""
        result = self._results[min(self.calls, len(self._results) - 1)]
        self.calls += 1
        if self._gate is not None:
            try:
                await self._gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if isinstance(result, Exception):
            raise result
        return result


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def answer(value: int) -> Callable[[], Awaitable[int]]:
    """Return a load that answers at once."""
    return Loader(value)


def small_cache(entries: int = 3, room: int = 100, ttl: float | None = None) -> BoundedCache[str, int]:
    """Return a cache of numbers that weigh as much as they say."""
    return BoundedCache(max_entries=entries, max_bytes=room, weigh=lambda value: value, ttl=ttl)


def kept(cache: BoundedCache[str, int], keys: str = KEYS) -> str:
    """Return the keys whose values a cache holds."""
    return "".join(key for key in keys if key in cache)
