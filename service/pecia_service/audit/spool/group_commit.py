"""Group commit: one fsync for all records that were appended while the last one ran."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from pecia_service.audit.spool.answers import outcome, tell, unavailable
from pecia_service.audit.spool.folder import sync_folder
from pecia_service.audit.spool.segment import Segment

_UNSYNCED = "the audit record of the render could not be brought to the disk; try again"


class GroupCommit:
    """Brings segments to the disk in a thread; `fsync` is that of the system."""

    def __init__(self, fsync: Callable[[int], None] = os.fsync) -> None:
        self._fsync = fsync
        self._segments: set[Segment] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger(__name__)

    def wait(self, segment: Segment) -> asyncio.Future[None]:
        """Return what ends when all that a segment has now is on the disk; raises UnavailableError."""
        waiting = outcome()
        self._segments.add(segment)
        self._waiting.append(waiting)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="audit-group-commit")
        return waiting

    async def aclose(self) -> None:
        """Wait until nobody waits."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            segments, self._segments = self._segments, set()
            try:
                descriptors, folders = _open(segments)
            except OSError as error:
                # Without a descriptor to spare: who comes later may have one.
                failure: OSError | None = error
            else:
                failure = await asyncio.to_thread(self._sync, descriptors, folders)
            if failure is not None:
                self._log.error("audit_spool_sync_failed", error=failure.strerror, renders=len(waiting))
            else:
                for segment in segments:
                    segment.named = True
            for future in waiting:
                tell(future, None if failure is None else unavailable(_UNSYNCED))
        self._task = None

    def _sync(self, descriptors: list[int], folders: set[Path]) -> OSError | None:
        failure = None
        for descriptor in descriptors:
            try:
                self._fsync(descriptor)
            except OSError as error:
                failure = error
            finally:
                os.close(descriptor)
        try:
            for folder in folders:
                sync_folder(folder)
        except OSError as error:
            failure = error
        return failure


def _open(segments: set[Segment]) -> tuple[list[int], set[Path]]:
    """Return what to sync; a segment that is closed by now has its records where they belong.

    Raises OSError, and then leaves nothing open.
    """
    descriptors: list[int] = []
    try:
        for segment in segments:
            if (descriptor := segment.duplicate()) is not None:
                descriptors.append(descriptor)  # noqa: PERF401 - when one fails, all before it must be known
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return descriptors, {segment.path.parent for segment in segments if not segment.named}
