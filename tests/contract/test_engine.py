"""The database: transactions that are whole, retried and never leaked, and reads of one statement."""

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.storage.engine import MAX_ATTEMPTS, Database
from pecia_service.storage.failures import ConflictError
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from support.counters import INSERT, READ, Sleeper, checked_out, increment, read
from support.statements import counted_statements


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
        if attempts > 2:
            # In the order of the one that goes on: else the two could meet again, and deadlock once more.
            first, second = second, first
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


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_sqlite_is_set_up_for_concurrent_readers(counters: Database) -> None:
    """WAL, and no wait for the disk but at checkpoints."""
    mode = await counters.fetch(text("PRAGMA journal_mode"))
    synchronous = await counters.fetch(text("PRAGMA synchronous"))
    assert (mode[0][0], synchronous[0][0]) == ("wal", 1)


async def modes(folder: Path, file: str = "pecia.db") -> dict[str, int]:
    """Write to a database, and return the modes of its files while it is open."""
    database = Database.open(f"sqlite:///{folder / file}")

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE t (i INTEGER)"))

    await database.write(work)
    found = {
        entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(folder) if entry.is_file()
    }
    await database.dispose()
    return found


def test_files_of_sqlite_are_for_their_user_alone(tmp_path: Path) -> None:
    """They hold prompts and payloads; whatever the umask lets through."""
    before = os.umask(0)
    try:
        found = asyncio.run(modes(tmp_path))
    finally:
        os.umask(before)
    assert found == dict.fromkeys(("pecia.db", "pecia.db-shm", "pecia.db-wal"), 0o600)


def test_a_file_of_sqlite_behind_a_link_is_made_as_privately(tmp_path: Path) -> None:
    """The link's target is the file."""
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "link.db").symlink_to(folder / "pecia.db")
    asyncio.run(modes(tmp_path, "link.db"))
    assert stat.S_IMODE((folder / "pecia.db").stat().st_mode) == 0o600


def test_a_file_of_sqlite_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """Whoever shares it with a group wants that."""
    (tmp_path / "pecia.db").touch()
    (tmp_path / "pecia.db").chmod(0o660)
    assert asyncio.run(modes(tmp_path)) == dict.fromkeys(("pecia.db", "pecia.db-shm", "pecia.db-wal"), 0o660)


async def test_a_durable_sqlite_waits_for_the_disk_at_each_commit(tmp_path: Path) -> None:
    """With WAL, only FULL keeps a commit through a power cut."""
    database = Database.open(f"sqlite:///{tmp_path}/durable.db", durable=True)
    synchronous = await database.fetch(text("PRAGMA synchronous"))
    await database.dispose()
    assert 2 == synchronous[0][0]


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
