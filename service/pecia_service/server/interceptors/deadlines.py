"""The sixth stage: a deadline for calls whose clients set none."""

from __future__ import annotations

import asyncio
import time

from pecia_service.errors import DeadlineError, ErrorReason


class DefaultDeadline:
    """Cancels calls that take longer than `seconds`, which `setting` says.

    A client's own deadline is gRPC's business, which cancels the call's task as well. All calls get the same
    time, so that the oldest is always the next one to end: one timer is enough.
    """

    def __init__(self, seconds: float, setting: str) -> None:
        self._seconds = seconds
        self._setting = setting
        self._due: dict[asyncio.Task[object], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[object]) -> None:
        """Give the task of a call its time, after which it is cancelled; to be followed by `end`."""
        self._due[task] = due = time.monotonic() + self._seconds
        if self._timer is None:
            self._arm(due)

    def end(self, task: asyncio.Task[object]) -> None:
        """Take the task off the clock."""
        self._due.pop(task, None)

    def check(self, task: asyncio.Task[object]) -> None:
        """Raise DeadlineError (DEADLINE_PASSED) if it was for its time that the task was just cancelled.

        Who was cancelled by its client as well stays cancelled.
        """
        if task in self._due or task.uncancel():
            return
        raise DeadlineError(
            ErrorReason.DEADLINE_PASSED,
            f"the call took longer than {self._seconds:g} seconds, which it gets without a deadline; set one",
            metadata={"seconds": f"{self._seconds:g}", "setting": self._setting},
        )

    def _arm(self, due: float) -> None:
        delay = max(0.0, due - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._arm(due)
                return
            # Who is not on the clock any more was cancelled for it.
            del self._due[task]
            task.cancel()
