"""Folders of the spool: who owns one, who may take it, and what of it others can read."""

import errno
import os
import signal
import stat
from pathlib import Path

import pytest
from pecia_service.audit.spool import folder as folders
from pecia_service.audit.spool.folder import About, OwnerFolder, is_alive, owner_folders, read_about
from support.spools import DESTINATION, abandon, descriptors, left_behind, make_folder, run_python, segment_of

OWNER = """
import os, sys
from pathlib import Path
from pecia_service.audit.spool.folder import About, OwnerFolder
folder = OwnerFolder.create(Path(sys.argv[1]), lambda: f"p{os.getpid()}", About(sys.argv[2], 1, os.getpid()))
print(folder.owner_id, flush=True)
sys.stdin.read()
"""


def test_a_folder_says_whose_it_is(tmp_path: Path) -> None:
    """Where its records go, since when, and which process."""
    folder = make_folder(tmp_path / "made" / "too")
    assert folder.about == read_about(folder.path)
    assert (DESTINATION, os.getpid()) == (folder.about.destination, folder.about.pid)


def test_only_its_user_can_read_the_spool(tmp_path: Path) -> None:
    """Prompts are in it: folders are 0700 and files 0600."""
    folder = make_folder(tmp_path / "spool")
    folder.set_aside("piece.bin", b"")
    os.close(folders.open_segment(folder.segment(1)))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").rglob("*") if path.is_file()}
    dirs = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, *tmp_path.rglob("*")) if path.is_dir()}
    assert ({0o600}, {0o700}) == (modes, dirs)


def test_a_folder_in_use_cant_be_taken(tmp_path: Path) -> None:
    """Its lock is held, also against the same process."""
    folder = make_folder(tmp_path)
    assert (True, None) == (is_alive(folder.path), OwnerFolder.take(folder.path, DESTINATION))


def test_a_folder_is_free_when_its_process_is_killed(tmp_path: Path) -> None:
    """The kernel lets the lock go, whatever ends the process."""
    process = run_python(OWNER, tmp_path, DESTINATION)
    assert process.stdout is not None
    path = tmp_path / process.stdout.readline().strip()
    before = is_alive(path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    taken = OwnerFolder.take(path, DESTINATION)
    assert (True, process.pid) == (before, taken and taken.about.pid)


def test_a_folder_is_taken_once(tmp_path: Path) -> None:
    """Of two that want it, one gets it."""
    path = left_behind(tmp_path, segment_of())
    taken = [OwnerFolder.take(path, DESTINATION) for _ in range(2)]
    assert [True, False] == [folder is not None for folder in taken]


def test_a_folder_of_another_database_is_not_taken(tmp_path: Path) -> None:
    """Its records belong elsewhere."""
    path = left_behind(tmp_path, segment_of(), destination="e" * 64)
    assert OwnerFolder.take(path, DESTINATION) is None


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"format":"another"}', b'{"format":1}'])
def test_a_folder_that_does_not_say_whose_it_is_is_not_taken(tmp_path: Path, said: bytes) -> None:
    """Nobody guesses where records belong."""
    path = left_behind(tmp_path, segment_of())
    (path / "owner.json").write_bytes(said)
    assert (None, None) == (read_about(path), OwnerFolder.take(path, DESTINATION))


def test_a_folder_that_was_removed_meanwhile_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a file that has no name any more is worth nothing."""
    path = left_behind(tmp_path)
    really = folders._try_lock

    def remove_first(lock: int) -> bool:
        (path / "owner.lock").unlink()
        return really(lock)

    monkeypatch.setattr(folders, "_try_lock", remove_first)
    assert OwnerFolder.take(path, DESTINATION) is None


def test_a_folder_that_is_gone_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner removed it after it was seen."""
    about = About(DESTINATION, 1, 1)
    monkeypatch.setattr(folders, "read_about", lambda path: about)
    assert OwnerFolder.take(tmp_path / "gone", DESTINATION) is None


def test_a_new_owner_whose_lock_is_looked_at_takes_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks whether a folder is in use holds its lock for a moment."""
    really = folders._try_lock
    answers = iter([False, True])
    monkeypatch.setattr(folders, "_try_lock", lambda lock: next(answers) and really(lock))
    names = iter(["first", "second"])
    folder = OwnerFolder.create(tmp_path, lambda: next(names), About(DESTINATION, 1, 1))
    assert "second" == folder.owner_id


def test_an_owner_that_cant_say_whose_folder_it_is_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full from the start fails the start, and no litter stays."""

    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "sync_folder", fail)
    with pytest.raises(OSError, match="No space left"):
        make_folder(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_closing_an_empty_folder_removes_it(tmp_path: Path) -> None:
    """A process that has delivered all leaves nothing."""
    make_folder(tmp_path).close()
    assert [] == list(tmp_path.iterdir())


def test_closing_a_folder_with_segments_leaves_them(tmp_path: Path) -> None:
    """They are for the next who looks."""
    folder = make_folder(tmp_path)
    folder.segment(1).write_bytes(segment_of())
    folder.close()
    assert (False, ["00000001.seg"]) == (is_alive(folder.path), [p.name for p in folder.segments()])


def test_closing_leaves_what_somebody_else_put_there(tmp_path: Path) -> None:
    """A file that is none of the spool's is not deleted, and does not hinder."""
    folder = make_folder(tmp_path)
    (folder.path / "note.txt").write_text("mine")
    folder.close()
    assert ["note.txt"] == [path.name for path in folder.path.iterdir()]


def test_the_folder_for_damage_is_no_owner(tmp_path: Path) -> None:
    """Nobody takes it."""
    folder = make_folder(tmp_path)
    folder.set_aside("a.bin", b"bytes")
    (tmp_path / "file").write_bytes(b"")
    assert [folder.path] == list(owner_folders(tmp_path))
    assert [] == list(owner_folders(tmp_path / "absent"))
    assert b"bytes" == (tmp_path / "damaged" / f"{folder.owner_id}-a.bin").read_bytes()


def test_a_folder_without_its_lock_is_not_alive(tmp_path: Path) -> None:
    """Asking does not make one."""
    path = abandon(make_folder(tmp_path))
    (path / "owner.lock").unlink()
    assert (False, False) == (is_alive(path), (path / "owner.lock").exists())


def test_a_lock_that_fails_leaves_no_descriptor_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks would use up all that the process may have."""
    path = left_behind(tmp_path, segment_of())

    def fail(lock: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = descriptors(tmp_path)
    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(OSError, match="No locks"):
        OwnerFolder.take(path, DESTINATION)
    assert before == descriptors(tmp_path)
