"""What the bounded cache says of values that do not exist: nothing that was read before it was asked."""

import asyncio
from collections.abc import Callable

from pecia_service.caching.bounded import BoundedCache
from pecia_service.errors import ErrorReason, NotFoundError
from support.loads import Loader, answer, kept, settle, small_cache

MISSING = NotFoundError(ErrorReason.BUNDLE_NOT_FOUND, "there is no a")


async def ask(
    cache: BoundedCache[str, int],
    count: int,
    *results: int | Exception,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[Loader, list[int | BaseException]]:
    """Have so many ask at once, and return their loader and what each of them got."""
    gate = asyncio.Event()
    loader = Loader(*results, gate=gate)
    waiters = [asyncio.create_task(cache.get("a", loader)) for _ in range(count)]
    await settle()
    if meanwhile is not None:
        meanwhile()
    gate.set()
    return loader, await asyncio.gather(*waiters, return_exceptions=True)


async def test_what_was_not_there_is_asked_for_again_by_those_who_came_later() -> None:
    """It may have come into being since the load began that they joined; they share the next load."""
    cache = small_cache()
    loader, answers = await ask(cache, 10, MISSING, 9)
    assert ([MISSING, *[9] * 9], 2) == (answers, loader.calls)
    assert 9 == await cache.get("a", loader)


async def test_one_who_comes_as_a_load_ends_does_not_get_what_it_found_missing() -> None:
    """Until the loop's next turn the cache still has the load that has ended."""
    cache, gate, there = small_cache(), asyncio.Event(), False

    async def load() -> int:
        found = there
        await gate.wait()
        if not found:
            raise MISSING
        return 9

    before = asyncio.create_task(cache.get("a", load))
    await settle()
    there = True
    gate.set()
    after = asyncio.create_task(cache.get("a", load))
    first, second = await asyncio.gather(before, after, return_exceptions=True)
    assert (MISSING, 9) == (first, second)


async def test_what_was_missing_is_asked_for_in_the_era_that_has_begun() -> None:
    """What was forgotten meanwhile is no reason to load for each caller, nor not to keep what is found."""
    cache = small_cache()
    loader, answers = await ask(cache, 3, MISSING, 9, meanwhile=lambda: cache.forget(lambda _, __: True))
    assert ([MISSING, 9, 9], 2, "a") == (answers, loader.calls, kept(cache))


async def test_what_was_missing_is_not_kept_when_it_comes_from_an_era_that_ended() -> None:
    """The second load of one that works from what was read before is its own, as the first would be."""
    cache, gate = small_cache(), asyncio.Event()
    before = asyncio.create_task(cache.get("a", Loader(MISSING, gate=gate)))
    after = asyncio.create_task(cache.get("a", answer(9), era=cache.era))
    await settle()
    cache.forget(lambda _, __: True)
    gate.set()
    first, second = await asyncio.gather(before, after, return_exceptions=True)
    assert (MISSING, 9, "") == (first, second, kept(cache))


async def test_what_is_not_there_takes_two_loads_however_many_ask() -> None:
    """A load that those who wait have seen begin tells them the truth."""
    cache = small_cache()
    loader, errors = await ask(cache, 100, MISSING)
    assert ([MISSING] * 100, 2) == (errors, loader.calls)
    assert (0, "") == (cache.statistics().weight, kept(cache))
