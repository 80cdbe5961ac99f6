"""Make the requests of a plan, as bytes, each with the check of its answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from grpc_health.v1.health_pb2 import HealthCheckRequest
from load import checks
from load.plan import ECHO_METHOD, Kind, Plan
from load.profiles import Expected, Profile, Work
from pecia.v1.prompt_service_pb2 import (
    RenderBatchRequest,
    RenderRequest,
    RenderStreamRequest,
    ReplayRequest,
)

Check = Callable[[bytes], str | None]

_PROMPTS: Final = "/pecia.v1.PromptService/"
STREAM_METHOD: Final = f"{_PROMPTS}RenderStream"


@dataclass(frozen=True, slots=True)
class Request:
    """A message, and what says of the bytes that come back whether they are right."""

    message: bytes
    check: Check


@dataclass(frozen=True, slots=True)
class StreamedRequest:
    """A message of RenderStream without its correlation id, and what must come out."""

    message: bytes
    expected: Expected


def render_requests(plan: Plan) -> list[tuple[RenderRequest, Expected]]:
    """Return the renders of a plan, in the order in which they are asked in turn."""
    return [(_render(work, plan), work.expected) for work in Profile.read(plan.profile).work(plan.bundles)]


def unary(plan: Plan, recorded: Sequence[str] = ()) -> tuple[str, list[Request]]:
    """Return the method that a plan calls and its requests; `recorded` are render_ids, for replay.

    Those are of the renders that `render_requests` gives, in turn.
    """
    match plan.kind:
        case Kind.HEALTH:
            request = HealthCheckRequest().SerializeToString()
            return "/grpc.health.v1.Health/Check", [Request(request, checks.healthy)]
        case Kind.ECHO:
            return ECHO_METHOD, [Request(b"", checks.echoed)]
        case Kind.BATCH:
            return f"{_PROMPTS}RenderBatch", _batches(plan)
        case Kind.REPLAY:
            return f"{_PROMPTS}Replay", _replays(plan, recorded)
        case _:
            return f"{_PROMPTS}Render", [
                Request(request.SerializeToString(), partial(checks.rendered, expected=expected))
                for request, expected in render_requests(plan)
            ]


def streamed(plan: Plan) -> list[StreamedRequest]:
    """Return the requests of a plan for RenderStream."""
    return [
        StreamedRequest(RenderStreamRequest(request=request).SerializeToString(), expected)
        for request, expected in render_requests(plan)
    ]


def _render(work: Work, plan: Plan) -> RenderRequest:
    return RenderRequest(
        bundle=work.bundle(by_label=plan.kind is Kind.LABEL),
        payload=work.payload,
        validate_only=plan.validate_only,
    )


def _batches(plan: Plan) -> list[Request]:
    renders = render_requests(plan)
    # As many batches as it takes for every render to come up, each going on where the one before ended.
    count = max(1, -(-len(renders) // plan.batch))
    turns = itertools.cycle(renders)
    batches = [list(itertools.islice(turns, plan.batch)) for _ in range(count)]
    return [
        Request(
            RenderBatchRequest(requests=[request for request, _ in batch]).SerializeToString(),
            partial(checks.batch, expected=[expected for _, expected in batch]),
        )
        for batch in batches
    ]


def _replays(plan: Plan, recorded: Sequence[str]) -> list[Request]:
    expected = itertools.cycle(expected for _, expected in render_requests(plan))
    return [
        Request(
            ReplayRequest(render_id=render_id).SerializeToString(), partial(checks.replayed, expected=wanted)
        )
        for render_id, wanted in zip(recorded, expected, strict=False)
    ]
