"""Decode the errors of a Pecia server into one exception."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from pecia.v1.error_reason_pb2 import ErrorReason
from pecia.v1.prompt_service_pb2 import RenderError

_DOMAIN = "pecia"
_REASON_PREFIX = "ERROR_REASON_"
_DETAILS_KEY = "grpc-status-details-bin"
_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class PeciaError(Exception):
    """Say why a call failed.

    Attributes:
        code: The gRPC status.
        message: One sentence for people.
        reason: Name of an `ErrorReason` without its prefix, such as "TEMPLATE_SYNTAX"; empty when the error
            does not come from Pecia itself (no connection, deadline exceeded).
        metadata: Names, paths, limits and sizes that belong to the reason.
        violations: Pairs of a field's path and what is wrong with it.
        retry_after: Seconds after which a retry makes sense; None when the server does not say.

    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[tuple[str, str]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations: list[tuple[str, str]] = list(violations)
        self.retry_after = retry_after

    def __str__(self) -> str:
        name = f"{self.code.name} ({self.reason})" if self.reason else self.code.name
        return f"{name}: {self.message}"

    @classmethod
    def from_call(cls, error: grpc.RpcError) -> Self:
        """Decode the error of a call, made with or without asyncio.

        Details that cannot be decoded are left out: code and message are then all that is known.
        """
        status = _status_details(error)
        reason, metadata, violations, retry_after = "", dict[str, str](), list[tuple[str, str]](), None
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            bad_request = error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            if _unpack(detail, info) and info.domain == _DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
            elif _unpack(detail, bad_request):
                violations += [(item.field, item.description) for item in bad_request.field_violations]
            elif _unpack(detail, retry):
                retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        return cls(
            error.code(),
            error.details() or "",
            reason=reason,
            metadata=metadata,
            violations=violations,
            retry_after=retry_after,
        )

    @classmethod
    def from_render_error(cls, error: RenderError) -> Self:
        """Decode the error of one outcome of `render_batch` or `render_stream`."""
        name = ErrorReason.Name(error.reason) if error.reason in ErrorReason.values() else ""
        return cls(
            _CODES.get(error.code, grpc.StatusCode.UNKNOWN),
            error.message,
            reason=name.removeprefix(_REASON_PREFIX) if error.reason else "",
            metadata=error.metadata,
            violations=[(item.field, item.description) for item in error.field_violations],
            retry_after=(
                error.retry_delay.ToTimedelta().total_seconds() if error.HasField("retry_delay") else None
            ),
        )


def _status_details(error: grpc.RpcError) -> status_pb2.Status:
    # Both kinds of call answer pairs, but types-grpcio describes each in its own way.
    pairs = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in pairs:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return status_pb2.Status()
    return status_pb2.Status()


def _unpack(detail: Any, message: Message) -> bool:
    try:
        return detail.Unpack(message)
    except DecodeError:
        return False
