"""How large the fault tests are: FAULTS=short (the default), middle, or full, as specified."""

from __future__ import annotations

import math
import os
from typing import Final

MODES: Final = ("short", "middle", "full")


def mode() -> str:
    """Return how large the tests shall be; raises ValueError for a word that is none of the sizes."""
    chosen = os.environ.get("FAULTS", "short")
    if chosen not in MODES:
        raise ValueError(f"FAULTS={chosen} is no size of the fault tests: use one of {', '.join(MODES)}.")
    return chosen


def size(short: float, full: float) -> int:
    """Return the number for the chosen size; middle, for trying the full form out, is between the two."""
    return round({"short": short, "middle": math.sqrt(short * full), "full": full}[mode()])


def seed() -> int:
    """Return what all that is random in the fault tests begins with: FAULTS_SEED, or the same each time."""
    return int(os.environ.get("FAULTS_SEED", "20261121"))
