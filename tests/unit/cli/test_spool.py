"""`pecia audit spool`: what waits in the local files, and getting it into the database without a server."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.spool.destination import destination
from pecia_service.audit.store import AuditStore
from pecia_service.storage.engine import Database
from support.audit import TENANT
from support.cli import Ran, run_cli
from support.spools import left_behind, make_folder, records, segment_of

SINCE = "2025-11-21T04:40:00.000000Z"


@pytest.fixture(autouse=True)
def logging() -> Iterator[None]:
    """Undo what a command configures for its process."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Place:
    """A database of SQLite and the spool beside it."""

    def __init__(self, root: Path) -> None:
        self.url = f"sqlite:///{root / 'pecia.db'}"
        self.spool = root / "pecia.db-spool"

    def run(self, command: str, *arguments: str) -> Ran:
        """Run a command over the spool."""
        return run_cli("audit", "spool", command, "--database-url", self.url, *arguments)

    def leave(self, *segments: bytes, url: str = "") -> Path:
        """Leave segments as a dead process does."""
        return left_behind(self.spool, *segments, destination=destination(url or self.url))

    def migrate(self) -> None:
        """Make the database."""
        run_cli("migrate", "--database-url", self.url)

    def stored(self) -> int:
        """Count the records in the database."""

        async def count() -> int:
            database = Database.open(self.url)
            try:
                return await AuditStore(database).count(TENANT, AuditFilter())
            finally:
                await database.dispose()

        return asyncio.run(count())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a place where nothing is yet."""
    return Place(tmp_path)


def damaged_segment() -> bytes:
    """Return a segment whose second of three records is damaged."""
    made = records(3)
    data = bytearray(segment_of(*made))
    data[len(segment_of(made[0])) + 50] ^= 1
    return bytes(data)


@pytest.mark.parametrize("command", ["status", "recover"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_where_there_is_no_spool_nothing_waits(
    place: Place, monkeypatch: pytest.MonkeyPatch, command: str, form: tuple[str, ...]
) -> None:
    """The whole path is told, and nothing is made by looking: neither folder nor database."""
    monkeypatch.chdir(place.spool.parent)
    ran = run_cli("audit", "spool", command, "--database-url", "sqlite:///pecia.db", *form)
    assert (0, f"no spool folder at {place.spool}") == (ran.exit_code, ran.stderr.splitlines()[-1])
    assert [] == list(place.spool.parent.iterdir())


@pytest.mark.parametrize("command", ["status", "recover"])
@pytest.mark.parametrize("by_flag", [True, False])
def test_a_folder_that_is_named_must_be_there(place: Place, command: str, by_flag: bool) -> None:
    """Exit code 2: whoever names one expects something in it."""
    none = place.spool.parent / "none"
    flags, variables = (
        (("--audit-spool-dir", none), {}) if by_flag else ((), {"PECIA_AUDIT_SPOOL_DIR": str(none)})
    )
    url = ("--database-url", place.url)
    ran = run_cli("audit", "spool", command, *url, *flags, environment=variables)
    where = "--audit-spool-dir" if by_flag else "PECIA_AUDIT_SPOOL_DIR"
    assert (2, "", f"error: {where}: there is no folder {none}\n") == (ran.exit_code, ran.stdout, ran.stderr)


def test_a_spool_in_which_nothing_waits_is_told_with_its_whole_path(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the database that is meant."""
    monkeypatch.chdir(place.spool.parent)
    place.spool.mkdir()
    ran = place.run("status", "--audit-spool-dir", place.spool.name)
    assert (0, [f"database: {place.url}", f"nothing waits in {place.spool}"]) == (
        ran.exit_code,
        ran.stderr.splitlines(),
    )


def test_recovering_makes_no_database(place: Place) -> None:
    """Exit code 2: a mistyped path would take the records where nobody looks."""
    path = place.leave(segment_of(*records(1)))
    ran = place.run("recover")
    assert (2, True) == (ran.exit_code, f"there is no database {place.url}; " in ran.stderr)
    assert [path.parent] == list(place.spool.parent.iterdir())


def test_the_status_shows_each_process(place: Place) -> None:
    """Whether it is alive, whose database, how much waits, and what was set aside."""
    place.leave(segment_of(*records(2)))
    place.leave(segment_of(*records(1)), url="sqlite:///elsewhere.db")
    unknown = place.leave(damaged_segment())
    (unknown / "owner.json").unlink()
    living = make_folder(place.spool, destination(place.url))
    living.set_aside("a.bin", b"bytes")
    ran = place.run("status")
    assert ran.stdout.count("2025-11-21 04:40:00Z") == 3
    rows = [line.split() for line in ran.stdout.splitlines()]
    cells = [
        ("ended", "this", "2"),
        ("ended", "another", "1"),
        ("ended", "unknown", "2"),
        ("alive", "this", "0"),
    ]
    for row, (state, database, waiting) in zip(rows[1:], cells, strict=True):
        assert (state, True, True) == (row[1], database in row, waiting in row)
    assert f"1 damaged piece (5 bytes) set aside in {place.spool / 'damaged'}" in ran.stderr


