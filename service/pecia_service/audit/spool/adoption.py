"""Taking over what processes that have ended left in the spool."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from pecia_service.audit.spool.folder import OwnerFolder, is_alive, owner_folders, read_about


class Adoptions:
    """The folders of dead processes whose records go to `destination`, until all of them are delivered."""

    def __init__(self, root: Path, destination: str) -> None:
        self._root = root
        self._destination = destination
        self._folders: dict[str, OwnerFolder] = {}
        self._segments: dict[Path, os.stat_result] = {}
        self._left_alone: set[str] = set()
        self._unreadable: set[str] = set()
        self._log = structlog.get_logger(__name__)

    @property
    def owners(self) -> frozenset[str]:
        """The folders that are not done."""
        return frozenset(self._folders)

    @property
    def waiting_bytes(self) -> int:
        """About how many bytes are not delivered."""
        return sum(found.st_size for found in self._segments.values())

    @property
    def oldest_at(self) -> int | None:
        """A time, in microseconds, since which the oldest of the records may have been made."""
        return min((folder.about.created_at for folder in self._folders.values()), default=None)

    @property
    def written_at(self) -> int | None:
        """When the segment that was written to longest ago was so, in microseconds; None without one."""
        return min((found.st_mtime_ns // 1000 for found in self._segments.values()), default=None)

    def look(self) -> None:
        """Take the folders whose process has ended; say once which ones can't be taken. Raises OSError."""
        for path in owner_folders(self._root):
            if path.name in self._folders or path.name in self._left_alone:
                continue
            try:
                self._take(path)
            except OSError as error:
                # One that can't be looked into, another user's for instance, must not hide the others.
                if path.name not in self._unreadable:
                    self._unreadable.add(path.name)
                    self._log.error("audit_spool_unreadable", owner=path.name, error=error.strerror)

    def first(self) -> tuple[OwnerFolder, Path]:
        """Return the oldest segment that is not delivered, with its folder, while there are any."""
        path = next(iter(self._segments))
        return self._folders[path.parent.name], path

    def done(self, path: Path) -> None:
        """Note that a segment is delivered and deleted; its folder goes with the last."""
        del self._segments[path]
        folder = self._folders[path.parent.name]
        if not any(other.parent == path.parent for other in self._segments):
            del self._folders[folder.owner_id]
            folder.close()

    def leave(self, folder: OwnerFolder) -> None:
        """Let go of a folder, and don't take it again."""
        self._left_alone.add(folder.owner_id)
        for path in [path for path in self._segments if path.parent == folder.path]:
            del self._segments[path]
        self._folders.pop(folder.owner_id).close()

    def close(self) -> None:
        """Let go of all folders; what is not delivered is for the next who looks."""
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()
        self._segments.clear()

    def _take(self, path: Path) -> None:
        folder = OwnerFolder.take(path, self._destination)
        if folder is None:
            self._note_foreign(path)
            return
        try:
            segments = {segment: segment.stat() for segment in folder.segments()}
        except OSError:
            folder.close()
            raise
        if segments:
            self._log.warning(
                "audit_spool_adopted", owner=folder.owner_id, segments=len(segments), pid=folder.about.pid
            )
            self._folders[folder.owner_id] = folder
            self._segments |= segments
        else:
            folder.close()

    def _note_foreign(self, path: Path) -> None:
        """Say that a folder holds records of another database, or does not say of which."""
        about = read_about(path)
        if (about is not None and about.destination == self._destination) or is_alive(path):
            return
        self._left_alone.add(path.name)
        self._log.warning(
            "audit_spool_left_alone",
            owner=path.name,
            reason="its owner can't be read" if about is None else "it belongs to another database",
        )
