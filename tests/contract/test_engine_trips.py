"""The database: how often a statement goes to SQLite's thread, and what is left when it ends early."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiosqlite
import pytest
from pecia_service.storage.engine import Database
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.counters import INSERT, READ, checked_out, increment, read

ONE = READ.bindparams(name="a")


@pytest.fixture
async def narrow(counters: Database, database_url: str, cache_size: int) -> AsyncIterator[Database]:
    """Give a database with one connection, so that nothing works any more once that is lost."""
    database = Database.open(database_url, pool_size=1, connect_timeout=5.0, statement_cache_size=cache_size)
    yield database
    await database.dispose()


@pytest.fixture
async def trips(counters: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give what is run on the threads of connections, by name, from now on."""
    await counters.ping()
    names: list[str] = []
    execute: Any = aiosqlite.Connection._execute

    async def gather(connection: aiosqlite.Connection, function: Any, *arguments: Any) -> object:
        names.append(function.__name__)
        return await execute(connection, function, *arguments)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", gather)
    return names


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_read_is_one_trip(counters: Database, trips: list[str]) -> None:
    """Its rows come with the answer, and there is no transaction to roll back."""
    await counters.fetch(ONE)
    async with counters.read() as connection:
        await connection.execute(ONE)
        await connection.execute(ONE)
    assert trips == ["_run"] * 3


async def test_a_fetch_makes_no_task(counters: Database) -> None:
    """Each would be one more turn of the event loop."""
    await counters.fetch(ONE)
    made: list[object] = []

    def gather(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(work)
        return asyncio.Task(work, loop=loop, **options)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(gather)
    try:
        await counters.fetch(ONE)
    finally:
        loop.set_task_factory(None)
    assert made == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_write_is_one_trip_for_each_statement(counters: Database, trips: list[str]) -> None:
    """One more begins it, and one ends it."""

    async def fail(connection: AsyncConnection) -> None:
        await connection.execute(INSERT, [{"name": "c"}, {"name": "d"}])
        raise LookupError

    await counters.write(increment)
    with pytest.raises(LookupError):
        await counters.write(fail)
    assert trips == ["_run", "_run", "commit", "_run", "_run", "rollback"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_what_a_statement_did_is_told(counters: Database) -> None:
    """How many rows it changed, and what those that it returns are called."""

    async def work(connection: AsyncConnection) -> tuple[int, list[Any]]:
        changed = await connection.execute(text("UPDATE counters SET value = 7"))
        returned = await connection.execute(text("DELETE FROM counters RETURNING name, value AS was"))
        return changed.rowcount, [dict(row) for row in returned.mappings()]

    assert await counters.write(work) == (2, [{"name": "a", "was": 7}, {"name": "b", "was": 7}])


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("cache_size", [100])
async def test_a_read_that_fails_midway_is_closed(narrow: Database) -> None:
    """A cursor left open would keep its tables from being changed for as long as anyone has the error."""
    event.listen(
        narrow.engine.sync_engine,
        "connect",
        lambda connection, _: setattr(connection.driver_connection, "text_factory", int),
    )

    async def drop(connection: AsyncConnection) -> None:
        await connection.execute(text("DROP TABLE counters"))

    with pytest.raises(ValueError, match="invalid literal") as caught:
        await narrow.fetch(text("SELECT name FROM counters"))
    await narrow.write(drop)
    assert (type(caught.value), checked_out(narrow)) == (ValueError, 0)


@pytest.mark.parametrize("cache_size", [100, 0])
async def test_a_read_that_is_cancelled_at_any_moment_leaves_nothing_open(narrow: Database) -> None:
    """The only connection is back, or another in its place, also before garbage is collected."""
    moments = Random(7)
    cancelled = 0
    gc.disable()
    try:
        for _ in range(150):
            task = asyncio.create_task(narrow.fetch(ONE))
            await asyncio.sleep(moments.random() * 0.001)
            task.cancel()
            await asyncio.wait({task})
            cancelled += task.cancelled()
            assert await read(narrow) == 0
    finally:
        gc.enable()
    assert (cancelled > 0, checked_out(narrow)) == (True, 0)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("cache_size", [100])
async def test_a_read_that_is_cancelled_while_sqlite_works_holds_no_snapshot(
    narrow: Database, counters: Database
) -> None:
    """Of an older state, which would let the log grow without an end."""
    loop, working, goes_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def pause() -> int:
        loop.call_soon_threadsafe(working.set)
        goes_on.wait()
        return 0

    event.listen(
        narrow.engine.sync_engine,
        "connect",
        lambda connection, _: connection.create_function("pause", 0, pause),
    )
    gc.disable()
    try:
        task = asyncio.create_task(narrow.fetch(text("SELECT name, pause() FROM counters")))
        await working.wait()
        await counters.write(increment)
        task.cancel()
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        (checkpoint,) = await counters.fetch(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    finally:
        gc.enable()
    assert (tuple(checkpoint), await read(narrow), checked_out(narrow)) == ((0, 0, 0), 1, 0)


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("cache_size", [0])
async def test_a_read_that_is_cancelled_when_it_has_its_rows_is_closed(narrow: Database) -> None:
    """For a pooler a read ends in a ROLLBACK, which can be waited for in vain."""

    def cancel(_connection: object) -> None:
        task.cancel()

    event.listen(narrow.engine.sync_engine, "rollback", cancel)
    task = asyncio.create_task(narrow.fetch(ONE))
    with pytest.raises(asyncio.CancelledError):
        await task
    event.remove(narrow.engine.sync_engine, "rollback", cancel)
    assert (await read(narrow), checked_out(narrow)) == (0, 0)


@pytest.mark.parametrize("cache_size", [100, 0])
async def test_readers_take_turns(narrow: Database) -> None:
    """Whoever waits for a connection gets it before the one who gives it back and wants it again."""
    ended: list[str] = []

    async def fetch(name: str, times: int) -> None:
        for _ in range(times):
            await narrow.fetch(ONE)
        ended.append(name)

    await asyncio.gather(fetch("busy", 20), fetch("modest", 10))
    assert ended == ["modest", "busy"]
