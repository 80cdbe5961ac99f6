"""How often a server looks for garbage that refers to itself."""

from __future__ import annotations

import gc
from typing import Final

_NEW_OBJECTS: Final = 10_000
"""Containers made and not yet freed since the last look; Python's own number is 700 or 2,000."""


def collect_rarely() -> None:
    """Leave out what is there now, and look at what is new once there is more of it.

    A render leaves no cycles behind, but calls and the records that wait for the database are looked at again
    and again while they live. What nobody refers to is freed at once all the same.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
