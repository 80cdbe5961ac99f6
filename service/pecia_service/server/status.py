"""From a domain error to a google.rpc.Status, bounded so that it fits into trailing metadata."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from pecia_service.errors import Error, ErrorReason, FieldViolation, InternalError, Kind
from pecia_service.logs import current_request_id

DOMAIN: Final = "pecia"
MAX_VIOLATIONS: Final = 32
MAX_MESSAGE_LENGTH: Final = 512
MAX_METADATA_LENGTH: Final = 256
MAX_STATUS_BYTES: Final = 3_500
"""Clients refuse more than 8 KiB of metadata, which carries the status in base64, and the message again,
percent-encoded: three characters for a byte. Lengths are therefore those of UTF-8."""

# What wraps a detail: two tags and lengths, and the URL of its type.
_WRAPPING_BYTES: Final = 64

STATUS_CODES: Final = {
    Kind.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.ABORTED: grpc.StatusCode.ABORTED,
    Kind.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.DATA_LOSS: grpc.StatusCode.DATA_LOSS,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
}


_ELLIPSIS: Final = "…"


def internal_fault(method: str) -> InternalError:
    """Make the error that stands for a fault of the server: it tells nothing but where the log has it."""
    request_id = current_request_id()
    return InternalError(
        ErrorReason.INTERNAL_FAULT,
        "the server failed; its log has the details",
        metadata={"method": method, **({"request_id": request_id} if request_id else {})},
    )


def shorten(text: str, limit: int) -> str:
    """Cut text to at most `limit` bytes of UTF-8 and say so with an ellipsis.

    Lone surrogates, which no message can hold, become question marks.
    """
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - len(_ELLIPSIS.encode())].decode(errors="ignore") + _ELLIPSIS


def bounded_violations(error: Error) -> list[FieldViolation]:
    """Return the first violations, each of bounded length."""
    return [
        FieldViolation(
            shorten(violation.field, MAX_METADATA_LENGTH), shorten(violation.description, MAX_METADATA_LENGTH)
        )
        for violation in error.violations[:MAX_VIOLATIONS]
    ]


def bounded_metadata(error: Error) -> dict[str, str]:
    """Return the metadata with values of bounded length."""
    return {key: shorten(value, MAX_METADATA_LENGTH) for key, value in error.metadata.items()}


def to_status(error: Error) -> status_pb2.Status:
    """Make the status with one ErrorInfo, and BadRequest and RetryInfo where they belong."""
    status = status_pb2.Status(
        code=STATUS_CODES[error.kind].value[0], message=shorten(error.message, MAX_MESSAGE_LENGTH)
    )
    _add(
        status,
        error_details_pb2.ErrorInfo(
            reason=error.reason.name, domain=DOMAIN, metadata=bounded_metadata(error)
        ),
    )
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
        _add(status, retry)
    if error.violations:
        _add_violations(status, bounded_violations(error))
    return status


def _add_violations(status: status_pb2.Status, violations: list[FieldViolation]) -> None:
    """Add as many violations as there is room for; the first always has room."""
    room = MAX_STATUS_BYTES - status.ByteSize() - _WRAPPING_BYTES
    request = error_details_pb2.BadRequest()
    for violation in violations:
        request.field_violations.add(field=violation.field, description=violation.description)
        if request.ByteSize() > room and len(request.field_violations) > 1:
            del request.field_violations[-1]
            break
    _add(status, request)


def _add(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)
