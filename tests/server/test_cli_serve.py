"""`pecia serve` and `pecia migrate`: how a server starts, and what keeps it from starting."""

import asyncio
import os
import socket
import sqlite3
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from pecia_service.cli.session import Session
from pecia_service.storage.schema import head_revision
from support.checkout import PYTHONPATH
from support.cli import Ran, run_cli
from support.postgres import PostgresServer
from support.server import live_server


async def pecia(*arguments: str | Path) -> Ran:
    """Run a command beside the test's own event loop."""
    return await asyncio.to_thread(run_cli, *arguments, session=Session())


async def serve(listen: str, database_url: str) -> tuple[int | None, list[str]]:
    """Run a server that can't start in a process of its own; give its exit code and lines of stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pecia_service.cli.main",
        *("serve", "--listen", listen, "--database-url", database_url),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode().splitlines()


async def test_migrate_says_from_where_to_where(database_url: str) -> None:
    """On both engines; once more, it changes nothing."""
    first = await pecia("migrate", "--database-url", database_url, "--json")
    second = await pecia("migrate", "--database-url", database_url)
    assert first.json == {"from_revision": None, "to_revision": head_revision()}
    assert second.stdout == f"the database is at revision {head_revision()} already\n"


async def test_migrate_says_so_in_words(tmp_path: Path) -> None:
    """For whoever looks on."""
    ran = await pecia("migrate", "--database-url", f"sqlite:///{tmp_path / 'pecia.db'}")
    assert ran.stdout == f"migrated from an empty database to revision {head_revision()}\n"


async def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    """Exit code 4: an older version must not touch it."""
    url = f"sqlite:///{tmp_path / 'pecia.db'}"
    await pecia("migrate", "--database-url", url)
    with sqlite3.connect(tmp_path / "pecia.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
    connection.close()
    ran = await pecia("migrate", "--database-url", url)
    assert [ran.exit_code, "has the schema of revision later" in ran.stderr] == [4, True]


BAD_URLS = {
    "mysql://db": "has an unknown scheme; give sqlite:///path/to/file or ",
    "sqlite:///": "names no file that the database can keep; give sqlite:///path/to/file",
    "sqlite:///:memory:": "names no file that the database can keep; give sqlite:///path/to/file",
    "sqlite:///a.db?x=1": "has options, which SQLite's can't; give sqlite:///path/to/file",
    "postgresql://u:p@127.0.0.1:port/x": "has a port that is no number from 1 to 65535; ",
    "postgresql://u@127.0.0.1:99999/x": "has a port that is no number from 1 to 65535; ",
    "postgresql://u@[::1": "can't be read as a URL: ",
}


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("command", ["migrate", "serve"])
async def test_a_bad_database_url_is_one_line(command: str, url: str) -> None:
    """Exit code 2; the flag is named, and what to give instead."""
    ran = await pecia(command, "--database-url", url)
    assert [2, 1] == [ran.exit_code, len(ran.stderr.splitlines())]
    assert ran.stderr.startswith(f"error: --database-url {BAD_URLS[url]}")


@pytest.mark.parametrize("command", ["migrate", "serve"])
async def test_a_bad_database_url_of_the_environment_names_its_variable(command: str) -> None:
    """There was no flag to look at."""
    ran = await asyncio.to_thread(
        run_cli, command, session=Session(), environment={"PECIA_DATABASE_URL": "mysql://db"}
    )
    assert [2, True] == [
        ran.exit_code,
        ran.stderr.startswith("error: PECIA_DATABASE_URL has an unknown scheme; "),
    ]


def why_not(url: str, reason: str) -> str:
    """Return the line for a database that can't be used."""
    return f"error: can't use the database {url}: {reason} [STORAGE_UNAVAILABLE]"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none/pecia.db", "there is no directory {root}/none"),
        ("folder", "it is a directory"),
        ("text.db", "file is not a database"),
    ],
)
async def test_a_file_that_is_no_database_is_one_line(tmp_path: Path, path: str, reason: str) -> None:
    """Exit code 5; SQLite's own words don't tell a missing directory from a file that is one."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("Dear diary, today I learned what a database is not. " * 99)
    url = f"sqlite:///{tmp_path / path}"
    ran = await pecia("migrate", "--database-url", url)
    code, errors = await serve("127.0.0.1:0", url)
    line = why_not(url, reason.format(root=tmp_path))
    assert [(5, [line])] * 2 == [(ran.exit_code, ran.stderr.splitlines()), (code, errors)]


async def test_a_postgresql_that_refuses_is_one_line(postgres_server: PostgresServer) -> None:
    """Exit code 5, with PostgreSQL's reason and without the password."""
    parts = urlsplit(postgres_server.url("nothing"))
    place = f"{parts.hostname}:{parts.port}"
    urls = {
        parts.geturl(): f"postgresql://postgres:***@{place}/nothing",
        f"postgresql://postgres:hunter2@{place}/postgres": f"postgresql://postgres:***@{place}/postgres",
        f"postgresql://nobody:hunter2@{place}/postgres": f"postgresql://nobody:***@{place}/postgres",
    }
    ran = [await pecia("migrate", "--database-url", url) for url in urls]
    reasons = [
        'database "nothing" does not exist',
        'password authentication failed for user "postgres"',
        'password authentication failed for user "nobody"',
    ]
    lines = [why_not(shown, reason) for shown, reason in zip(urls.values(), reasons, strict=True)]
    assert [(5, [line]) for line in lines] == [(one.exit_code, one.stderr.splitlines()) for one in ran]


