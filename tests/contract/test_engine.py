"""The database: transactions that are whole, retried and never leaked, and outages that are told as such."""

import asyncio
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.storage.engine import MAX_ATTEMPTS, Database
from pecia_service.storage.failures import ConflictError
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import QueuePool
from support.postgres import PostgresServer
from support.statements import counted_statements

INSERT = text("INSERT INTO counters VALUES (:name, 0)")
INCREMENT = text("UPDATE counters SET value = value + 1 WHERE name = :name")
READ = text("SELECT value FROM counters WHERE name = :name")


class Sleeper:
    """Remembers how long it was told to sleep, and lets others run instead."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, delay: float) -> None:
        """Sleep for no time."""
        self.delays.append(delay)
        await asyncio.sleep(0)


@pytest.fixture
def sleeper() -> Sleeper:
    """Give the database's sleep."""
    return Sleeper()


@pytest.fixture
async def counters(database_url: str, sleeper: Sleeper) -> AsyncIterator[Database]:
    """Give a database with two counters, "a" and "b", both 0."""
    database = Database.open(database_url, statement_timeout=5.0, jitter=lambda: 1.0, sleep=sleeper)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE counters (name VARCHAR PRIMARY KEY, value INTEGER)"))
        await connection.execute(INSERT, [{"name": "a"}, {"name": "b"}])

    await database.write(work)
    sleeper.delays.clear()
    yield database
    await database.dispose()


async def increment(connection: AsyncConnection, name: str = "a") -> None:
    """Add one to a counter."""
    await connection.execute(INCREMENT, {"name": name})


async def read(database: Database, name: str = "a") -> int:
    """Return a counter's value."""
    rows = await database.fetch(READ.bindparams(name=name))
    value: int = rows[0].value
    return value


def checked_out(database: Database) -> int:
    """Count the connections that are lent."""
    return cast(QueuePool, database.engine.pool).checkedout()


async def test_a_transaction_is_committed_with_its_result(counters: Database) -> None:
    """What the work returns is the answer."""

    async def work(connection: AsyncConnection) -> str:
        await increment(connection)
        return "done"

    answer = await counters.write(work)
    assert (answer, await read(counters), checked_out(counters)) == ("done", 1, 0)


async def test_an_exception_rolls_back(counters: Database) -> None:
    """And is passed on as it is."""

    async def work(connection: AsyncConnection) -> None:
        await increment(connection)
        raise LookupError("something else")

    with pytest.raises(LookupError, match="something else"):
        await counters.write(work)
    assert (await read(counters), checked_out(counters)) == (0, 0)


async def test_a_faulty_statement_is_a_fault(counters: Database) -> None:
    """It is not mistaken for an outage, in a read or a write, and nothing is retried."""
    statement = text("SELECT nothing FROM nowhere")

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(statement)

    async def lent() -> None:
        async with counters.read() as connection:
            await connection.execute(statement)

    for call in (counters.write(work), counters.fetch(statement), lent()):
        with pytest.raises(DBAPIError, match="nowhere"):
            await call
    assert checked_out(counters) == 0


