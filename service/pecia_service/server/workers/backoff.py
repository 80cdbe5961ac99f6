"""How long to wait before a worker that has died is started again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

HEALTHY_SECONDS: Final = 1.0
"""A worker that has served for so long did not die of its start."""

_FIRST: Final = 0.1
_MOST: Final = 15.0
_DOUBLINGS: Final = 16


class Backoff:
    """Doubles the pause from one failed start to the next, up to 15 seconds.

    `random` gives numbers from 0 to 1: workers that die together don't come back together.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0

    def pause(self, served: float) -> float:
        """Return the seconds to wait after a worker that has served for `served` seconds."""
        self._failures = 0 if served >= HEALTHY_SECONDS else self._failures + 1
        longest = min(_FIRST * 2.0 ** min(self._failures, _DOUBLINGS), _MOST)
        return longest * (1 + self._random()) / 2