def test_the_status_shows_a_folder_of_another_user_as_unreadable(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing of what is in it, and the others are shown."""
    theirs = place.leave(segment_of(*records(1)))
    place.leave(segment_of(*records(2)))
    really = os.open

    def denied(path: Path | str, *arguments: Any, **options: Any) -> int:
        if Path(path).parent == theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, "open", denied)
    table, document = place.run("status"), place.run("status", "--json")
    assert (0, ["unreadable", "ended"]) == (
        table.exit_code,
        [line.split()[1] for line in table.stdout.splitlines()[1:]],
    )
    assert [(None, 0), (False, 2)] == [
        (owner["alive"], owner["records"]) for owner in document.json["owners"]
    ]


def test_the_status_is_json_for_machines(place: Place) -> None:
    """The same as an object."""
    path = place.leave(segment_of(*records(2)))
    unknown = place.leave(damaged_segment())
    (unknown / "owner.json").unlink()
    found = place.run("status", "--json").json
    pid = found["owners"][0].pop("pid")
    sizes = [owner.pop("bytes") for owner in found["owners"]]
    assert (True, True) == (isinstance(pid, int), all(sizes))
    assert {
        "folder": str(place.spool),
        "owners": [
            {
                "owner": path.name,
                "alive": False,
                "database": "this",
                "records": 2,
                "damaged": 0,
                "since": SINCE,
            },
            {
                "owner": unknown.name,
                "alive": False,
                "pid": None,
                "database": "unknown",
                "records": 2,
                "damaged": 1,
                "since": None,
            },
        ],
        "set_aside": {"pieces": 0, "bytes": 0},
    } == found


def test_recovering_writes_what_dead_processes_left(place: Place) -> None:
    """It needs no server; afterwards nothing waits, and what is another database's still does."""
    place.leave(segment_of(*records(2)), segment_of(*records(3, start=2)))
    foreign = place.leave(segment_of(*records(1)), url="sqlite:///elsewhere.db")
    unknown = place.leave(segment_of(*records(2)))
    (unknown / "owner.json").unlink()
    place.migrate()
    ran = place.run("recover")
    assert (0, "recovered 5 records\n", 5) == (ran.exit_code, ran.stdout, place.stored())
    assert [
        f"database: {place.url}",
        f"left 1 record of another database in {place.spool}",
        f"left 2 records of a database that is not known in {place.spool}",
    ] == ran.stderr.splitlines()
    assert {foreign, unknown} == set(place.spool.iterdir())


def test_recovering_tells_of_damage(place: Place) -> None:
    """The exit code is 1, and what is whole is written."""
    place.leave(damaged_segment())
    place.leave(segment_of(*records(3)), url="sqlite:///elsewhere.db")
    place.migrate()
    ran = place.run("recover", "--json")
    told = {"written": 2, "set_aside": 1, "left": {"another": 3, "unknown": 0}}
    assert (1, told, 2) == (ran.exit_code, ran.json, place.stored())
    assert f"warning: 1 damaged piece set aside in {place.spool / 'damaged'}" in ran.stderr


def test_recovering_without_its_database_is_one_line(place: Place) -> None:
    """After the one that says which; what waits stays where it is."""
    url = "postgresql://pecia@127.0.0.1:1/pecia"
    left_behind(place.spool, segment_of(*records(1)), destination=destination(url))
    ran = run_cli("audit", "spool", "recover", "--database-url", url, "--audit-spool-dir", place.spool)
    assert (5, 2) == (ran.exit_code, ran.stderr.count("\n"))


def test_recovering_from_a_database_that_goes_away_leaves_the_rest(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up when nothing was written for a while."""
    place.migrate()
    path = place.leave(segment_of(*records(1)))

    async def never(sink: object, seconds: float) -> bool:
        return False

    monkeypatch.setattr("pecia_service.audit.sinks.spooled.SpooledAuditSink.flush", never)
    ran = place.run("recover")
    assert (5, True, True) == (ran.exit_code, "stays in the spool" in ran.stderr, path.exists())


def test_a_folder_that_cant_be_used_is_one_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not write to the spool can't recover it."""
    place.migrate()
    place.leave(segment_of(*records(1)))

    def fail(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pecia_service.audit.spool.folder.OwnerFolder.create", fail)
    ran = place.run("recover")
    assert (2, True) == (ran.exit_code, "can't be used (Permission denied)" in ran.stderr)


@pytest.mark.parametrize("where", ["--database-url", "PECIA_DATABASE_URL"])
def test_a_bad_database_url_is_one_line(where: str) -> None:
    """It names where the URL came from."""
    flags = [where, "mysql://x"] if where.startswith("--") else []
    environment = {} if flags else {where: "mysql://x"}
    ran = run_cli("audit", "spool", "status", *flags, environment=environment)
    assert (2, True) == (ran.exit_code, ran.stderr.startswith(f"error: {where} has an unknown scheme"))
