"""A cache bounded by entries and bytes, in which concurrent misses of one key share one load."""

from __future__ import annotations

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


class BoundedCache(Generic[K, V]):
    """A least-recently-used cache over async-lru, for one event loop.

    Holds at most `max_entries` values that weigh at most `max_bytes` together, by `weigh`. A value that is
    heavier than all the room is answered and not kept. Errors are shared by those who wait, and never kept.
    With `ttl` (seconds) a value is loaded again when it is older.
    """

    def __init__(
        self, *, max_entries: int, max_bytes: int, weigh: Callable[[V], int], ttl: float | None = None
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._weigh = weigh
        self._weights: OrderedDict[K, int] = OrderedDict()
        self._weight = 0
        self._evictions = 0
        self._cached = alru_cache(maxsize=max_entries, ttl=ttl)(self._load)

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """Return the value of `key`; load it when it is not here, once for all who ask meanwhile."""
        value = await self._cached(_Request(key, load))
        self._account(key, value)
        return value

    def __contains__(self, key: K) -> bool:
        return self._cached.cache_contains(_Request(key, None))

    def statistics(self) -> CacheStatistics:
        """Return counts since the start, and what is held now."""
        info = self._cached.cache_info()
        return CacheStatistics(info.hits, info.misses, self._evictions, len(self._weights), self._weight)

    async def _load(self, request: _Request[K, V]) -> V:
        load, request.load = request.load, None
        assert load is not None
        return await load()

    def _account(self, key: K, value: V) -> None:
        """Note a use; weigh what is new, and let go of the least recently used until the rest has room."""
        if key in self._weights:
            self._weights.move_to_end(key)
            return
        weight = self._weigh(value)
        self._weights[key] = weight
        self._weight += weight
        while self._weight > self._max_bytes or len(self._weights) > self._max_entries:
            oldest, weight = self._weights.popitem(last=False)
            self._weight -= weight
            self._evictions += 1
            self._cached.cache_invalidate(_Request(oldest, None))
