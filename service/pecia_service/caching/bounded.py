"""A cache bounded by entries and bytes, in which concurrent misses of one key share one load."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from async_lru import alru_cache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cache did so far, and what it holds; `weight` is in bytes."""

    hits: int
    misses: int
    evictions: int
    entries: int
    weight: int


class _Request(Generic[K, V]):
    """A key that carries how to load its value, and compares as the key alone."""

    __slots__ = ("key", "load")

    def __init__(self, key: K, load: Callable[[], Awaitable[V]] | None) -> None:
        self.key = key
        self.load = load

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Request) and self.key == other.key


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of a value that is kept: its weight in bytes, and what will let go of it in time."""

    weight: int
    expiry: asyncio.TimerHandle | None


class BoundedCache(Generic[K, V]):
    """A least-recently-used cache over async-lru, for one event loop.

    Holds at most `max_entries` (1 or more) values that weigh at most `max_bytes` together, by `weigh`. A
    value that is heavier than all the room is answered and not kept. Errors are shared by those who wait,
    and never kept. With `ttl` (seconds) a value is loaded again when it is older.
    """

    def __init__(
        self, *, max_entries: int, max_bytes: int, weigh: Callable[[V], int], ttl: float | None = None
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._weigh = weigh
        self._ttl = ttl
        self._held: OrderedDict[K, _Held] = OrderedDict()
        self._weight = 0
        self._evictions = 0
        # async-lru joins concurrent misses and keeps the values. It knows no weights and does not tell what
        # it lets go of, so that is decided here alone.
        self._cached = alru_cache(maxsize=None)(self._load)

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """Return the value of `key`; load it when it is not here, once for all who ask meanwhile."""
        if key in self._held:
            self._held.move_to_end(key)
        return await self._cached(_Request(key, load))

    def __contains__(self, key: K) -> bool:
        return self._cached.cache_contains(_Request(key, None))

    def statistics(self) -> CacheStatistics:
        """Return counts since the start, and what is held now."""
        info = self._cached.cache_info()
        return CacheStatistics(info.hits, info.misses, self._evictions, len(self._held), self._weight)

    async def _load(self, request: _Request[K, V]) -> V:
        load, request.load = request.load, None
        assert load is not None
        value = await load()
        # Weighed before anybody has the value, so that nobody who stops waiting leaves it uncounted. What
        # async-lru has given up meanwhile is not kept, and has no weight.
        if request.key in self:
            self._keep(request.key, self._weigh(value))
        return value

    def _keep(self, key: K, weight: int) -> None:
        """Count a value, and let go of the least recently used until it has room."""
        if key in self._held:
            self._held_no_more(key)
        if weight > self._max_bytes:
            self._cached.cache_invalidate(_Request(key, None))
            return
        while self._weight + weight > self._max_bytes or len(self._held) >= self._max_entries:
            self._let_go(next(iter(self._held)))
            self._evictions += 1
        expiry = None
        if self._ttl is not None:
            expiry = asyncio.get_running_loop().call_later(self._ttl, self._let_go, key)
        self._held[key] = _Held(weight, expiry)
        self._weight += weight

    def _let_go(self, key: K) -> None:
        self._held_no_more(key)
        self._cached.cache_invalidate(_Request(key, None))

    def _held_no_more(self, key: K) -> None:
        held = self._held.pop(key)
        self._weight -= held.weight
        if held.expiry is not None:
            held.expiry.cancel()
