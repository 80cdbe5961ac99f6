"""Fixtures of the suites that run on every engine."""

from collections.abc import AsyncIterator

import pytest
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.storage.engine import Database
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.counters import INSERT, Sleeper
from support.domain import TickingClock


@pytest.fixture
def clock() -> TickingClock:
    """Give the clock that the registry reads."""
    return TickingClock()


@pytest.fixture
def registry(database: Database, clock: TickingClock) -> Registry:
    """Give a registry over an empty database."""
    return Registry(RegistryStore(database), clock)


@pytest.fixture
def sleeper() -> Sleeper:
    """Give the database's sleep."""
    return Sleeper()


@pytest.fixture
async def counters(database_url: str, sleeper: Sleeper) -> AsyncIterator[Database]:
    """Give a database with two counters, "a" and "b", both 0."""
    database = Database.open(database_url, statement_timeout=30.0, jitter=lambda: 1.0, sleep=sleeper)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE counters (name VARCHAR PRIMARY KEY, value INTEGER)"))
        await connection.execute(INSERT, [{"name": "a"}, {"name": "b"}])

    await database.write(work)
    sleeper.delays.clear()
    yield database
    await database.dispose()
