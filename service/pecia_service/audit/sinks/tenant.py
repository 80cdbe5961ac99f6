"""One tenant's way into the sink that all tenants share."""

from __future__ import annotations

from collections.abc import Awaitable

from pecia_service.audit.ports import AuditSink
from pecia_service.audit.record import make_record
from pecia_service.rendering.model import Receipt, RenderResult
from pecia_service.rendering.payload import Payload


class TenantSink:
    """Makes records of what one tenant renders; a `rendering.ports.RenderSink`.

    `keep_prompt` and `keep_payload` say which texts a record keeps; hashes are always kept.
    """

    def __init__(self, sink: AuditSink, tenant_id: str, *, keep_prompt: bool, keep_payload: bool) -> None:
        self._sink = sink
        self._tenant_id = tenant_id
        self._keep_prompt = keep_prompt
        self._keep_payload = keep_payload

    def record(
        self, receipt: Receipt, result: RenderResult, payload: Payload, *, inline: bool
    ) -> Awaitable[None] | None:
        """Take one render as `AuditSink.record` does; does nothing where records are not kept."""
        if not self._sink.keeps_records:
            return None
        return self._sink.record(
            make_record(
                self._tenant_id,
                receipt,
                result,
                payload,
                inline=inline,
                keep_prompt=self._keep_prompt,
                keep_payload=self._keep_payload,
            )
        )
