"""The bounded cache: its bounds, its coalescing, and that its accounts stay right whatever happens."""

import asyncio
import gc
import weakref
from collections import OrderedDict
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.caching.bounded import BoundedCache, CacheStatistics
from support.loads import KEYS, Loader, LoadError, answer, kept, settle, small_cache


class LoopTime:
    """A clock for a loop's timers that moves only when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now)

    async def advance(self, seconds: float) -> None:
        """Let seconds pass, and the timers that became due run."""
        self._now += seconds
        await settle()


def is_key(wanted: str, key: str, _value: int) -> bool:
    """Tell whether a key is the one to forget."""
    return key == wanted


async def test_loads_once() -> None:
    """A value that is here is not loaded again."""
    cache, loader = small_cache(), Loader(7, 8)
    values = [await cache.get("a", loader) for _ in range(3)]
    assert ([7, 7, 7], 1) == (values, loader.calls)


async def test_entries_are_bounded() -> None:
    """One value too many lets go of the least recently used."""
    cache = small_cache(entries=3)
    for key in "abc":
        await cache.get(key, answer(1))
    await cache.get("a", answer(1))
    await cache.get("d", answer(1))
    assert "acd" == kept(cache)


async def test_weight_is_bounded() -> None:
    """A heavy value lets go of as many as it needs the room of, least recently used first."""
    cache = small_cache(entries=10, room=100)
    for key in "abcd":
        await cache.get(key, answer(25))
    await cache.get("a", answer(25))
    await cache.get("e", answer(50))
    assert ("ade", 100) == (kept(cache), cache.statistics().weight)


async def test_a_value_may_take_all_the_room() -> None:
    """A value of exactly the bound is kept."""
    cache = small_cache(room=100)
    await cache.get("a", answer(100))
    assert "a" == kept(cache)


async def test_heavier_than_the_room() -> None:
    """A value that is heavier than all the room is answered, is not kept, and drives nothing out."""
    cache = small_cache(room=100)
    await cache.get("a", answer(60))
    heavy = Loader(101)
    values = [await cache.get("b", heavy), await cache.get("b", heavy)]
    assert ([101, 101], 2, "a") == (values, heavy.calls, kept(cache))
    assert cache.statistics() == CacheStatistics(hits=0, misses=3, evictions=0, entries=1, weight=60)


async def test_no_room_at_all() -> None:
    """A cache of no bytes answers and keeps nothing."""
    cache, loader = small_cache(room=0), Loader(1)
    await cache.get("a", loader)
    await cache.get("a", loader)
    assert (2, 0) == (loader.calls, cache.statistics().entries)


async def test_heavy_value_with_many_waiters() -> None:
    """A value that is not kept is still loaded once for all who wait for it, and accounted never."""
    cache, gate = small_cache(room=100), asyncio.Event()
    loader = Loader(500, gate=gate)
    waiters = [asyncio.create_task(cache.get("a", loader)) for _ in range(20)]
    await settle()
    gate.set()
    assert [500] * 20 == await asyncio.gather(*waiters)
    assert cache.statistics() == CacheStatistics(hits=19, misses=1, evictions=0, entries=0, weight=0)


async def test_concurrent_misses_share_a_load() -> None:
    """A hundred who ask for one key while it is loaded make one load."""
    cache, gate = small_cache(), asyncio.Event()
    loader = Loader(5, gate=gate)
    waiters = [asyncio.create_task(cache.get("a", loader)) for _ in range(100)]
    await settle()
    gate.set()
    values = await asyncio.gather(*waiters)
    assert ([5] * 100, 1) == (values, loader.calls)
    assert cache.statistics() == CacheStatistics(hits=99, misses=1, evictions=0, entries=1, weight=5)


async def test_different_keys_load_side_by_side() -> None:
    """A load that hangs holds up its own key only."""
    cache, gate = small_cache(), asyncio.Event()
    slow = asyncio.create_task(cache.get("a", Loader(1, gate=gate)))
    await settle()
    assert 2 == await cache.get("b", answer(2))
    gate.set()
    assert 1 == await slow


async def test_errors_are_shared_and_not_kept() -> None:
    """All who wait get the error of the one load; who asks later loads anew."""
    cache, gate = small_cache(), asyncio.Event()
    loader = Loader(LoadError("down"), 9, gate=gate)
    waiters = [asyncio.create_task(cache.get("a", loader)) for _ in range(10)]
    await settle()
    gate.set()
    errors = await asyncio.gather(*waiters, return_exceptions=True)
    assert ({LoadError}, 1) == ({type(error) for error in errors}, loader.calls)
    assert (0, 0, "") == (cache.statistics().entries, cache.statistics().weight, kept(cache))
    assert 9 == await cache.get("a", loader)


async def test_failed_loads_drive_nothing_out() -> None:
    """Loads that fail leave a full cache as it was, however many they are."""
    cache = small_cache(entries=2)
    await cache.get("a", answer(10))
    await cache.get("b", answer(20))
    for key in "cdef":
        with pytest.raises(LoadError):
            await cache.get(key, Loader(LoadError()))
    assert ("ab", 30) == (kept(cache), cache.statistics().weight)


async def test_loads_under_way_drive_nothing_out() -> None:
    """A value is let go of when another needs its room, not while that one may still fail."""
    cache, gate = small_cache(entries=1), asyncio.Event()
    await cache.get("a", answer(1))
    under_way = asyncio.create_task(cache.get("b", Loader(2, gate=gate)))
    await settle()
    before = kept(cache, "a")
    gate.set()
    await under_way
    assert ("a", "b") == (before, kept(cache))


async def test_one_waiter_is_cancelled() -> None:
    """Who stops waiting, even the one who asked first, does not hurt the others."""
    cache, gate = small_cache(), asyncio.Event()
    loader = Loader(3, gate=gate)
    first, *others = [asyncio.create_task(cache.get("a", loader)) for _ in range(3)]
    await settle()
    first.cancel()
    await settle()
    gate.set()
    values = await asyncio.gather(*others)
    assert ([3, 3], True, 1, 0) == (values, first.cancelled(), loader.calls, loader.cancelled)
    assert (1, 3) == (cache.statistics().entries, cache.statistics().weight)


async def test_all_waiters_are_cancelled() -> None:
    """A load that nobody waits for is cancelled, leaves nothing, and the next one loads anew."""
    cache, gate = small_cache(), asyncio.Event()
    loader = Loader(3, gate=gate)
    waiters = [asyncio.create_task(cache.get("a", loader)) for _ in range(3)]
    await settle()
    for waiter in waiters:
        waiter.cancel()
    await settle()
    assert (1, "", 0) == (loader.cancelled, kept(cache), cache.statistics().weight)
    gate.set()
    assert 3 == await cache.get("a", loader)


async def test_cancelled_when_the_value_is_there() -> None:
    """A value whose only waiter is cancelled after the load counts as what it weighs."""
    cache, gate = small_cache(room=10), asyncio.Event()
    waiter = asyncio.create_task(cache.get("a", Loader(8, gate=gate)))
    await settle()
    gate.set()
    for _ in range(3):
        if "a" in cache and cache.statistics().entries:
            break
        await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert waiter.cancelled()
    assert ("a", 8) == (kept(cache), cache.statistics().weight)


async def test_a_load_that_outlives_its_cancellation_is_not_kept() -> None:
    """What a load answers that was given up is not kept, and has no weight."""
    cache, gate = small_cache(), asyncio.Event()

    async def stubborn() -> int:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            return 4
        return 4

    waiter = asyncio.create_task(cache.get("a", stubborn))
    await settle()
    waiter.cancel()
    await settle()
    assert ("", 0, 0) == (kept(cache), cache.statistics().entries, cache.statistics().weight)


async def test_asked_again_right_after_a_cancellation() -> None:
    """A key that is asked for in the moment in which its load is given up is answered and counted once."""
    cache, gate = small_cache(), asyncio.Event()
    first = asyncio.create_task(cache.get("a", Loader(4, gate=gate)))
    await settle()
    first.cancel()
    await asyncio.sleep(0)
    assert 6 == await cache.get("a", answer(6))
    await settle()
    assert 6 == await cache.get("a", answer(6))
    assert (1, 6) == (cache.statistics().entries, cache.statistics().weight)


async def test_reloaded_when_older_than_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is kept for ttl seconds, and then loaded again."""
    cache, loader = small_cache(ttl=30), Loader(1, 2)
    time = LoopTime(monkeypatch)
    values = [await cache.get("a", loader)]
    await time.advance(29)
    values.append(await cache.get("a", loader))
    await time.advance(2)
    values.append(await cache.get("a", loader))
    assert [1, 1, 2] == values


