"""Asks an event loop from another thread, and doesn't wait for ever."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopAwayError(Exception):
    """The event loop did not answer in time, or has ended."""


class LoopCalls:
    """Runs coroutines on an event loop for other threads; make it on that loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def ask(self, work: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        """Return what `work` returns; raises LoopAwayError when that takes longer than `seconds`."""
        if self._loop.is_closed():
            raise LoopAwayError
        coroutine = work()
        try:
            answer = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            # The loop was closed meanwhile.
            coroutine.close()
            raise LoopAwayError from None
        try:
            return answer.result(seconds)
        except (TimeoutError, concurrent.futures.CancelledError):
            answer.cancel()
            raise LoopAwayError from None
