"""Asks whether the database answers, one question at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pecia_service.errors import UnavailableError

_PATIENCE_SECONDS = 0.5


class DatabaseWatch:
    """Tells whether a database answers; `ping` asks it, and raises UnavailableError.

    Who asks waits at most `patience` seconds. A ping that takes longer goes on, and the next who asks joins
    it: a database that hangs has one connection's worth of questions, not one for each probe.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]], patience: float = _PATIENCE_SECONDS) -> None:
        self._ping = ping
        self._patience = patience
        self._asking: asyncio.Task[bool] | None = None
        self._answered = False

    @property
    def answered(self) -> bool:
        """Whether it ever answered."""
        return self._answered

    async def is_up(self) -> bool:
        """Tell whether it answers now, in time."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="database-watch")
        asking = self._asking
        await asyncio.wait({asking}, timeout=self._patience)
        return asking.done() and not asking.cancelled() and asking.result()

    async def aclose(self) -> None:
        """End a question that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask(self) -> bool:
        try:
            await self._ping()
        except UnavailableError:
            return False
        self._answered = True
        return True
