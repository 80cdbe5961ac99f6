"""Audit records, filters, and the outcomes of replays."""

from __future__ import annotations

from pecia.v1 import audit_pb2, bundle_pb2, receipt_pb2, replay_pb2, template_pb2

from pecia_service.audit.comparison import FirstDifference, ReplayFinding, ReplayResult
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.store import AuditEntry
from pecia_service.rendering.model import Receipt
from pecia_service.server.convert.outcomes import receipt_to_proto
from pecia_service.server.convert.pieces import SLOT_TO_PROTO, template_ref_to_proto
from pecia_service.server.convert.structs import from_timestamp, to_text, to_timestamp


def record_to_proto(record: AuditRecord) -> audit_pb2.AuditRecord:
    """Write a record with its prompt and payload, as far as it has them."""
    return entry_to_proto(AuditEntry(record, record.payload is not None, record.prompt is not None))


def entry_to_proto(entry: AuditEntry) -> audit_pb2.AuditRecord:
    """Write a record as a list shows it."""
    record = entry.record
    message = audit_pb2.AuditRecord(
        receipt=receipt_to_proto(record.receipt),
        templates=[
            audit_pb2.TemplateUse(
                slot=SLOT_TO_PROTO[use.slot],
                template=template_ref_to_proto(use.ref),
                content_hash=use.content_hash,
                constraints_hash=use.constraints_hash,
            )
            for use in record.templates
        ],
        inline=record.inline,
        canonical_payload=record.payload,
        prompt=None if record.prompt is None else to_text(record.prompt),
        payload_kept=entry.payload_kept,
        prompt_kept=entry.prompt_kept,
    )
    if record.redacted_at is not None:
        message.redacted_at.CopyFrom(to_timestamp(record.redacted_at))
    return message


def filter_from_proto(message: audit_pb2.AuditFilter) -> AuditFilter:
    """Check a filter; raises InvalidInputError."""
    return AuditFilter.create(
        start=from_timestamp(message.start_time, "filter.start_time")
        if message.HasField("start_time")
        else None,
        end=from_timestamp(message.end_time, "filter.end_time") if message.HasField("end_time") else None,
        bundle_id=message.bundle_id,
        semver=message.semver,
        prompt_hash=message.prompt_hash,
    )


def receipt_from_proto(message: receipt_pb2.Receipt) -> Receipt:
    """Read a receipt as it is given: a claim, which a replay judges."""
    return Receipt(
        render_id=message.render_id,
        prompt_hash=message.prompt_hash,
        bundle_hash=message.bundle_hash,
        payload_hash=message.payload_hash,
        bundle_id=message.bundle_id,
        semver=message.semver,
        renderer_version=message.renderer_version,
        adapter_version=message.adapter_version,
        created_at=from_timestamp(message.created_at, "claim.receipt.created_at"),
    )


def replay_result_to_proto(result: ReplayResult) -> replay_pb2.ReplayResult:
    """Write the outcome of a replay."""
    return replay_pb2.ReplayResult(
        render_id=to_text(result.render_id),
        verdict=f"REPLAY_VERDICT_{result.verdict.name}",
        findings=[_finding_to_proto(finding) for finding in result.findings],
        first_difference=_difference_to_proto(result.first_difference),
        renderer_version_differs=result.renderer_version_differs,
        recorded_prompt_hash=to_text(result.recorded_prompt_hash),
        replayed_prompt_hash=result.replayed_prompt_hash,
    )


def _finding_to_proto(finding: ReplayFinding) -> replay_pb2.ReplayFinding:
    slot = bundle_pb2.SLOT_UNSPECIFIED if finding.slot is None else SLOT_TO_PROTO[finding.slot]
    template: template_pb2.TemplateRef | None = None
    if finding.template is not None:
        template = template_ref_to_proto(finding.template)
    return replay_pb2.ReplayFinding(
        cause=f"REPLAY_CAUSE_{finding.cause.name}",
        slot=slot,
        template=template,
        detail=to_text(finding.detail),
    )


def _difference_to_proto(difference: FirstDifference | None) -> replay_pb2.FirstDifference | None:
    if difference is None:
        return None
    return replay_pb2.FirstDifference(
        slot=SLOT_TO_PROTO[difference.slot],
        byte_offset=difference.byte_offset,
        recorded_excerpt=difference.recorded_excerpt,
        replayed_excerpt=difference.replayed_excerpt,
    )
