"""Taking over what dead processes left: what is tried again, when, and what is told of it."""

import errno
import os
from pathlib import Path

import pytest
from pecia_service.audit.spool.adoption import Adoptions
from pecia_service.audit.spool.folder import OwnerFolder
from structlog.testing import capture_logs
from support.audit_sinks import ManualTime
from support.spools import DESTINATION, left_behind, make_folder, records, segment_of

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))
# As the ids are that the service gives.
NAMED = "019aa4f0-0000-7000-8000-000000000001"


@pytest.fixture
def time() -> ManualTime:
    """Give a clock that is moved by hand."""
    return ManualTime()


@pytest.fixture
def adoptions(tmp_path: Path, time: ManualTime) -> Adoptions:
    """Give what takes folders over."""
    return Adoptions(tmp_path, DESTINATION, time.monotonic)


def test_a_folder_that_failed_is_taken_again_after_a_pause_that_grows(
    tmp_path: Path, adoptions: Adoptions, time: ManualTime
) -> None:
    """Twice as long after each failure, to a minute."""
    path = left_behind(tmp_path, segment_of(*records(1)))
    taken = []
    for now in range(200):
        time.now = float(now)
        adoptions.look()
        if adoptions.owners:
            taken.append(now)
            adoptions.put_off(adoptions.first()[0], FULL)
    assert ([0, 2, 6, 14, 30, 62, 122, 182], True) == (taken, path.exists())


def test_what_hinders_a_folder_is_told_once_until_it_changes(
    tmp_path: Path, adoptions: Adoptions, time: ManualTime
) -> None:
    """Neither is it told again that the folder is taken."""
    left_behind(tmp_path, segment_of(*records(1)))
    with capture_logs() as logs:
        for error in (FULL, FULL, BROKEN, BROKEN):
            adoptions.look()
            adoptions.put_off(adoptions.first()[0], error)
            time.now += 100
    assert [
        ("audit_spool_adopted", None),
        ("audit_spool_unreadable", FULL.strerror),
        ("audit_spool_unreadable", BROKEN.strerror),
    ] == [(entry["event"], entry.get("error")) for entry in logs]


def test_a_folder_that_is_just_being_made_is_not_left_alone(tmp_path: Path, adoptions: Adoptions) -> None:
    """Its process may end as soon as it has said whose it is and has taken records."""
    path = tmp_path / NAMED
    path.mkdir()
    adoptions.look()
    path.rmdir()
    left_behind(tmp_path, segment_of(*records(1))).rename(path)
    adoptions.look()
    assert frozenset({NAMED}) == adoptions.owners
    adoptions.close()


@pytest.mark.parametrize("files", [(), ("owner.lock",), ("owner.lock", ".owner.json.partial")])
def test_a_folder_that_nobody_finished_is_removed(
    tmp_path: Path, adoptions: Adoptions, files: tuple[str, ...]
) -> None:
    """At the second look, and without a word: nothing was ever in it."""
    path = tmp_path / NAMED
    path.mkdir()
    for name in files:
        (path / name).write_bytes(b"")
    with capture_logs() as logs:
        adoptions.look()
        first = path.exists()
        adoptions.look()
    assert (True, False, []) == (first, path.exists(), logs)


@pytest.mark.parametrize(
    ("name", "file"), [(NAMED, "00000001.seg"), (NAMED, "note.txt"), ("lost+found", None)]
)
def test_a_folder_of_nobody_that_may_be_more_stays(
    tmp_path: Path, adoptions: Adoptions, name: str, file: str | None
) -> None:
    """It is told once, and looked at again all the same."""
    path = tmp_path / name
    path.mkdir()
    if file is not None:
        (path / file).write_bytes(b"")
    with capture_logs() as logs:
        for _ in range(4):
            adoptions.look()
    assert (True, ["its owner can't be read"]) == (path.exists(), [entry["reason"] for entry in logs])


def test_a_folder_that_is_being_made_is_not_removed(tmp_path: Path, adoptions: Adoptions) -> None:
    """Its process holds the lock before it says whose it is."""
    living = make_folder(tmp_path)
    (living.path / "owner.json").unlink()
    for _ in range(3):
        adoptions.look()
    assert living.path.exists()


def test_what_vanished_is_forgotten(tmp_path: Path, adoptions: Adoptions) -> None:
    """Folders come and go for as long as the process lives."""
    foreign = left_behind(tmp_path, segment_of(), destination="e" * 64)
    with capture_logs() as logs:
        adoptions.look()
        for path in foreign.iterdir():
            path.unlink()
        foreign.rmdir()
        adoptions.look()
        left_behind(tmp_path, segment_of(), destination="e" * 64).rename(foreign)
        adoptions.look()
    assert [foreign.name] * 2 == [entry["owner"] for entry in logs]


def test_a_folder_that_cant_be_asked_for_is_told_again_when_it_changes(
    tmp_path: Path, adoptions: Adoptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error may hide another."""
    left_behind(tmp_path, segment_of())
    errors = iter([FULL, FULL, BROKEN])

    def fail(path: Path, destination: str) -> OwnerFolder | None:
        raise next(errors)

    monkeypatch.setattr(OwnerFolder, "take", fail)
    with capture_logs() as logs:
        for _ in range(3):
            adoptions.look()
    assert [FULL.strerror, BROKEN.strerror] == [entry["error"] for entry in logs]
