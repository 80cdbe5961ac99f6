"""The sink of a server, or of a command, that keeps no audit."""

from __future__ import annotations

from pecia_service.audit.ports import SinkStatus
from pecia_service.audit.record import AuditRecord


class NullAuditSink:
    """Keeps nothing."""

    keeps_records = False
    waits = False

    def record(self, record: AuditRecord) -> None:
        """Forget the record."""

    def holds(self, render_id: str) -> bool:
        """Answer no."""
        return False

    async def flush(self, seconds: float) -> bool:
        """Answer yes at once."""
        return True

    async def aclose(self, seconds: float) -> None:
        """Do nothing."""

    def status(self) -> SinkStatus:
        """Answer that all is well."""
        return SinkStatus(queued=0, queued_bytes=0, written=0, dropped=0, failing=False)
