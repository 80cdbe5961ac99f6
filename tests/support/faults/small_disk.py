"""A folder on a small file system of its own, which only one process sees, and a test can fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NAMESPACE: Final = ("unshare", "--user", "--map-root-user", "--mount")
_CHUNK: Final = b"\0" * 4096


def can_mount() -> bool:
    """Tell whether this machine lets a process mount a file system that only it sees."""
    try:
        attempt = subprocess.run(
            [*_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/tmp"],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return attempt.returncode == 0


def on_small_disk(folder: Path, size: int) -> tuple[str, ...]:
    """Return the command that mounts `size` bytes of file system on a folder and becomes what follows it."""
    script = f'mount -t tmpfs -o size={size},mode=0700 tmpfs "$0" && exec "$@"'
    return (*_NAMESPACE, "sh", "-c", script, str(folder))


@contextmanager
def filled(pid: int, folder: Path) -> Iterator[None]:
    """Fill the file system that a process sees at a folder to the last byte, and empty it at the end."""
    ballast = Path(f"/proc/{pid}/root{folder}/ballast")
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(_CHUNK):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()