async def test_a_broken_rule_is_passed_on(counters: Database) -> None:
    """A key that is there twice is neither an outage nor a conflict."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(INSERT, {"name": "a"})

    with pytest.raises(IntegrityError):
        await counters.write(work)
    assert checked_out(counters) == 0


async def test_a_read_is_one_statement(counters: Database) -> None:
    """One trip to the database."""
    with counted_statements(counters) as statements:
        await counters.ping()
        async with counters.read() as connection:
            await connection.execute(READ, {"name": "a"})
    assert [statement.split()[0] for statement in statements] == ["SELECT", "SELECT"]


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize(("cache_size", "transactions"), [(100, 3), (0, 1)])
async def test_a_read_is_a_transaction_only_for_a_pooler(
    counters: Database, database_url: str, cache_size: int, transactions: int
) -> None:
    """Each of three statements is one of its own, or all are in one."""
    database = Database.open(database_url, statement_cache_size=cache_size)
    statement = text("SELECT CAST(pg_current_xact_id() AS text)")
    async with database.read() as connection:
        ids = {await connection.scalar(statement) for _ in range(3)}
    await database.dispose()
    assert len(ids) == transactions


async def test_concurrent_transactions_lose_no_update(counters: Database) -> None:
    """More of them than there are connections."""
    await asyncio.gather(*(counters.write(increment) for _ in range(40)))
    assert (await read(counters), checked_out(counters)) == (40, 0)


async def test_work_that_reports_a_conflict_runs_again(counters: Database, sleeper: Sleeper) -> None:
    """From its start, after pauses that double and end at half a second."""
    attempts = 0

    async def work(connection: AsyncConnection) -> int:
        nonlocal attempts
        attempts += 1
        await increment(connection)
        if attempts < MAX_ATTEMPTS:
            raise ConflictError
        return attempts

    answer = await counters.write(work)
    assert (answer, await read(counters), sleeper.delays) == (
        MAX_ATTEMPTS,
        1,
        [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5],
    )


async def test_conflicts_without_an_end_are_an_outage(counters: Database, sleeper: Sleeper) -> None:
    """The attempts are bounded."""

    async def work(connection: AsyncConnection) -> None:
        await increment(connection)
        raise ConflictError

    with pytest.raises(UnavailableError) as caught:
        await counters.write(work)
    assert (caught.value.reason, len(sleeper.delays), await read(counters)) == (
        ErrorReason.STORAGE_UNAVAILABLE,
        MAX_ATTEMPTS - 1,
        0,
    )


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_serialization_failure_is_retried(counters: Database) -> None:
    """SQLSTATE 40001: another transaction changed what this one had read."""
    attempts = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        value = await connection.scalar(READ, {"name": "a"})
        if attempts == 1:
            await counters.write(increment)
        await connection.execute(
            text("UPDATE counters SET value = :value WHERE name = 'a'"), {"value": (value or 0) + 10}
        )

    await counters.write(work)
    assert (attempts, await read(counters)) == (2, 11)


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_deadlock_is_retried(counters: Database) -> None:
    """SQLSTATE 40P01: each of two transactions waits for the other."""
    barrier = asyncio.Barrier(2)
    attempts = 0

    async def work(connection: AsyncConnection, first: str, second: str) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        await increment(connection, first)
        if attempts <= 2:
            await barrier.wait()
        await increment(connection, second)

    await asyncio.gather(
        counters.write(lambda connection: work(connection, "a", "b")),
        counters.write(lambda connection: work(connection, "b", "a")),
    )
    assert (attempts, await read(counters, "a"), await read(counters, "b")) == (3, 2, 2)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_another_process_that_writes_is_waited_for(database_url: str, counters: Database) -> None:
    """As long as a statement may take, and no longer."""
    hasty = Database.open(database_url, statement_timeout=0.0)
    patient = Database.open(database_url, statement_timeout=60.0)
    asking = asyncio.Event()
    event.listen(patient.engine.sync_engine, "before_cursor_execute", lambda *_: asking.set())

    async def hold(connection: AsyncConnection) -> asyncio.Task[None]:
        await increment(connection)
        with pytest.raises(UnavailableError):
            await hasty.write(increment)
        waiting = asyncio.create_task(patient.write(increment))
        await asking.wait()
        return waiting

    await (await counters.write(hold))
    await hasty.dispose()
    await patient.dispose()
    assert await read(counters) == 2


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_readers_do_not_wait_for_a_writer(counters: Database) -> None:
    """In WAL mode they see what was committed."""

    async def work(connection: AsyncConnection) -> int:
        await increment(connection)
        return await read(counters)

    assert await counters.write(work) == 0


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


async def test_all_connections_lent_is_an_outage(database_url: str) -> None:
    """Whoever waits longer than the limit is told to come back."""
    database = Database.open(database_url, pool_size=1, connect_timeout=1.0)
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
    database = Database.open(database_url, statement_timeout=1.0)
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
async def test_a_pooler_gets_no_named_statements(counters: Database, database_url: str) -> None:
    """With no statement cache nothing is left on the server, where another client would find it."""
    database = Database.open(database_url, pool_size=1, statement_cache_size=0)
    await database.write(increment)
    await database.fetch(READ.bindparams(name="a"))
    left = await database.fetch(text("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"))
    await database.dispose()
    assert left[0][0] == 0


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_schema_that_changes_does_not_break_prepared_reads(counters: Database) -> None:
    """Another process migrates while this one serves."""
    statement = text("SELECT * FROM counters WHERE name = 'a'")
    await counters.fetch(statement)

    async def widen(connection: AsyncConnection) -> None:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute("ALTER TABLE counters ADD COLUMN more INTEGER")

    await counters.write(widen)
    rows = await counters.fetch(statement)
    assert tuple(rows[0]) == ("a", 0, None)


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
    server = PostgresServer.create()
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
    database = Database.open(own_server.url("postgres"), connect_timeout=2.0, statement_timeout=2.0)

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
    database = Database.open(own_server.url("postgres"), connect_timeout=1.0, statement_timeout=1.0)

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


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_sqlite_is_set_up_for_concurrent_readers(counters: Database) -> None:
    """WAL, and no wait for the disk but at checkpoints."""
    mode = await counters.fetch(text("PRAGMA journal_mode"))
    synchronous = await counters.fetch(text("PRAGMA synchronous"))
    assert (mode[0][0], synchronous[0][0]) == ("wal", 1)


async def test_a_new_file_that_another_process_writes_is_tried_again(tmp_path: Path) -> None:
    """SQLite refuses to turn it to WAL, without any wait."""
    file = tmp_path / "new.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def let_go(_delay: float) -> None:
        other.execute("COMMIT")

    database = Database.open(f"sqlite:///{file}", sleep=let_go)
    mode = await database.fetch(text("PRAGMA journal_mode"))
    await database.dispose()
    other.close()
    assert mode[0][0] == "wal"


async def test_a_name_of_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """Spaces, percent signs and letters of any language need no escaping."""
    file = tmp_path / "the 100%25 größte.db"
    database = Database.open(f"sqlite:///{file}")
    await database.ping()
    await database.dispose()
    assert file.exists()
