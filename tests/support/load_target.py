"""A real gRPC server that answers as a test says, to see what the load harness makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from golden import reference
from grpc import aio
from load.profiles import Profile, Work
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1.prompt_service_pb2_grpc import PromptServiceServicer, add_PromptServiceServicer_to_server

Context = aio.ServicerContext[Any, Any]
Before = Callable[[int, Context], Awaitable[None]]
Change = Callable[[int, pb.RenderResponse], None]

PROFILE = "minimal"


async def at_once(number: int, context: Context) -> None:
    """Let nothing happen before a call is answered."""


def nothing(number: int, answer: pb.RenderResponse) -> None:
    """Leave an answer as it is."""


@dataclass
class LoadTarget(PromptServiceServicer):
    """Renders the profile rightly, but for what it is told to do before or to change; counts calls."""

    before: Before = at_once
    change: Change = nothing
    calls: int = 0
    address: str = ""
    _right: dict[bytes, pb.RenderResponse] = field(default_factory=dict)

    def __post_init__(self) -> None:
        profile = Profile.read(PROFILE)
        bundle, templates = profile.copy(0)
        for work in profile.work(1):
            self._right[work.payload.SerializeToString(deterministic=True)] = _answer(work, bundle, templates)

    async def Render(  # noqa: N802 - the name of the RPC
        self, request: pb.RenderRequest, context: Context
    ) -> pb.RenderResponse:
        """Answer one render."""
        number, self.calls = self.calls, self.calls + 1
        await self.before(number, context)
        return self._rendered(number, request)

    async def RenderBatch(  # noqa: N802 - the name of the RPC
        self, request: pb.RenderBatchRequest, context: Context
    ) -> pb.RenderBatchResponse:
        """Answer some renders, which the changes count one by one."""
        outcomes = []
        for each in request.requests:
            number, self.calls = self.calls, self.calls + 1
            outcomes.append(pb.RenderOutcome(response=self._rendered(number, each)))
        return pb.RenderBatchResponse(outcomes=outcomes)

    async def RenderStream(  # noqa: N802 - the name of the RPC
        self, request_iterator: AsyncIterator[pb.RenderStreamRequest], context: Context
    ) -> AsyncIterator[pb.RenderStreamResponse]:
        """Answer renders in their order."""
        async for each in request_iterator:
            number, self.calls = self.calls, self.calls + 1
            await self.before(number, context)
            yield pb.RenderStreamResponse(
                correlation_id=each.correlation_id,
                outcome=pb.RenderOutcome(response=self._rendered(number, each.request)),
            )

    def _rendered(self, number: int, request: pb.RenderRequest) -> pb.RenderResponse:
        answer = pb.RenderResponse()
        answer.CopyFrom(self._right[request.payload.SerializeToString(deterministic=True)])
        self.change(number, answer)
        return answer


@asynccontextmanager
async def load_target(before: Before = at_once, change: Change = nothing) -> AsyncIterator[LoadTarget]:
    """Serve on a free loopback port."""
    target = LoadTarget(before, change)  # type: ignore[abstract]  # these methods are enough
    server = aio.server()
    add_PromptServiceServicer_to_server(target, server)
    target.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield target
    finally:
        await server.stop(None)


def _answer(work: Work, bundle: dict[str, Any], templates: list[dict[str, Any]]) -> pb.RenderResponse:
    payload = {
        "semantic_traits": {},
        "activity_level": work.payload.activity_level,
        "stress": work.payload.stress,
        "task": work.payload.task,
    }
    expected = work.expected
    return pb.RenderResponse(
        prompt="\n\n".join(reference.render_texts(bundle, templates, payload)),
        receipt={
            "prompt_hash": expected.prompt_hash,
            "payload_hash": expected.payload_hash,
            "bundle_hash": expected.bundle_hash,
        },
    )
