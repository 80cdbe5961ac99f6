"""Retention: delete records of all tenants once they are older than a number of days."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from pecia_service.audit.store import AuditStore

_MICROSECONDS_PER_DAY = 24 * 60 * 60 * 1_000_000


class Retention:
    """Prunes records older than `days`, now and each `interval` seconds; 0 days keep all.

    `clock` gives microseconds since the epoch. Several processes may do so at once.
    """

    def __init__(
        self,
        store: AuditStore,
        *,
        days: int,
        interval: float = 3_600.0,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._days = days
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        self._log = structlog.get_logger(__name__)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to look after the records, unless they are kept for ever."""
        if self._days > 0:
            self._task = asyncio.get_running_loop().create_task(self._repeat(), name="audit-retention")

    async def aclose(self) -> None:
        """Stop; a batch under way is finished or rolled back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def run_once(self) -> int:
        """Delete what is too old now and return how many records that were; raises UnavailableError."""
        before = self._clock() - self._days * _MICROSECONDS_PER_DAY
        deleted = 0
        tenant_id = ""
        while following := await self._store.next_tenant(tenant_id):
            tenant_id = following
            while records := (await self._store.prune_batch(tenant_id, before)).records:
                deleted += records
        return deleted

    async def _repeat(self) -> None:
        while True:
            try:
                deleted = await self.run_once()
                self._log.info("audit_records_expired", deleted=deleted, days=self._days)
            except Exception as error:  # noqa: BLE001 - the next time is another chance, whatever it was
                # The error's own text can hold a statement, and is not logged.
                self._log.error("audit_retention_failed", error=type(error).__name__)
            await self._sleep(self._interval)
