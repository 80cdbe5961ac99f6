"""The database: what does not answer in time, or not at all, is an outage and passes."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.storage.engine import Database
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.counters import checked_out, increment, read
from support.postgres import PostgresServer


async def test_all_connections_lent_is_an_outage(database_url: str) -> None:
    """Whoever waits longer than the limit is told to come back."""
    database = Database.open(database_url, pool_size=1, connect_timeout=3.0)
    async with database.read():
        with pytest.raises(UnavailableError) as caught:
            await database.ping()
    await database.ping()
    await database.dispose()
    assert (caught.value.reason, caught.value.retry_after) == (ErrorReason.STORAGE_UNAVAILABLE, 1.0)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_writer_that_waits_too_long_for_its_turn_is_told_of_an_outage(database_url: str) -> None:
    """The wait is bounded as a statement is."""
    database = Database.open(database_url, statement_timeout=0.05)

    async def work(_connection: AsyncConnection) -> None:
        with pytest.raises(UnavailableError):
            await database.write(increment)

    await database.write(work)
    await database.dispose()
    assert checked_out(database) == 0


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_statement_that_takes_too_long_is_an_outage(database_url: str) -> None:
    """Its connection is not used again."""
    database = Database.open(database_url, statement_timeout=3.0)
    processes = text("SELECT pg_backend_pid()")
    before = await database.fetch(processes)
    with pytest.raises(UnavailableError) as caught:
        await database.fetch(text("SELECT pg_sleep(60)"))
    after = await database.fetch(processes)
    await database.dispose()
    assert (caught.value.reason, before != after, checked_out(database)) == (
        ErrorReason.STORAGE_UNAVAILABLE,
        True,
        0,
    )


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_connections_that_the_server_closed_are_replaced(counters: Database, database_url: str) -> None:
    """No read or write notices, and no statement was needed to find out."""
    other = Database.open(database_url)
    others = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    async with counters.read() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
    assert driver is not None
    closed = asyncio.Event()
    driver.add_termination_listener(lambda _: closed.set())
    await other.fetch(others)
    await closed.wait()
    await counters.write(increment)
    assert await read(counters) == 1
    await other.dispose()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_read_is_repeated_when_its_connection_breaks(counters: Database) -> None:
    """Once, on another connection; a write is not, because it may have happened."""
    ended = 0

    def end(connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal ended
        if not ended and statement.startswith("SELECT value"):
            ended += 1
            cast(Connection, connection).connection.driver_connection.terminate()  # type: ignore[union-attr]

    event.listen(counters.engine.sync_engine, "before_cursor_execute", end)
    value = await read(counters)
    assert (value, ended, checked_out(counters)) == (0, 1, 0)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server that the test may stop."""
    server = PostgresServer.create(durable=True)
    try:
        server.launch()
        yield server
    finally:
        server.discard()


@pytest.mark.parametrize("immediately", [False, True])
async def test_a_server_that_stops_is_an_outage_until_it_starts(
    own_server: PostgresServer, immediately: bool
) -> None:
    """Reads and writes say so at once, and work again without a restart of the service."""
    database = Database.open(own_server.url("postgres"), connect_timeout=30.0, statement_timeout=30.0)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1"))

    async def lent() -> None:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))

    await asyncio.gather(*(database.ping() for _ in range(5)))
    await own_server.stop(immediately=immediately)
    errors = []
    for call in (database.ping(), database.write(work), lent(), database.ping()):
        with pytest.raises(UnavailableError) as caught:
            await call
        errors.append(caught.value)
    await own_server.start()
    await database.write(work)
    await database.ping()
    await database.dispose()
    assert ([str(error) for error in errors], {error.reason for error in errors}) == (
        ["the database does not answer; try again"] * 4,
        {ErrorReason.STORAGE_UNAVAILABLE},
    )


async def test_a_server_that_freezes_is_an_outage_until_it_goes_on(own_server: PostgresServer) -> None:
    """Its connections stay open and nothing answers; the limits hold for old and new connections."""
    database = Database.open(own_server.url("postgres"), connect_timeout=3.0, statement_timeout=3.0)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1"))

    await database.ping()
    backends = await database.fetch(text("SELECT pid FROM pg_stat_activity"))
    processes = [own_server.pid, *(row.pid for row in backends)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(UnavailableError):
            await database.ping()
        with pytest.raises(UnavailableError):
            await database.write(work)
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    patient = Database.open(own_server.url("postgres"), connect_timeout=60.0)
    await patient.write(work)
    await patient.dispose()
    await database.write(work)
    await database.dispose()
    assert checked_out(database) == 0


async def test_a_server_that_never_answers_is_an_outage() -> None:
    """A connection is tried for as long as the limit says."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        database = Database.open(f"postgresql://u:p@127.0.0.1:{port}/d", connect_timeout=0.1)
        with pytest.raises(UnavailableError):
            await database.ping()


async def test_a_database_that_refuses_us_is_an_outage(postgres_server: PostgresServer) -> None:
    """A database that does not exist, or a wrong password, is told to the log and not to the caller."""
    database = Database.open(postgres_server.url("no_such_database"))
    with pytest.raises(UnavailableError) as caught:
        await database.ping()
    await database.dispose()
    assert ("no_such_database" in str(caught.value), "no_such_database" in str(caught.value.__cause__)) == (
        False,
        True,
    )


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_file_that_may_not_be_written_is_an_outage_for_writers(
    counters: Database, database_url: str, tmp_path: Path
) -> None:
    """Reads go on."""
    value = await read(counters)

    async def forbid(connection: AsyncConnection) -> None:
        await connection.execute(text("PRAGMA query_only = ON"))
        try:
            await increment(connection)
        finally:
            await connection.execute(text("PRAGMA query_only = OFF"))

    with pytest.raises(UnavailableError):
        await counters.write(forbid)
    assert await read(counters) == value