async def test_a_postgresql_that_is_not_there_is_one_line() -> None:
    """Exit code 5; whether nobody listens or nobody has the name."""
    with socket.socket() as taken:
        # Bound and not listening: nobody else gets the port, and who connects is refused.
        taken.bind(("127.0.0.1", 0))
        refused = f"postgresql://pecia@127.0.0.1:{taken.getsockname()[1]}/pecia"
        ran = await pecia("migrate", "--database-url", refused)
        code, errors = await serve("127.0.0.1:0", refused)
    reason = "the connection was refused: is the database running, and are host and port right?"
    line = why_not(refused, reason)
    assert [(5, [line])] * 2 == [(ran.exit_code, ran.stderr.splitlines()), (code, errors)]


async def test_a_user_who_may_not_migrate_is_one_line(postgres_server: PostgresServer) -> None:
    """Exit code 4, with the right that is missing."""
    url = await postgres_server.create_database()
    parts = urlsplit(url)
    owner = await asyncpg.connect(url)
    await owner.execute("CREATE ROLE reader LOGIN PASSWORD 'hunter2'")
    await owner.close()
    ran = await pecia(
        "migrate",
        "--database-url",
        f"postgresql://reader:hunter2@{parts.hostname}:{parts.port}{parts.path}",
    )
    await postgres_server.drop_database(url)
    assert [4, 1, True] == [
        ran.exit_code,
        len(ran.stderr.splitlines()),
        "lacks a right: permission denied for schema public; " in ran.stderr,
    ]


async def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    """Exit code 4; a second server must not share it silently."""
    async with live_server(f"sqlite:///{tmp_path / 'one.db'}") as server:
        code, errors = await serve(server.target, f"sqlite:///{tmp_path / 'two.db'}")
    line = (
        f"error: can't listen on {server.target}: "
        "the port is taken; choose another with --listen or PECIA_LISTEN"
    )
    assert (4, [line]) == (code, errors)


async def test_a_database_that_is_not_migrated_is_one_line(
    postgres_server: PostgresServer,
) -> None:
    """On PostgreSQL the operator decides when: exit code 4, and the command to run."""
    url = await postgres_server.create_database()
    code, errors = await serve("127.0.0.1:0", url)
    await postgres_server.drop_database(url)
    assert [code, errors[-1]] == [
        4,
        f"error: the database has no schema, but revision {head_revision()} is needed; run: pecia migrate",
    ]


async def test_a_variable_that_is_no_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt one would be ignored otherwise: exit code 2."""
    monkeypatch.setenv("PECIA_LISTN", "127.0.0.1:0")
    ran = await pecia("serve")
    assert [ran.exit_code, ran.stderr] == [2, "error: PECIA_LISTN is not a setting; see pecia serve --help\n"]
