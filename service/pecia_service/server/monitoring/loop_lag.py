"""Measures how late an event loop runs what is due."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

_TICK_SECONDS = 0.5
_WINDOW_TICKS = 30


class LoopLag:
    """Ticks on an event loop, and tells how late the latest of the last 15 seconds came.

    `monotonic` gives seconds. `start` and `stop` are for the loop's thread, `seconds` for any.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lags: deque[float] = deque(maxlen=_WINDOW_TICKS)
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick on the running loop."""
        self._due = self._monotonic() + _TICK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()

    def seconds(self) -> float:
        """Return the longest lag; a tick that is overdue counts too, so that a loop that is stuck shows."""
        lags = list(self._lags)
        if (due := self._due) is not None:
            lags.append(self._monotonic() - due)
        return max(0.0, *lags, 0.0)

    def _tick(self) -> None:
        assert self._due is not None
        self._lags.append(self._monotonic() - self._due)
        self.start()
