"""The database: a caller who goes away leaves a whole transaction and no lent connection."""

import asyncio
import gc
from random import Random

import pytest
from pecia_service.storage.engine import Database
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.counters import checked_out, increment, read

SECONDS = 30.0


async def test_a_cancellation_during_the_work_rolls_back(counters: Database) -> None:
    """The connection goes back to the pool, and the next transaction does not wait for this one."""
    begun = asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        await increment(connection)
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(counters.write(work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await counters.write(lambda connection: increment(connection, "b"))
    assert (await read(counters, "a"), await read(counters, "b"), checked_out(counters)) == (0, 1, 0)


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_cancellation_during_a_statement_rolls_back(counters: Database) -> None:
    """Also while the server works."""
    begun = asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        await increment(connection)
        begun.set()
        await connection.execute(text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(counters.write(work))
    await begun.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await read(counters), checked_out(counters)) == (0, 0)


async def test_a_cancellation_at_any_moment_leaves_no_lock(counters: Database) -> None:
    """Others can write at once, also before garbage is collected."""
    moments = Random(7)

    async def work(connection: AsyncConnection) -> None:
        for _ in range(3):
            await increment(connection)
            (await connection.execute(text("SELECT * FROM counters"))).all()

    gc.disable()
    try:
        for number in range(1, 151):
            task = asyncio.create_task(counters.write(work))
            await asyncio.sleep(moments.random() * 0.006)
            task.cancel()
            await asyncio.wait({task})
            async with asyncio.timeout(SECONDS):
                await counters.write(lambda connection: increment(connection, "b"))
            assert await read(counters, "b") == number
    finally:
        gc.enable()
    assert checked_out(counters) == 0


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancellation_during_the_commit_takes_effect_after_it(counters: Database, times: int) -> None:
    """The transaction is whole, its connection is back, and the caller is cancelled all the same."""

    def cancel(_connection: object) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(times):
            loop.call_soon(task.cancel)

    thrown_away: list[object] = []
    event.listen(counters.engine.sync_engine, "invalidate", lambda *_: thrown_away.append(_))
    event.listen(counters.engine.sync_engine, "commit", cancel)
    task = asyncio.create_task(counters.write(increment))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await read(counters), checked_out(counters), thrown_away) == (1, 0, [])


async def test_a_commit_that_fails_after_a_cancellation_is_a_cancellation(counters: Database) -> None:
    """Nothing is left for the event loop to complain of."""

    def fail(_connection: object) -> None:
        task.cancel()
        raise RuntimeError("the commit failed")

    event.listen(counters.engine.sync_engine, "commit", fail)
    task = asyncio.create_task(counters.write(increment))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await read(counters), checked_out(counters)) == (0, 0)


async def test_a_commit_that_fails_is_told(counters: Database) -> None:
    """The failure reaches the caller."""

    def fail(_connection: object) -> None:
        raise RuntimeError("the commit failed")

    event.listen(counters.engine.sync_engine, "commit", fail)
    with pytest.raises(RuntimeError, match="the commit failed"):
        await counters.write(increment)
    assert (await read(counters), checked_out(counters)) == (0, 0)
