"""Which database a spool belongs to: the same under any user and password, and no other one."""

from pathlib import Path

import pytest
from pecia_service.audit.spool.destination import default_root, destination

PLACE = "postgresql://pecia@db/pecia"
SAME = [
    "postgres://other:secret@db/pecia",
    "postgresql+asyncpg://pecia@db:5432/pecia",
    "postgresql://pecia@DB/pecia?sslmode=require",
    "postgresql://pecia@/pecia?host=db",
    "postgresql://db?user=pecia",
    "postgresql://pecia@db/ignored?dbname=pecia",
    "postgresql://pecia@db/pecia?port=5432",
]
OTHER = [
    "postgresql://pecia@db2/pecia",
    "postgresql://pecia@db:5433/pecia",
    "postgresql://pecia@db/other",
    "postgresql://pecia@db,db2/pecia",
    "postgresql://pecia@db/pecia?port=5433",
    "postgresql://pecia@[::1]/pecia",
    "sqlite:///pecia",
]


@pytest.mark.parametrize("url", SAME)
def test_the_same_database_is_the_same_destination(url: str) -> None:
    """However it is written, and whoever connects."""
    assert destination(PLACE) == destination(url)


@pytest.mark.parametrize("url", OTHER)
def test_another_database_is_another_destination(url: str) -> None:
    """A record must not get into a database that it does not belong to."""
    assert destination(PLACE) != destination(url)


def test_hosts_keep_their_ports() -> None:
    """A list of hosts may have one of ports, or each its own."""
    own = "postgresql://u@a:5433,[::1]:5434/x"
    assert destination(own) == destination("postgresql://u@/x?host=a,[::1]&port=5433,5434")


def test_a_file_is_the_same_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative, absolute, or through a link."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    urls = ["sqlite:///real/x.db", f"sqlite:///{tmp_path}/real/x.db", "sqlite:///link/x.db"]
    assert 1 == len({destination(url) for url in urls})


def test_the_spool_is_beside_the_file_or_in_the_working_directory() -> None:
    """Where it is unless a setting says otherwise."""
    assert Path("data/x.db-spool") == default_root("sqlite:///data/x.db")
    assert Path("pecia-spool") == default_root(PLACE)


def test_a_link_to_a_database_has_the_spool_of_its_file(tmp_path: Path) -> None:
    """What one process left under one name is found under the other."""
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    roots = [default_root(f"sqlite:///{tmp_path}/{name}.db") for name in ("link", "real")]
    assert [tmp_path / "real.db-spool"] * 2 == roots
