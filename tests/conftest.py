"""Fixtures that every suite may use: the databases; and the watch over what is said in the whole run."""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.secrecy import FOLDER_VARIABLE, find_leaks, watch

# Before anything of the service is imported. Whoever has no folder yet is the one process that compares.
COMPARES = FOLDER_VARIABLE not in os.environ
SAID = Path(os.environ.setdefault(FOLDER_VARIABLE, tempfile.mkdtemp(prefix="secrecy-") if COMPARES else ""))
watch(SAID)

from pecia_service import logs  # noqa: E402
from pecia_service.storage.engine import Database  # noqa: E402
from support.migrated import MigratedDatabases  # noqa: E402
from support.postgres import PostgresServer  # noqa: E402

# How long examples take, to be made and to be tried, is the machine's business; a test that hangs ends by the
# run's own limit.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when a log line or an error of any of its processes held a key, a payload or a prompt."""
    if not COMPARES:
        return
    findings = find_leaks(SAID)
    shutil.rmtree(SAID)
    session.config.stash[SECRECY] = [
        f"{findings.processes} processes said {_counts(findings.said)}; "
        f"looked for in them: {_counts(findings.secrets)}",
        *(f"LEAK of a {leak.kind} in a {leak.where}: {leak.text[:500]!r}" for leak in findings.leaks[:20]),
        f"{len(findings.leaks)} leaks",
    ]
    if findings.leaks:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what the comparison found."""
    if SECRECY in config.stash:
        terminalreporter.section("secrets in logs and errors")
        for line in config.stash[SECRECY]:
            terminalreporter.line(line)


SECRECY = pytest.StashKey[list[str]]()


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} of {kind}" for kind, number in sorted(counts.items())) or "nothing"


@pytest.fixture(autouse=True)
def _logs_go_to_stderr() -> None:
    """Keep the lines of servers within a test's process out of what a command under test prints.

    For each test, since tests of the logs themselves leave them as they like.
    """
    logs.configure("info", "json", sys.__stderr__)


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
