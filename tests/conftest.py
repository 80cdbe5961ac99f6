"""Fixtures that every suite may use: the databases."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pecia_service.storage.engine import Database
from support.migrated import MigratedDatabases
from support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give the PostgreSQL server that the whole session shares. Don't stop it: create one to do that."""
    server = PostgresServer.create()
    try:
        server.launch()
        yield server
    finally:
        server.discard()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Name the engine that this run of the test uses: each test that asks runs once on either."""
    name: str = request.param
    return name


@pytest.fixture
async def database_url(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[str]:
    """Give the URL of a fresh database without a single table."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'pecia.db'}"
        return
    # Asked for only here, so that a run of SQLite tests starts no server.
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await server.create_database()
    yield url
    await server.drop_database(url)


@pytest.fixture(scope="session")
def migrated_databases(tmp_path_factory: pytest.TempPathFactory) -> MigratedDatabases:
    """Give the maker of migrated databases, which migrates each engine once in a session."""
    return MigratedDatabases(tmp_path_factory.mktemp("migrated"))


@pytest.fixture
async def migrated_database_url(
    engine_name: str,
    migrated_databases: MigratedDatabases,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> AsyncIterator[str]:
    """Give the URL of a database that has the newest schema and no rows."""
    if engine_name == "sqlite":
        yield await migrated_databases.create_sqlite(tmp_path / "migrated.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await migrated_databases.create_postgres(server)
    yield url
    await server.drop_database(url)


@pytest.fixture
async def database(migrated_database_url: str) -> AsyncIterator[Database]:
    """Give a database that has the newest schema and no rows."""
    database = Database.open(migrated_database_url)
    yield database
    await database.dispose()