async def test_ttl_counts_from_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for a value does not make it younger."""
    cache, loader = small_cache(ttl=30), Loader(1, 2)
    time = LoopTime(monkeypatch)
    for _ in range(4):
        await cache.get("a", loader)
        await time.advance(10)
    assert 2 == await cache.get("a", loader)


async def test_accounts_after_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that grew too old is no longer counted, and one loaded anew counts as what it weighs now."""
    cache = small_cache(room=100, ttl=30)
    time = LoopTime(monkeypatch)
    await cache.get("a", answer(10))
    await time.advance(31)
    assert (0, 0) == (cache.statistics().entries, cache.statistics().weight)
    await cache.get("a", answer(90))
    await cache.get("b", answer(20))
    assert ("b", 20) == (kept(cache), cache.statistics().weight)


async def test_evicted_values_take_their_timers_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The age of a value that was driven out does not end the life of its successor."""
    cache = small_cache(entries=1, ttl=30)
    time = LoopTime(monkeypatch)
    await cache.get("a", answer(1))
    await time.advance(20)
    await cache.get("b", answer(1))
    await cache.get("a", answer(2))
    await time.advance(20)
    assert 2 == await cache.get("a", answer(3))


async def test_statistics() -> None:
    """Hits, misses and evictions are counted from the start; entries and weight are those of now."""
    cache = small_cache(entries=2, room=100)
    for key in "aabac":
        await cache.get(key, answer(30))
    assert cache.statistics() == CacheStatistics(hits=2, misses=3, evictions=1, entries=2, weight=60)


async def test_loads_are_not_kept_alive() -> None:
    """A cache keeps values, not the closures that loaded them."""
    cache = small_cache()
    loader = Loader(1)
    await cache.get("a", loader)
    gone = weakref.ref(loader)
    del loader
    gc.collect()
    assert gone() is None


sizes = st.fixed_dictionaries({key: st.integers(0, 12) for key in KEYS})


@given(st.lists(st.sampled_from(KEYS), max_size=40), sizes, st.integers(1, 5), st.integers(0, 25))
def test_behaves_as_its_model(uses: list[str], weights: dict[str, int], entries: int, room: int) -> None:
    """A cache holds exactly what a plain least-recently-used list with both bounds holds."""

    async def run() -> None:
        cache = small_cache(entries, room)
        model: OrderedDict[str, int] = OrderedDict()
        evictions = 0
        for key in uses:
            assert weights[key] == await cache.get(key, answer(weights[key]))
            if key in model:
                model.move_to_end(key)
            elif weights[key] <= room:
                model[key] = weights[key]
            while len(model) > entries or sum(model.values()) > room:
                model.popitem(last=False)
                evictions += 1
            statistics = cache.statistics()
            assert set(model) == set(kept(cache))
            assert (len(model), sum(model.values())) == (statistics.entries, statistics.weight)
            assert evictions == statistics.evictions

    asyncio.run(run())


async def test_forgetting_drops_what_is_unwanted() -> None:
    """By key or by value; the rest stays, and what is gone counts neither as held nor as evicted."""
    cache = small_cache(entries=6)
    for number, key in enumerate("abcd"):
        await cache.get(key, answer(number))
    cache.forget(lambda key, value: key == "a" or value == 2)
    assert "bd" == kept(cache)
    assert cache.statistics() == CacheStatistics(hits=0, misses=4, evictions=0, entries=2, weight=4)


async def test_what_is_forgotten_is_loaded_again() -> None:
    """And kept again."""
    cache = small_cache()
    await cache.get("a", answer(1))
    cache.forget(lambda key, _value: key == "a")
    loader = Loader(2)
    values = [await cache.get("a", loader) for _ in range(2)]
    assert ([2, 2], 1) == (values, loader.calls)


async def test_what_stays_is_not_loaded_again() -> None:
    """A value from before is a hit after others were forgotten, and is forgotten in its turn."""
    cache = small_cache()
    await cache.get("a", answer(1))
    cache.forget(lambda _key, _value: False)
    assert 1 == await cache.get("a", answer(2))
    cache.forget(lambda _key, _value: True)
    assert (3, 3) == (await cache.get("a", answer(3)), cache.statistics().weight)


async def test_a_load_in_flight_is_answered_and_not_kept() -> None:
    """It may come from what was read before; who waits for it began before, too."""
    cache, gate = small_cache(), asyncio.Event()
    waiter = asyncio.create_task(cache.get("a", Loader(1, gate=gate)))
    await settle()
    cache.forget(lambda _key, _value: False)
    gate.set()
    assert (1, "", 0) == (await waiter, kept(cache), cache.statistics().weight)


async def test_nobody_joins_a_load_from_before() -> None:
    """Who asks after the forgetting gets a load of his own, which is kept, whichever ends first."""
    for first in ("old", "new"):
        cache, old, new = small_cache(), asyncio.Event(), asyncio.Event()
        before = asyncio.create_task(cache.get("a", Loader(10, gate=old)))
        await settle()
        cache.forget(lambda _key, _value: False)
        after = asyncio.create_task(cache.get("a", Loader(20, gate=new)))
        await settle()
        (old if first == "old" else new).set()
        await settle()
        old.set()
        new.set()
        assert [10, 20] == [await before, await after]
        assert ("a", 20, 20) == (
            kept(cache),
            cache.statistics().weight,
            await cache.get("a", answer(30)),
        )


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
async def test_the_end_of_a_load_from_before_leaves_its_successor_alone(end: str) -> None:
    """A failed or cancelled old load takes neither the new value nor its account along."""
    cache, gate = small_cache(), asyncio.Event()
    before = asyncio.create_task(cache.get("a", Loader(LoadError(), gate=gate)))
    await settle()
    cache.forget(lambda _key, _value: False)
    await cache.get("a", answer(20))
    if end == "fails":
        gate.set()
    else:
        before.cancel()
    await asyncio.wait({before})
    await settle()
    loader = Loader(30)
    assert (20, 0, 20) == (await cache.get("a", loader), loader.calls, cache.statistics().weight)
    assert before.cancelled() or isinstance(before.exception(), LoadError)


async def test_what_comes_from_an_era_that_ended_is_not_kept() -> None:
    """Whoever read what a load works from before something was forgotten loads for himself alone."""
    cache = small_cache()
    era = cache.era
    cache.forget(lambda _key, _value: False)
    assert (1, "") == (await cache.get("a", answer(1), era=era), kept(cache))
    assert (2, "a") == (await cache.get("a", answer(2), era=cache.era), kept(cache))


async def test_forgotten_values_are_let_go() -> None:
    """Nothing in the cache keeps a forgotten value alive, nor one whose load ended after the forgetting."""

    class Value:
        pass

    cache: BoundedCache[str, Value] = BoundedCache(max_entries=5, max_bytes=100, weigh=lambda _value: 1)
    gate = asyncio.Event()

    async def load() -> Value:
        return Value()

    async def load_late() -> Value:
        await gate.wait()
        return Value()

    kept_one = weakref.ref(await cache.get("a", load))
    waiter = asyncio.create_task(cache.get("b", load_late))
    await settle()
    cache.forget(lambda _key, _value: True)
    gate.set()
    late_one = weakref.ref(await waiter)
    del waiter
    await settle()
    gc.collect()
    assert (None, None) == (kept_one(), late_one())


async def test_a_forgotten_value_takes_its_timer_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The age of a forgotten value does not end the life of its successor."""
    cache, time = small_cache(ttl=30), LoopTime(monkeypatch)
    await cache.get("a", answer(1))
    await time.advance(20)
    cache.forget(lambda _key, _value: True)
    await cache.get("a", answer(2))
    await time.advance(20)
    assert 2 == await cache.get("a", answer(3))


