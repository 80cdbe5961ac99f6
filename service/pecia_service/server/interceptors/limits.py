"""The fifth stage: how many calls may be in flight at once, of all and of each caller, and how heavy."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from pecia_service.access.model import Caller
from pecia_service.errors import ErrorReason, ResourceExhaustedError

SMALL_ANSWER_BYTES: Final = 64 * 1024
"""Answers up to this size are bounded well enough by the number of calls."""

_RETRY_AFTER: Final = 1.0


class InFlight:
    """Counts the calls in flight of one process; each `enter` that returns needs one `leave` afterwards."""

    def __init__(self, *, most: int, most_of_caller: int) -> None:
        self._most = most
        self._most_of_caller = most_of_caller
        self._count = 0
        self._of_caller: dict[tuple[str, str], int] = {}

    @property
    def count(self) -> int:
        """How many calls are in flight."""
        return self._count

    def enter(self, caller: Caller) -> None:
        """Let a call in; raises ResourceExhaustedError (TOO_MANY_REQUESTS) at once when there is no room."""
        if self._count >= self._most:
            raise _too_many("the server", self._most, "PECIA_MAX_IN_FLIGHT")
        key = (caller.tenant_id, caller.principal)
        mine = self._of_caller.get(key, 0)
        if mine >= self._most_of_caller:
            raise _too_many("the caller", self._most_of_caller, "PECIA_MAX_IN_FLIGHT_PER_CALLER")
        self._count += 1
        self._of_caller[key] = mine + 1

    def leave(self, caller: Caller) -> None:
        """Make room again."""
        self._count -= 1
        key = (caller.tenant_id, caller.principal)
        mine = self._of_caller[key] - 1
        if mine:
            self._of_caller[key] = mine
        else:
            # Callers who are gone take no memory.
            del self._of_caller[key]


class AnswerBytes:
    """Bounds the bytes of large answers that wait to be read by their clients."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def hold(self, size: int, task: asyncio.Task[Any]) -> None:
        """Count an answer until the task of its call ends, which is when its client has it.

        Raises ResourceExhaustedError (TOO_MANY_REQUESTS) when others leave no room; alone, each has room.
        """
        if self._held and self._held + size > self._most:
            raise ResourceExhaustedError(
                ErrorReason.TOO_MANY_REQUESTS,
                f"answers that their clients have not read take {self._held} bytes, and {self._most} are "
                "allowed; read faster, ask for less at once, or try again",
                metadata={"limit": str(self._most), "setting": "PECIA_MAX_ANSWER_BYTES"},
                retry_after=_RETRY_AFTER,
            )
        self._held += size
        task.add_done_callback(lambda _: self._let_go(size))

    def _let_go(self, size: int) -> None:
        self._held -= size


def _too_many(whose: str, limit: int, setting: str) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        ErrorReason.TOO_MANY_REQUESTS,
        f"{whose} has {limit} calls in flight, as many as are allowed; wait and try again",
        metadata={"limit": str(limit), "setting": setting},
        retry_after=_RETRY_AFTER,
    )
