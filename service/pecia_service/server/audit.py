"""The RPCs of PromptService over audit records: replaying, verifying, reading, redacting, pruning."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import prompt_service_pb2_grpc, replay_pb2

from pecia_service.access.model import Caller
from pecia_service.audit.comparison import ReplayResult
from pecia_service.audit.replay import ReplayClaim
from pecia_service.audit.service import Audit, VerifyEvent, VerifyProgress
from pecia_service.paging import PageRequest
from pecia_service.registry.model import Bundle, Template
from pecia_service.server.context import Context
from pecia_service.server.convert.audit import (
    entry_to_proto,
    filter_from_proto,
    receipt_from_proto,
    record_to_proto,
    replay_result_to_proto,
)
from pecia_service.server.convert.pieces import inline_bundle_from_proto, payload_from_proto
from pecia_service.server.convert.structs import from_timestamp
from pecia_service.server.requests import check_request_id, missing_field


class AuditServicer(prompt_service_pb2_grpc.PromptServiceServicer):
    """Translates between the contract and the audit use cases."""

    def __init__(self, *, audit: Audit, caller: Callable[[Context], Caller]) -> None:
        self._audit = audit
        self._caller = caller

    async def Replay(self, request: pb.ReplayRequest, context: Context) -> pb.ReplayResponse:  # noqa: N802
        """Render a recorded prompt again and compare."""
        tenant_id = self._caller(context).tenant_id
        match request.WhichOneof("subject"):
            case "render_id":
                result = await self._audit.replay(tenant_id, request.render_id)
            case "claim":
                result = await self._replay_claim(tenant_id, request.claim)
            case _:
                raise missing_field("render_id", "give a render_id, or a receipt with its payload")
        return pb.ReplayResponse(result=replay_result_to_proto(result))

    async def _replay_claim(self, tenant_id: str, claim: replay_pb2.ReceiptClaim) -> ReplayResult:
        if not claim.HasField("receipt"):
            raise missing_field("claim.receipt", "give the receipt that a render answered")
        payload = payload_from_proto(claim.payload, "claim.payload")
        bundle: Bundle | None = None
        templates: list[Template] = []
        if claim.HasField("inline_bundle"):
            bundle, templates = inline_bundle_from_proto(claim.inline_bundle, "claim.inline_bundle")
        return await self._audit.replay_claim(
            tenant_id,
            ReplayClaim.create(
                receipt_from_proto(claim.receipt), payload, bundle=bundle, templates=templates
            ),
        )

    async def VerifyAudit(  # noqa: N802
        self, request: pb.VerifyAuditRequest, context: Context
    ) -> AsyncIterator[pb.VerifyAuditResponse]:
        """Replay all records that a filter selects."""
        events = self._audit.verify(self._caller(context).tenant_id, filter_from_proto(request.filter))
        async with aclosing(events):
            async for event in events:
                yield _verify_event_to_proto(event)

    async def GetAuditRecord(  # noqa: N802
        self, request: pb.GetAuditRecordRequest, context: Context
    ) -> pb.GetAuditRecordResponse:
        """Read one record."""
        record = await self._audit.get(self._caller(context).tenant_id, request.render_id)
        return pb.GetAuditRecordResponse(record=record_to_proto(record))

    async def ListAuditRecords(  # noqa: N802
        self, request: pb.ListAuditRecordsRequest, context: Context
    ) -> pb.ListAuditRecordsResponse:
        """List records, newest first."""
        page = await self._audit.list(
            self._caller(context).tenant_id,
            filter_from_proto(request.filter),
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListAuditRecordsResponse(
            records=[entry_to_proto(entry) for entry in page.items], next_page_token=page.next_token
        )

    async def RedactAuditRecord(  # noqa: N802
        self, request: pb.RedactAuditRecordRequest, context: Context
    ) -> pb.RedactAuditRecordResponse:
        """Erase the texts of one record."""
        check_request_id(request.request_id)
        record = await self._audit.redact(self._caller(context).tenant_id, request.render_id)
        return pb.RedactAuditRecordResponse(record=record_to_proto(record))

    async def PruneAuditRecords(  # noqa: N802
        self, request: pb.PruneAuditRecordsRequest, context: Context
    ) -> AsyncIterator[pb.PruneAuditRecordsResponse]:
        """Delete old records."""
        check_request_id(request.request_id)
        if not request.HasField("before"):
            raise missing_field("before", "give the time before which records are deleted")
        counts = self._audit.prune(
            self._caller(context).tenant_id,
            from_timestamp(request.before, "before"),
            validate_only=request.validate_only,
        )
        async with aclosing(counts):
            async for count in counts:
                yield pb.PruneAuditRecordsResponse(
                    records=count.records, pieces=count.pieces, done=count.done
                )


def _verify_event_to_proto(event: VerifyEvent) -> pb.VerifyAuditResponse:
    if isinstance(event, ReplayResult):
        return pb.VerifyAuditResponse(finding=replay_result_to_proto(event))
    if isinstance(event, VerifyProgress):
        return pb.VerifyAuditResponse(
            progress=replay_pb2.VerifyProgress(checked=event.checked, total=event.total)
        )
    return pb.VerifyAuditResponse(
        summary=replay_pb2.VerifySummary(
            checked=event.checked,
            matched=event.matched,
            mismatched=event.mismatched,
            unverifiable=event.unverifiable,
            renderer_version_differs=event.renderer_version_differs,
        )
    )
