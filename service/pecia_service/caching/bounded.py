"""A cache bounded by entries and bytes, in which concurrent misses of one key share one load."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from async_lru import alru_cache

from pecia_service.errors import NotFoundError

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
    """A key that carries how to load its value, and compares as the key and the era of its load."""

    __slots__ = ("era", "key", "load")

    def __init__(self, key: K, era: int, load: Callable[[], Awaitable[V]] | None) -> None:
        self.key = key
        self.era = era
        self.load = load

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Request) and self.key == other.key and self.era == other.era


@dataclass(frozen=True, slots=True)
class _Held(Generic[V]):
    """A value that is kept: its weight in bytes, the era of its load, and what will let go of it in time."""

    value: V
    weight: int
    era: int
    expiry: asyncio.TimerHandle | None


class BoundedCache(Generic[K, V]):
    """A least-recently-used cache over async-lru, for one event loop.

    Holds at most `max_entries` (1 or more) values that weigh at most `max_bytes` together, by `weigh`. A
    value that is heavier than all the room is answered and not kept. Errors are shared by those who wait,
    and never kept; that there is nothing, a caller is told only by a load that began after it asked. With
    `ttl` (seconds) a value is loaded again when it is older.

    Each `forget` begins a new era: what was being loaded then goes to those who wait for it, and is not kept.
    """

    def __init__(
        self, *, max_entries: int, max_bytes: int, weigh: Callable[[V], int], ttl: float | None = None
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._weigh = weigh
        self._ttl = ttl
        self._held: OrderedDict[K, _Held[V]] = OrderedDict()
        self._weight = 0
        self._hits = 0
        self._evictions = 0
        self._era = 0
        # async-lru joins concurrent misses and keeps the values. It knows no weights and does not tell what
        # it lets go of, so that is decided here alone.
        self._cached = alru_cache(maxsize=None)(self._load)

    async def get(self, key: K, load: Callable[[], Awaitable[V]], *, era: int | None = None) -> V:
        """Return the value of `key`; load it when it is not here, once for all who ask meanwhile.

        A `load` that works from what was read before now gives the `era` of that time: if it has ended, the
        value is loaded for this caller alone, and not kept.
        """
        if era is not None and era != self._era:
            return await load()
        held = self.held(key)
        if held is not None:
            return held
        request = _Request(key, self._era, load)
        try:
            return await self._cached(request)
        except NotFoundError:
            if request.load is None:
                raise
        # Somebody else's load, which began before this caller asked: what was not there may be there by now.
        # async-lru lets go of a load that has ended only in the loop's next turn; any other has begun since.
        await asyncio.sleep(0)
        if era is not None and era != self._era:
            return await load()
        held = self.held(key)
        return await self._cached(_Request(key, self._era, load)) if held is None else held

    def held(self, key: K) -> V | None:
        """Return the value of `key` if it is here, which counts as a hit, and None if it has to be loaded."""
        # async-lru would give the same value, in three times the time and only to who awaits it.
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        self._hits += 1
        return held.value

    def forget(self, unwanted: Callable[[K, V], bool]) -> None:
        """Let go of the values for which `unwanted` holds, and of all that is being loaded now.

        Nobody knows yet what that will be, and it may come from what was read before.
        """
        self._era += 1
        for key in [key for key, held in self._held.items() if unwanted(key, held.value)]:
            self._let_go(key)

    @property
    def era(self) -> int:
        """The number of times that something was forgotten."""
        return self._era

    def __contains__(self, key: K) -> bool:
        return self._cached.cache_contains(self._request(key))

    def statistics(self) -> CacheStatistics:
        """Return counts since the start, and what is held now."""
        info = self._cached.cache_info()
        return CacheStatistics(
            self._hits + info.hits, info.misses, self._evictions, len(self._held), self._weight
        )

    async def _load(self, request: _Request[K, V]) -> V:
        load, request.load = request.load, None
        assert load is not None
        value = await load()
        # Weighed before anybody has the value, so that nobody who stops waiting leaves it uncounted. What
        # async-lru has given up meanwhile is not kept, and has no weight.
        if self._cached.cache_contains(request):
            if request.era == self._era:
                self._keep(request.key, value)
            else:
                self._cached.cache_invalidate(request)
        return value

    def _keep(self, key: K, value: V) -> None:
        """Count a value, and let go of the least recently used until it has room."""
        weight = self._weigh(value)
        if key in self._held:
            self._held_no_more(key)
        if weight > self._max_bytes:
            self._cached.cache_invalidate(self._request(key))
            return
        while self._weight + weight > self._max_bytes or len(self._held) >= self._max_entries:
            self._let_go(next(iter(self._held)))
            self._evictions += 1
        expiry = None
        if self._ttl is not None:
            expiry = asyncio.get_running_loop().call_later(self._ttl, self._let_go, key)
        self._held[key] = _Held(value, weight, self._era, expiry)
        self._weight += weight

    def _let_go(self, key: K) -> None:
        request = self._request(key)
        self._held_no_more(key)
        self._cached.cache_invalidate(request)

    def _held_no_more(self, key: K) -> None:
        held = self._held.pop(key)
        self._weight -= held.weight
        if held.expiry is not None:
            held.expiry.cancel()

    def _request(self, key: K) -> _Request[K, V]:
        """Make what async-lru knows a value by, whether it is kept or being loaded."""
        held = self._held.get(key)
        return _Request(key, self._era if held is None else held.era, None)
