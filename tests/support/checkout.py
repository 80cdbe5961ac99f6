"""Where things are in this checkout, and which files belong to it."""

import os
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICE: Final = ROOT / "service"
GENERATED: Final = ROOT / "generated"
INSPECTED: Final = ROOT / "tests" / "support" / "inspected"

PYTHONPATH: Final = os.pathsep.join(map(str, (GENERATED, SERVICE, INSPECTED)))
"""For processes that tests start: the code, and the watch over what they say (support.secrecy)."""


def repository_files() -> list[Path]:
    """Return the files that are committed or could be, relative to the root, in order."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    names = {Path(name) for name in listing.stdout.split("\0") if name}
    # A file that was just deleted is listed until the deletion is committed.
    return sorted(name for name in names if (ROOT / name).exists())
