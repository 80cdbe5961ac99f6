"""Stand-ins for what an audit sink works with: a store that fails on demand, and time that a test moves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from pecia_service.audit.record import AuditRecord
from pecia_service.errors import ErrorReason, UnavailableError


class ScriptedStore:
    """Keeps what it is given. `failures` are raised one by one before that; `poison` ids are always refused.

    While `gate` is closed an insertion waits for it. `entered` tells that one began, `kept` that one worked.
    """

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.attempts = 0
        self.failures: list[Exception] = []
        self.poison: set[str] = set()
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.kept = asyncio.Event()

    @property
    def written(self) -> list[str]:
        """The ids that are kept, in order."""
        return [render_id for batch in self.batches for render_id in batch]

    async def insert_many(self, records: Sequence[AuditRecord]) -> None:
        """Keep all of the records or none."""
        self.attempts += 1
        self.entered.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.down:
            raise away()
        render_ids = [record.render_id for record in records]
        if not self.poison.isdisjoint(render_ids):
            raise ValueError("the statement, with its values")
        self.batches.append(render_ids)
        self.kept.set()


class ManualTime:
    """A clock that moves only by sleeping, which takes no time. `sleeps` are the seconds asked for.

    A sleep of `endless` seconds or more never ends; `fell_asleep` tells that one began.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []
        self.endless = math.inf
        self.fell_asleep = asyncio.Event()

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and others have a turn."""
        self.sleeps.append(seconds)
        if seconds >= self.endless:
            self.fell_asleep.set()
            await asyncio.Event().wait()
        self.now += seconds
        await asyncio.sleep(0)


def away() -> UnavailableError:
    """Make the error of a database that does not answer."""
    return UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "for a test", retry_after=1.0)
