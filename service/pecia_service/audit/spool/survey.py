"""What is in a spool folder, looked at from outside: nothing is taken and nothing is changed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.folder import DAMAGED, About, is_alive, owner_folders, read_about


@dataclass(frozen=True, slots=True)
class OwnerSurvey:
    """One process's folder: what of it waits. `about` is None when the folder does not say whose it is.

    `alive` is None when this user may not look into the folder; nothing of it is counted then.
    """

    owner_id: str
    alive: bool | None
    about: About | None
    records: int
    waiting_bytes: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Survey:
    """All owners' folders, and how many pieces with how many bytes were set aside."""

    owners: tuple[OwnerSurvey, ...]
    damaged_pieces: int
    damaged_bytes: int


def survey(root: Path) -> Survey:
    """Look at a spool folder, which need not be there; raises OSError.

    The folder of an owner that this user may not look into does not hide the others.
    """
    pieces = [path.stat().st_size for path in (root / DAMAGED).glob("*.bin")]
    return Survey(tuple(_owner(path) for path in owner_folders(root)), len(pieces), sum(pieces))


def _owner(path: Path) -> OwnerSurvey:
    try:
        return _readable_owner(path)
    except PermissionError:
        return OwnerSurvey(path.name, None, read_about(path), 0, 0, 0)


def _readable_owner(path: Path) -> OwnerSurvey:
    # Asked first: what a process that has just ended wrote last is there when its segments are read.
    alive = is_alive(path)
    records = waiting_bytes = damaged = 0
    for segment in sorted(path.glob("*.seg")):
        # A process that is alive removes what it has delivered.
        with contextlib.suppress(FileNotFoundError):
            data = segment.read_bytes()
            for found in fmt.scan(data, fmt.first_unsettled(data)):
                match found:
                    case fmt.Body(body=body):
                        records += 1
                        waiting_bytes += len(body) + fmt.FRAME_BYTES
                    case fmt.Damage(torn=torn):
                        damaged += not torn
    return OwnerSurvey(path.name, alive, read_about(path), records, waiting_bytes, damaged)
