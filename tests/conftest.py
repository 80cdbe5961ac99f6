"""Fixtures that every suite may use: the databases."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
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
