"""Reading errors as a client that knows only google.rpc would."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class Failure:
    """What a failed call told its client."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: list[tuple[str, str]] = field(default_factory=list)
    retry_after: float | None = None


def read_failure(error: grpc.aio.AioRpcError) -> Failure:
    """Decode a failed call's status; it must have exactly one ErrorInfo."""
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    assert raw is not None, f"no details in {error!r}"
    assert isinstance(raw, bytes)
    status = status_pb2.Status.FromString(raw)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    infos, violations, retry_after = [], [], None
    for detail in status.details:
        info, bad_request, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            infos.append(info)
        elif detail.Unpack(bad_request):
            violations = [(item.field, item.description) for item in bad_request.field_violations]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    assert len(infos) == 1
    return Failure(
        error.code(),
        status.message,
        infos[0].reason,
        infos[0].domain,
        dict(infos[0].metadata),
        violations,
        retry_after,
    )


async def failure_of(call: Awaitable[Any]) -> Failure:
    """Await a unary call that must fail, and decode its status."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_failure(caught.value)
