"""One tenant's way into the sink that all tenants share."""

from __future__ import annotations

from functools import partial

from pecia_service.audit.record import make_record
from pecia_service.audit.sinks.turns import Turns
from pecia_service.rendering.model import Receipt, RenderResult
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.ports import Recording


class TenantSink:
    """Makes records of what one tenant renders; a `rendering.ports.RenderSink`.

    `keep_prompt` and `keep_payload` say which texts a record keeps; hashes are always kept.
    """

    def __init__(self, turns: Turns, tenant_id: str, *, keep_prompt: bool, keep_payload: bool) -> None:
        self._turns = turns
        self._tenant_id = tenant_id
        self._keep_prompt = keep_prompt
        self._keep_payload = keep_payload

    def record(
        self, receipt: Receipt, result: RenderResult, payload: Payload, *, inline: bool
    ) -> Recording | None:
        """Take one render as `Turns.take` does; does nothing where records are not kept."""
        if not self._turns.keeps_records:
            return None
        return self._turns.take(
            partial(
                make_record,
                self._tenant_id,
                receipt,
                result,
                payload,
                inline=inline,
                keep_prompt=self._keep_prompt,
                keep_payload=self._keep_payload,
            )
        )
