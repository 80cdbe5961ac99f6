"""Taking over what processes that have ended left in the spool."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from pecia_service.audit.spool.folder import (
    OwnerFolder,
    is_alive,
    owner_folders,
    read_about,
    remove_unfinished,
)

_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Delay:
    """A folder that failed is not taken before `until`; the pause after the next failure is twice `pause`."""

    until: float
    pause: float


class Adoptions:
    """The folders of dead processes whose records go to `destination`, until all of them are delivered.

    `monotonic` gives the seconds by which those that could not be read are tried again.
    """

    def __init__(self, root: Path, destination: str, monotonic: Callable[[], float]) -> None:
        self._root = root
        self._destination = destination
        self._monotonic = monotonic
        self._folders: dict[str, OwnerFolder] = {}
        self._segments: dict[Path, os.stat_result] = {}
        self._left_alone: set[str] = set()
        self._delays: dict[str, _Delay] = {}
        # The last error of each folder that was told, and how often a folder was seen not to name its owner.
        self._told: dict[str, str | None] = {}
        self._nameless: dict[str, int] = {}
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
        paths = list(owner_folders(self._root))
        self._forget_all_but({path.name for path in paths})
        now = self._monotonic()
        for path in paths:
            if path.name in self._folders or path.name in self._left_alone:
                continue
            if (delay := self._delays.get(path.name)) and now < delay.until:
                continue
            try:
                self._take(path)
            except OSError as error:
                # One that can't be looked into, another user's for instance, must not hide the others.
                self._tell(path.name, error)

    def first(self) -> tuple[OwnerFolder, Path]:
        """Return the oldest segment that is not delivered, with its folder, while there are any."""
        path = next(iter(self._segments))
        return self._folders[path.parent.name], path

    def done(self, path: Path) -> None:
        """Note that a segment is delivered and deleted; its folder goes with the last."""
        del self._segments[path]
        folder = self._folders[path.parent.name]
        self._delays.pop(folder.owner_id, None)
        self._told.pop(folder.owner_id, None)
        if not any(other.parent == path.parent for other in self._segments):
            del self._folders[folder.owner_id]
            folder.close()

    def leave(self, folder: OwnerFolder) -> None:
        """Let go of a folder, and don't take it again."""
        self._left_alone.add(folder.owner_id)
        self._let_go(folder)

    def put_off(self, folder: OwnerFolder, error: OSError) -> None:
        """Let go of a folder that can't be delivered for now; it is taken again after a pause that grows."""
        delay = self._delays.get(folder.owner_id)
        pause = min(2 * delay.pause, _LONGEST_PAUSE_SECONDS) if delay else _FIRST_PAUSE_SECONDS
        self._delays[folder.owner_id] = _Delay(self._monotonic() + pause, pause)
        self._tell(folder.owner_id, error)
        self._let_go(folder)

    def close(self) -> None:
        """Let go of all folders; what is not delivered is for the next who looks."""
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()
        self._segments.clear()

    def _let_go(self, folder: OwnerFolder) -> None:
        for path in [path for path in self._segments if path.parent == folder.path]:
            del self._segments[path]
        self._folders.pop(folder.owner_id).close()

    def _tell(self, owner: str, error: OSError) -> None:
        """Log what hinders a folder, once until that changes."""
        if owner not in self._told or self._told[owner] != error.strerror:
            self._told[owner] = error.strerror
            self._log.error("audit_spool_unreadable", owner=owner, error=error.strerror)

    def _forget_all_but(self, names: set[str]) -> None:
        """Forget what is known of folders that others have removed."""
        self._left_alone &= names
        for known in (self._delays, self._told, self._nameless):
            for name in known.keys() - names:
                del known[name]

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
            if folder.owner_id not in self._delays:
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
        if about is not None:
            self._left_alone.add(path.name)
            self._log_left_alone(path, "it belongs to another database")
            return
        # At first its process may just be making it, and it is looked at again in any case.
        seen = self._nameless[path.name] = self._nameless.get(path.name, 0) + 1
        if seen > 1 and not remove_unfinished(path) and seen == 2:
            self._log_left_alone(path, "its owner can't be read")

    def _log_left_alone(self, path: Path, reason: str) -> None:
        self._log.warning("audit_spool_left_alone", owner=path.name, reason=reason)
