"""Requests to PromptService that are bad beside their payload: refused, and nothing is stored."""

from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.message import Message
from pecia.v1 import audit_pb2, bundle_pb2, receipt_pb2, replay_pb2
from pecia.v1 import prompt_service_pb2 as pb
from support.refused import fill, refuse
from support.server import live_server
from support.wire import SLOTS, bundle, inline_bundle, payload, version_ref

A_UUID = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"
LATE = timestamp_pb2.Timestamp(seconds=1 << 40)


def render(**fields: Any) -> pb.RenderRequest:
    """Ask for a render; what is not given is in order."""
    values = {"bundle": version_ref(), "payload": payload(), **fields}
    if "inline_bundle" in fields:
        del values["bundle"]
    return pb.RenderRequest(**values)


TWICE = bundle_pb2.InlineBundle(
    bundle=bundle(), templates=[*inline_bundle().templates[:3], inline_bundle().templates[0]]
)
NAMELESS = bundle_pb2.BundleRef(bundle_id="companion")
INLINE_FIELDS = ("bundle_id", "semver", *(f"slots.{slot}" for slot in SLOTS))

# method, request, reason, fields
CASES: dict[str, tuple[str, Message, str, list[str]]] = {
    "render nothing": ("Render", pb.RenderRequest(payload=payload()), "FIELD_INVALID", ["bundle"]),
    "render a bundle in no version": ("Render", render(bundle=NAMELESS), "FIELD_INVALID", ["bundle.semver"]),
    "render for a long model type": ("Render", render(model_type="m" * 65), "SIZE_EXCEEDED", ["model_type"]),
    "render with a long adapter version": (
        "Render",
        render(adapter_version="a" * 129),
        "SIZE_EXCEEDED",
        ["adapter_version"],
    ),
    "render by a label that is a version": (
        "Render",
        render(bundle=bundle_pb2.BundleRef(bundle_id="companion", label="v1.2")),
        "IDENTIFIER_INVALID",
        ["bundle.label"],
    ),
    "render an empty inline bundle": (
        "Render",
        render(inline_bundle=bundle_pb2.InlineBundle()),
        "IDENTIFIER_INVALID",
        [f"inline_bundle.bundle.{field}" for field in INLINE_FIELDS],
    ),
    "render an inline template twice": (
        "Render",
        render(inline_bundle=TWICE),
        "FIELD_INVALID",
        ["inline_bundle.templates[3]"],
    ),
    "render an inline template of bad syntax": (
        "Render",
        render(inline_bundle=inline_bundle({"task": "{{x}}"})),
        "TEMPLATE_SYNTAX",
        ["inline_bundle.templates[3].content"],
    ),
    "render an empty batch": ("RenderBatch", pb.RenderBatchRequest(), "FIELD_INVALID", ["requests"]),
    "render a batch of 257": (
        "RenderBatch",
        pb.RenderBatchRequest(requests=[render()] * 257),
        "SIZE_EXCEEDED",
        ["requests"],
    ),
    "check a long output": (
        "CheckOutput",
        pb.CheckOutputRequest(bundle=version_ref(), output="x" * 1_048_577),
        "SIZE_EXCEEDED",
        ["output"],
    ),
    "replay nothing": ("Replay", pb.ReplayRequest(), "FIELD_INVALID", ["render_id"]),
    "replay what is no UUID": ("Replay", pb.ReplayRequest(render_id="1"), "FIELD_INVALID", ["render_id"]),
    "replay a claim without a receipt": (
        "Replay",
        pb.ReplayRequest(claim=replay_pb2.ReceiptClaim(payload=payload())),
        "FIELD_INVALID",
        ["claim.receipt"],
    ),
    "replay a claim without a payload": (
        "Replay",
        pb.ReplayRequest(claim=replay_pb2.ReceiptClaim(receipt=receipt_pb2.Receipt())),
        "PAYLOAD_INVALID",
        [f"claim.payload.{f}" for f in ("semantic_traits", "activity_level", "stress", "task")],
    ),
    "replay a claim of an empty receipt": (
        "Replay",
        pb.ReplayRequest(claim=replay_pb2.ReceiptClaim(receipt=receipt_pb2.Receipt(), payload=payload())),
        "FIELD_INVALID",
        [
            f"claim.receipt.{f}"
            for f in ("prompt_hash", "bundle_hash", "payload_hash", "bundle_id", "semver", "renderer_version")
        ],
    ),
    "list records of a version of no bundle": (
        "ListAuditRecords",
        pb.ListAuditRecordsRequest(filter=audit_pb2.AuditFilter(semver="1.0.0")),
        "FIELD_INVALID",
        ["filter.semver"],
    ),
    "verify records up to a time that is none": (
        "VerifyAudit",
        pb.VerifyAuditRequest(filter=audit_pb2.AuditFilter(end_time=LATE)),
        "FIELD_INVALID",
        ["filter.end_time"],
    ),
    "redact what is no UUID": (
        "RedactAuditRecord",
        pb.RedactAuditRecordRequest(render_id="x"),
        "FIELD_INVALID",
        ["render_id"],
    ),
    "redact with a request id that is none": (
        "RedactAuditRecord",
        pb.RedactAuditRecordRequest(render_id=A_UUID, request_id="x"),
        "FIELD_INVALID",
        ["request_id"],
    ),
    "prune up to no time": ("PruneAuditRecords", pb.PruneAuditRecordsRequest(), "FIELD_INVALID", ["before"]),
    "prune up to a time that is none": (
        "PruneAuditRecords",
        pb.PruneAuditRecordsRequest(before=LATE),
        "FIELD_INVALID",
        ["before"],
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_bad_request_is_refused(case: str, migrated_database_url: str) -> None:
    """All of its bad fields are named, and nothing is stored."""
    method, request, reason, fields = CASES[case]
    async with live_server(migrated_database_url) as server:
        await fill(server)
        failure = await refuse(server, method, request)
    assert (grpc.StatusCode.INVALID_ARGUMENT, reason) == (failure.code, failure.reason)
    assert fields == [field for field, _ in failure.violations]
