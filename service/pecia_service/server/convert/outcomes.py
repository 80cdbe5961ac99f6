"""Renders: what they answer, and what became of each of several."""

from __future__ import annotations

from pecia.v1 import prompt_service_pb2, receipt_pb2

from pecia_service.errors import Error
from pecia_service.rendering.generator import Rendered
from pecia_service.rendering.model import Receipt
from pecia_service.server.convert.pieces import ROLE_TO_PROTO, SLOT_TO_PROTO
from pecia_service.server.convert.structs import to_text, to_timestamp
from pecia_service.server.status import (
    MAX_MESSAGE_LENGTH,
    STATUS_CODES,
    bounded_metadata,
    bounded_violations,
    shorten,
)

MAX_VIOLATIONS = 8
MAX_ERROR_BYTES = 25_000
"""More than a RenderError can have: message, metadata and violations are bounded in number and length."""


def receipt_to_proto(receipt: Receipt) -> receipt_pb2.Receipt:
    """Write a receipt, also one that was read from a damaged record."""
    return receipt_pb2.Receipt(
        render_id=to_text(receipt.render_id),
        prompt_hash=to_text(receipt.prompt_hash),
        bundle_hash=to_text(receipt.bundle_hash),
        payload_hash=to_text(receipt.payload_hash),
        bundle_id=to_text(receipt.bundle_id),
        semver=to_text(receipt.semver),
        renderer_version=to_text(receipt.renderer_version),
        adapter_version=to_text(receipt.adapter_version),
        created_at=to_timestamp(receipt.created_at),
    )


def rendered_to_proto(rendered: Rendered) -> prompt_service_pb2.RenderResponse:
    """Write a prompt with its parts and receipt."""
    return prompt_service_pb2.RenderResponse(
        prompt=rendered.prompt,
        parts=[
            receipt_pb2.PromptPart(
                slot=SLOT_TO_PROTO[part.slot], role=ROLE_TO_PROTO[part.role], text=part.text
            )
            for part in rendered.parts
        ],
        receipt=receipt_to_proto(rendered.receipt),
    )


def error_to_proto(error: Error) -> prompt_service_pb2.RenderError:
    """Write why one render of several failed, bounded like a status."""
    message = prompt_service_pb2.RenderError(
        code=STATUS_CODES[error.kind].value[0],
        message=shorten(error.message, MAX_MESSAGE_LENGTH),
        reason=f"ERROR_REASON_{error.reason.name}",
        metadata=bounded_metadata(error),
        field_violations=[
            prompt_service_pb2.RenderFieldViolation(field=violation.field, description=violation.description)
            for violation in bounded_violations(error)[:MAX_VIOLATIONS]
        ],
    )
    if error.retry_after is not None:
        message.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
    return message
