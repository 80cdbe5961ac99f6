"""Tell whether an answer is right; a failure is a short label, for counting."""

from __future__ import annotations

import hashlib
from typing import Final

from google.protobuf.message import DecodeError
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse
from load.profiles import Expected
from pecia.v1.prompt_service_pb2 import (
    RenderBatchResponse,
    RenderOutcome,
    RenderResponse,
    RenderStreamResponse,
    ReplayResponse,
)
from pecia.v1.replay_pb2 import ReplayVerdict
from pecia_client import PeciaError

WRONG: Final = "WRONG_ANSWER"
UNREADABLE: Final = f"{WRONG} unreadable"
NO_PAIR: Final = f"{WRONG} correlation_id"


def status_label(error: aio.AioRpcError) -> str:
    """Return the status and the reason of a call that failed."""
    return _label(PeciaError.from_call(error))


def render(answer: RenderResponse, expected: Expected) -> str | None:
    """Check a prompt by its own bytes first, then what the receipt says of it."""
    receipt = answer.receipt
    if hashlib.sha256(answer.prompt.encode()).hexdigest() != expected.prompt_hash:
        return f"{WRONG} prompt"
    for name in ("prompt_hash", "payload_hash", "bundle_hash"):
        if getattr(receipt, name) != getattr(expected, name):
            return f"{WRONG} {name}"
    return None


def outcome(answer: RenderOutcome, expected: Expected) -> str | None:
    """Check one render of several."""
    if answer.HasField("response"):
        return render(answer.response, expected)
    return (
        _label(PeciaError.from_render_error(answer.error)) if answer.HasField("error") else f"{WRONG} outcome"
    )


def rendered(reply: bytes, expected: Expected) -> str | None:
    """Check the answer of Render."""
    try:
        return render(RenderResponse.FromString(reply), expected)
    except DecodeError:
        return UNREADABLE


def batch(reply: bytes, expected: list[Expected]) -> str | None:
    """Check the answer of RenderBatch; what is wrong with its first wrong outcome is wrong with it."""
    try:
        outcomes = RenderBatchResponse.FromString(reply).outcomes
    except DecodeError:
        return UNREADABLE
    if len(outcomes) != len(expected):
        return f"{WRONG} outcomes"
    failures = (outcome(answer, wanted) for answer, wanted in zip(outcomes, expected, strict=True))
    return next((failure for failure in failures if failure is not None), None)


def streamed(reply: bytes) -> RenderStreamResponse | None:
    """Read a message of RenderStream; None if it is none."""
    try:
        return RenderStreamResponse.FromString(reply)
    except DecodeError:
        return None


def replayed(reply: bytes, expected: Expected) -> str | None:
    """Check the answer of Replay: the same prompt again, which is the expected one."""
    try:
        result = ReplayResponse.FromString(reply).result
    except DecodeError:
        return UNREADABLE
    if result.verdict != ReplayVerdict.REPLAY_VERDICT_MATCH:
        return f"{WRONG} verdict"
    if {result.recorded_prompt_hash, result.replayed_prompt_hash} != {expected.prompt_hash}:
        return f"{WRONG} prompt_hash"
    return None


def healthy(reply: bytes) -> str | None:
    """Check the answer of a health check."""
    try:
        status = HealthCheckResponse.FromString(reply).status
    except DecodeError:
        return UNREADABLE
    return None if status == HealthCheckResponse.SERVING else f"{WRONG} health"


def echoed(reply: bytes) -> str | None:
    """Check the answer to an empty message, which is an empty one."""
    return f"{WRONG} echo" if reply else None


def _label(error: PeciaError) -> str:
    return f"{error.code.name} {error.reason}" if error.reason else error.code.name
