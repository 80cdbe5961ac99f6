"""Build requests from what callers have at hand; shared by both clients."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from pecia.v1.audit_pb2 import AuditFilter
from pecia.v1.bundle_pb2 import BundleRef, InlineBundle
from pecia.v1.payload_pb2 import DerivedPayload
from pecia.v1.prompt_service_pb2 import (
    CheckOutputRequest,
    PruneAuditRecordsRequest,
    RenderRequest,
    ReplayRequest,
)
from pecia.v1.receipt_pb2 import Receipt
from pecia.v1.replay_pb2 import ReceiptClaim
from pecia.v1.template_pb2 import TemplateRef

from pecia_client.payload import payload_from_mapping
from pecia_client.references import parse_bundle_ref, parse_template_ref


def render_request(
    bundle: str | BundleRef | None = None,
    *,
    payload: Mapping[str, object] | DerivedPayload,
    inline_bundle: InlineBundle | None = None,
    model_type: str = "",
    adapter_version: str = "",
    validate_only: bool = False,
) -> RenderRequest:
    """Build a RenderRequest from a published bundle or an inline one.

    Raises:
        ValueError: Not exactly one of `bundle` and `inline_bundle` is given, the reference is malformed, or
            the payload cannot be carried exactly (see `payload_from_mapping`).

    """
    _exactly_one(bundle=bundle, inline_bundle=inline_bundle)
    return RenderRequest(
        bundle=None if bundle is None else bundle_ref(bundle),
        inline_bundle=inline_bundle,
        payload=_payload(payload),
        model_type=model_type,
        adapter_version=adapter_version,
        validate_only=validate_only,
    )


def replay_request(
    render_id: str | None,
    receipt: Receipt | None,
    payload: Mapping[str, object] | DerivedPayload | None,
    inline_bundle: InlineBundle | None,
) -> ReplayRequest:
    """Build a ReplayRequest from a render_id, or from a receipt with its payload.

    Raises:
        ValueError: Not exactly one of `render_id` and `receipt` is given, a receipt comes without its
            payload, or a render_id comes with a payload or an inline bundle.

    """
    _exactly_one(render_id=render_id, receipt=receipt)
    if receipt is None:
        if payload is not None or inline_bundle is not None:
            raise ValueError("payload and inline_bundle belong to a receipt; a render_id needs neither")
        return ReplayRequest(render_id=render_id)
    if payload is None:
        raise ValueError("a receipt needs the payload that it was made from: give payload")
    claim = ReceiptClaim(receipt=receipt, payload=_payload(payload), inline_bundle=inline_bundle)
    return ReplayRequest(claim=claim)


def check_output_request(
    output: str, bundle: str | BundleRef | None, inline_bundle: InlineBundle | None
) -> CheckOutputRequest:
    """Build a CheckOutputRequest.

    Raises:
        ValueError: Not exactly one of `bundle` and `inline_bundle` is given, or the reference is malformed.

    """
    _exactly_one(bundle=bundle, inline_bundle=inline_bundle)
    return CheckOutputRequest(
        output=output,
        bundle=None if bundle is None else bundle_ref(bundle),
        inline_bundle=inline_bundle,
    )


def prune_request(before: datetime, validate_only: bool, request_id: str) -> PruneAuditRecordsRequest:
    """Build a PruneAuditRecordsRequest.

    Raises:
        ValueError: `before` has no time zone.

    """
    return PruneAuditRecordsRequest(
        before=timestamp(before), validate_only=validate_only, request_id=request_id
    )


def audit_filter(
    *,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    bundle_id: str = "",
    semver: str = "",
    prompt_hash: str = "",
) -> AuditFilter:
    """Build an AuditFilter; what is left out does not restrict.

    Raises:
        ValueError: A time has no time zone.

    """
    return AuditFilter(
        start_time=None if start_time is None else timestamp(start_time),
        end_time=None if end_time is None else timestamp(end_time),
        bundle_id=bundle_id,
        semver=semver,
        prompt_hash=prompt_hash,
    )


def bundle_ref(reference: str | BundleRef) -> BundleRef:
    """Give a reference as a message, reading it first when it is text."""
    return parse_bundle_ref(reference) if isinstance(reference, str) else reference


def template_ref(reference: str | TemplateRef) -> TemplateRef:
    """Give a reference as a message, reading it first when it is text."""
    return parse_template_ref(reference) if isinstance(reference, str) else reference


def timestamp(moment: datetime) -> Timestamp:
    """Give a moment as a message, in microseconds.

    Raises:
        ValueError: It has no time zone, so that it names no moment.

    """
    if moment.tzinfo is None:
        raise ValueError("the time has no time zone: use for instance datetime.now(UTC)")
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def random_request_id() -> str:
    """Make a UUID that no other call has."""
    return str(uuid.uuid4())


def _payload(payload: Mapping[str, object] | DerivedPayload) -> DerivedPayload:
    return payload if isinstance(payload, DerivedPayload) else payload_from_mapping(payload)


def _exactly_one(**given: object | None) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(f"give exactly one of {' and '.join(given)}")