steps = st.lists(
    st.tuples(
        st.sampled_from(["get", "get", "get", "answer", "answer", "answer", "fail", "cancel", "forget"]),
        st.integers(0, 59),
    ),
    max_size=40,
)


@given(steps, sizes, st.integers(1, 4), st.integers(0, 25))
def test_accounts_stay_right(
    script: list[tuple[str, int]], weights: dict[str, int], entries: int, room: int
) -> None:
    """Whatever is asked, fails, is cancelled or forgotten in any order, the accounts are of what is held."""

    async def run() -> None:
        cache = small_cache(entries, room)
        gates: list[tuple[str, asyncio.Future[int]]] = []
        waiters: list[asyncio.Task[int]] = []

        async def load(key: str) -> int:
            gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            gates.append((key, gate))
            return await gate

        for step, number in script:
            if step == "get":
                key = KEYS[number % len(KEYS)]
                waiters.append(asyncio.create_task(cache.get(key, partial(load, key))))
            elif step == "cancel" and waiters:
                waiters[number % len(waiters)].cancel()
            elif step == "forget":
                cache.forget(partial(is_key, KEYS[number % len(KEYS)]))
            elif gates:
                key, gate = gates.pop(number % len(gates))
                if not gate.done() and step == "fail":
                    gate.set_exception(LoadError())
                elif not gate.done():
                    gate.set_result(weights[key])
            await settle()
            assert (True, True) == (
                cache.statistics().weight <= room,
                cache.statistics().entries <= entries,
            )
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        await settle()
        held = kept(cache)
        expected = (len(held), sum(weights[key] for key in held))
        assert expected == (cache.statistics().entries, cache.statistics().weight)

    asyncio.run(run())
