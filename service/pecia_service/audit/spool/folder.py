"""Folders of the spool: each process owns one by a lock that the kernel lets go when the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from pecia_service.ids import uuid7_time_ms

DAMAGED: Final = "damaged"
"""The folder, beside those of the owners, for what is set aside."""

_LOCK: Final = "owner.lock"
_ABOUT: Final = "owner.json"
_SEGMENTS: Final = "*.seg"
_FORMAT: Final = "pecia.spool-owner.v1"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class About:
    """What a folder says of itself: where its records go, and for people, since when and which process.

    `destination` is the digest of the database's identity; `created_at` is in microseconds since the epoch.
    """

    destination: str
    created_at: int
    pid: int


class OwnerFolder:
    """A folder that this process has the lock of; make it with `create` or `take`."""

    def __init__(self, path: Path, lock: int, about: About) -> None:
        self.path = path
        self.about = about
        self._lock = lock

    @property
    def owner_id(self) -> str:
        """The name of the folder."""
        return self.path.name

    @classmethod
    def create(cls, root: Path, new_id: Callable[[], str], about: About) -> OwnerFolder:
        """Make a folder of one's own below `root`, which is made too; raises OSError."""
        root.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        lock = None
        # Who looks whether a folder's owner is alive has its lock for a moment, perhaps this very one.
        while lock is None:
            path = root / new_id()
            path.mkdir(mode=_FOLDER_MODE)
            lock = _lock(path)
        folder = cls(path, lock, about)
        try:
            _write_about(path, about)
        except OSError:
            folder.close()
            raise
        return folder

    @classmethod
    def take(cls, path: Path, destination: str) -> OwnerFolder | None:
        """Take the folder of a process that has ended, if its records go to `destination`; else None."""
        about = read_about(path)
        if about is None or about.destination != destination:
            return None
        lock = _lock(path)
        return None if lock is None else cls(path, lock, about)

    def segments(self) -> list[Path]:
        """Return the paths of the segments, oldest first."""
        return sorted(self.path.glob(_SEGMENTS))

    def segment(self, number: int) -> Path:
        """Return the path of a segment by its number."""
        return self.path / f"{number:08}.seg"

    def set_aside(self, name: str, data: bytes) -> None:
        """Keep bytes in the folder for what is damaged, in place of those of that name; raises OSError."""
        folder = self.path.parent / DAMAGED
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _write_whole(folder / f"{self.owner_id}-{name}", data)

    def close(self) -> None:
        """Let the folder go, and remove it if no segment is left."""
        try:
            if not self.segments():
                _remove(self.path)
        finally:
            os.close(self._lock)


def owner_folders(root: Path) -> Iterator[Path]:
    """Give the folders of all owners, alive or not, in the order of their names; raises OSError."""
    if root.is_dir():
        yield from sorted(path for path in root.iterdir() if path.is_dir() and path.name != DAMAGED)


def remove_unfinished(path: Path) -> bool:
    """Remove the folder of a process that ended before it said whose it is; tell whether it is gone.

    One that has anything in it that such a process does not make stays, and so does one without a lock that
    is not named as owners are: nobody knows whose it is. Raises OSError.
    """
    if not (path / _LOCK).exists() and uuid7_time_ms(path.name) is None:
        return False
    lock = _lock(path)
    if lock is None:
        return False
    try:
        if {found.name for found in path.iterdir()} <= {_LOCK, _partial(_ABOUT)}:
            _remove(path)
        return not path.exists()
    finally:
        os.close(lock)


def is_alive(path: Path) -> bool:
    """Tell whether a process holds a folder; raises OSError for one that can't be looked into."""
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(lock)
    finally:
        os.close(lock)


def read_about(path: Path) -> About | None:
    """Return what a folder says of itself, None if that can't be read."""
    try:
        said = orjson.loads((path / _ABOUT).read_bytes())
        if said["format"] != _FORMAT:
            return None
        return About(str(said["destination"]), int(said["created_at"]), int(said["pid"]))
    except (OSError, ValueError, TypeError, LookupError):
        return None


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_segment(path: Path) -> int:
    """Make the file of a new segment, and return its descriptor; raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)


def _remove(path: Path) -> None:
    # While the lock is held; whoever has opened it meanwhile sees that its file is gone.
    with contextlib.suppress(OSError):
        for about in path.glob(f"*{_ABOUT}*"):
            about.unlink()
        (path / _LOCK).unlink(missing_ok=True)
        path.rmdir()


def _write_about(path: Path, about: About) -> None:
    said = {
        "format": _FORMAT,
        "destination": about.destination,
        "created_at": about.created_at,
        "pid": about.pid,
    }
    _write_whole(path / _ABOUT, orjson.dumps(said))
    sync_folder(path)
    sync_folder(path.parent)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    partial = path.with_name(_partial(path.name))
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _partial(name: str) -> str:
    return f".{name}.partial"


def _lock(path: Path) -> int | None:
    """Return the descriptor of a folder's lock, None when another process has it or the folder is gone."""
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    except FileNotFoundError:
        return None
    locked = False
    try:
        # A file without a name was that of a folder which its owner has removed since.
        locked = _try_lock(lock) and os.fstat(lock).st_nlink > 0
    finally:
        if not locked:
            os.close(lock)
    return lock if locked else None


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
