"""Renders: what they answer, and what became of each of several."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from pecia.v1 import prompt_service_pb2, receipt_pb2

from pecia_service.errors import Error
from pecia_service.rendering.generator import Rendered
from pecia_service.rendering.model import Receipt
from pecia_service.server.convert.pieces import ROLE_TO_PROTO, SLOT_TO_PROTO
from pecia_service.server.convert.structs import to_text, to_timestamp, write_timestamp
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

_RECEIPT_TEXTS: Final = tuple(field.name for field in fields(Receipt) if field.name != "created_at")


def receipt_to_proto(receipt: Receipt) -> receipt_pb2.Receipt:
    """Write a receipt that was read from a record, which may be damaged."""
    texts = {name: to_text(getattr(receipt, name)) for name in _RECEIPT_TEXTS}
    return receipt_pb2.Receipt(**texts, created_at=to_timestamp(receipt.created_at))


def rendered_to_proto(rendered: Rendered) -> prompt_service_pb2.RenderResponse:
    """Write a prompt with its parts and receipt."""
    message = prompt_service_pb2.RenderResponse()
    write_rendered(rendered, message)
    return message


def write_rendered(rendered: Rendered, message: prompt_service_pb2.RenderResponse) -> None:
    """Write a prompt with its parts and receipt into a message that is empty.

    Every render comes through here: messages within others are filled in place, since those that are handed
    to a constructor are copied, which takes three times as long.
    """
    message.prompt = rendered.prompt
    result, receipt = rendered.result, rendered.receipt
    add = message.parts.add
    for (slot, template), text in zip(result.resolved.templates.items(), result.texts, strict=True):
        add(slot=SLOT_TO_PROTO[slot], role=ROLE_TO_PROTO[template.role], text=text)
    written = message.receipt
    written.render_id = receipt.render_id
    written.prompt_hash = receipt.prompt_hash
    written.bundle_hash = receipt.bundle_hash
    written.payload_hash = receipt.payload_hash
    written.bundle_id = receipt.bundle_id
    written.semver = receipt.semver
    written.renderer_version = receipt.renderer_version
    written.adapter_version = receipt.adapter_version
    write_timestamp(receipt.created_at, written.created_at)


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
