"""The sixth stage: a deadline for calls whose clients set none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pecia_service.errors import DeadlineError, ErrorReason
from pecia_service.server.context import Context

Answer = TypeVar("Answer")


class DefaultDeadline:
    """Ends what takes longer than `seconds`, which `setting` says.

    All calls get the same time, so that the oldest is always the next one to end: one timer is enough.
    """

    def __init__(self, seconds: float, setting: str) -> None:
        self._seconds = seconds
        self._setting = setting
        self._due: dict[asyncio.Task[object], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Callable[[Context], Awaitable[Answer]], context: Context) -> Answer:
        """Do the work; raises DeadlineError (DEADLINE_PASSED) when the time is over.

        A client's own deadline is gRPC's business, which cancels the call's task then.
        """
        if context.time_remaining() is not None:
            return await work(context)
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._due[task] = due = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._expire, loop)
        try:
            return await work(context)
        except asyncio.CancelledError:
            # Who is not among them any more was cancelled by the timer; the client may have done it as well.
            if task in self._due or task.uncancel():
                raise
            raise DeadlineError(
                ErrorReason.DEADLINE_PASSED,
                f"the call took longer than {self._seconds:g} seconds, "
                "which it gets without a deadline; set one",
                metadata={"seconds": f"{self._seconds:g}", "setting": self._setting},
            ) from None
        finally:
            self._due.pop(task, None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._timer = loop.call_at(due, self._expire, loop)
                return
            del self._due[task]
            task.cancel()
