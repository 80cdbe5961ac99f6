"""Decides whether a server should be sent calls, and says why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pecia_service.audit.ports import SinkStatus
from pecia_service.server.monitoring.database_watch import DatabaseWatch

RECENT_SECONDS = 30.0
"""How long after the last audit record was dropped a server counts as one that drops them."""


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """Why a server is not ready, if anything; and details for people."""

    reasons: tuple[str, ...]
    database_up: bool
    details: dict[str, object]

    @property
    def ready(self) -> bool:
        """Whether the server should be sent calls."""
        return not self.reasons


class Readiness:
    """Judges one server; for its event loop.

    Not ready are a server that is `starting` or `draining`, one whose audit is full (`audit_full`) or dropped
    records within the last 30 seconds (`audit_dropping`), and one whose database never answered since it
    started (`database_never_answered`). A database that is away later is only a detail: renders of what is
    cached go on. `monotonic` gives seconds.
    """

    def __init__(
        self,
        database: DatabaseWatch,
        audit: Callable[[], SinkStatus],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._audit = audit
        self._monotonic = monotonic
        self._state = "starting"
        self._dropped = 0
        self._dropped_at: float | None = None

    def serving(self) -> None:
        """Take note that the server takes calls."""
        self._state = "serving"

    def draining(self) -> None:
        """Take note that the server stops: from now on it is not ready."""
        self._state = "draining"

    async def report(self) -> ReadinessReport:
        """Judge the server as it is now."""
        up = await self._database.is_up()
        audit = self._audit()
        reasons = []
        if self._state != "serving":
            reasons.append(self._state)
        if audit.full:
            reasons.append("audit_full")
        if self._is_dropping(audit.dropped):
            reasons.append("audit_dropping")
        if not self._database.answered:
            reasons.append("database_never_answered")
        return ReadinessReport(
            tuple(reasons),
            up,
            {
                "state": self._state,
                "database": {"up": up},
                "audit": {
                    "failing": audit.failing,
                    "full": audit.full,
                    "dropped": audit.dropped,
                    "damaged": audit.damaged,
                    "queued": audit.queued,
                    "spooled_bytes": audit.spooled_bytes,
                    "lag_seconds": round(audit.lag_seconds, 3),
                },
            },
        )

    def _is_dropping(self, dropped: int) -> bool:
        now = self._monotonic()
        if dropped > self._dropped:
            self._dropped = dropped
            self._dropped_at = now
        return self._dropped_at is not None and now - self._dropped_at < RECENT_SECONDS
