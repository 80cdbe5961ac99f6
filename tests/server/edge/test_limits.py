"""No more calls in flight than are allowed, of all callers and of each; every slot is given back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.errors import ErrorReason, PreconditionError
from pecia_service.rendering.generator import PromptGenerator
from support.edge import SECONDS, Edge, Gate, KnownCallers, bearer, edge
from support.faults.tasks import left_over, running
from support.server import live_server, served
from support.statuses import Failure, failure_of, read_failure
from support.wire import payload, version_ref

REQUEST = pb.RenderRequest()
# More than waits on the line for a client that reads nothing.
ANSWER_BYTES = 3 * 1024 * 1024


def of_process(limit: int) -> tuple[grpc.StatusCode, str, dict[str, str], float | None]:
    """Return how a call beyond the limit of all callers fails."""
    metadata = {"limit": str(limit), "setting": "PECIA_MAX_IN_FLIGHT"}
    return (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS", metadata, 1.0)


def of_caller(limit: int) -> tuple[grpc.StatusCode, str, dict[str, str], float | None]:
    """Return how a call beyond the limit of one caller fails."""
    metadata = {"limit": str(limit), "setting": "PECIA_MAX_IN_FLIGHT_PER_CALLER"}
    return (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS", metadata, 1.0)


def told(failure: Failure) -> tuple[grpc.StatusCode, str, dict[str, str], float | None]:
    """Return what a failure is compared by."""
    return (failure.code, failure.reason, failure.metadata, failure.retry_after)


@pytest.fixture
async def server() -> AsyncIterator[Edge]:
    """Give a server with room for three calls."""
    async with edge(max_in_flight="3") as live:
        yield live


async def test_what_is_beyond_the_limit_is_refused_at_once(server: Edge) -> None:
    """With a delay to wait, while those that were there first go on."""
    server.servicer.gate.close()
    calls = [server.prompts.Render(REQUEST) for _ in range(3)]
    await server.servicer.gate.holds(3)
    failure = await failure_of(server.prompts.Render(REQUEST))
    assert (of_process(3), 3) == (told(failure), server.servicer.gate.waiting)
    server.servicer.gate.open()
    assert [pb.RenderResponse()] * 3 == list(await asyncio.gather(*calls))


@pytest.mark.parametrize("method", ["VerifyAudit", "RenderStream"])
async def test_streams_count_as_long_as_they_are_open(server: Edge, method: str) -> None:
    """One that waits for its client's next message is in flight as well."""
    calls: list[Any] = []
    for _ in range(3):
        if method == "VerifyAudit":
            server.servicer.gate.close()
            calls.append(server.prompts.VerifyAudit(pb.VerifyAuditRequest()))
            await calls[-1].read()
        else:
            calls.append(server.prompts.RenderStream())
            await calls[-1].write(pb.RenderStreamRequest())
            await calls[-1].read()
    with pytest.raises(aio.AioRpcError) as caught:
        await server.prompts.Render(REQUEST)
    assert of_process(3) == told(read_failure(caught.value))
    for call in calls:
        call.cancel()
    await server.observer.has_ended(4)
    server.servicer.gate.open()
    await server.prompts.Render(REQUEST)


async def test_a_caller_has_a_limit_of_its_own() -> None:
    """Others still have room, also who has the same name in another tenant."""
    async with edge(KnownCallers(), max_in_flight_per_caller="2") as server:
        server.servicer.gate.close()
        calls = [server.prompts.Render(REQUEST, metadata=bearer("ada")) for _ in range(2)]
        await server.servicer.gate.holds(2)
        assert of_caller(2) == told(await failure_of(server.prompts.Render(REQUEST, metadata=bearer("ada"))))
        calls += [server.prompts.Render(REQUEST, metadata=bearer(key)) for key in ("bob", "zoe")]
        await server.servicer.gate.holds(4)
        server.servicer.gate.open()
        await asyncio.gather(*calls)


async def test_an_answer_counts_until_it_has_left() -> None:
    """Who reads nothing leaves its answer in the server's memory, and has no room for another call."""
    # Without measuring the line, gRPC takes no more ahead of a reader than HTTP/2 begins with.
    window = [("grpc.http2.bdp_probe", 0)]
    async with edge(max_in_flight="1") as server, aio.insecure_channel(server.target, window) as channel:
        before = await running()
        call: Any = channel.stream_stream("/pecia.v1.PromptService/Render")()
        await call.write(pb.RenderRequest(model_type="x" * ANSWER_BYTES).SerializeToString())
        await call.done_writing()
        await server.observer.has_ended(1)
        assert of_process(1) == told(await failure_of(server.prompts.Render(REQUEST)))
        await call.read()
        await call.code()
        assert {} == await left_over(before, SECONDS)
        assert pb.RenderResponse() == await server.prompts.Render(REQUEST)


async def test_large_answers_that_nobody_reads_are_bounded_together() -> None:
    """While one waits for its client, another has no room; small ones need none, and it comes back."""
    window = [("grpc.http2.bdp_probe", 0)]
    limit = 4 * 1024 * 1024
    large = pb.RenderRequest(model_type="x" * ANSWER_BYTES)
    async with (
        edge(max_answer_bytes=str(limit)) as server,
        aio.insecure_channel(server.target, window) as channel,
    ):
        before = await running()
        call: Any = channel.stream_stream("/pecia.v1.PromptService/Render")()
        await call.write(large.SerializeToString())
        await call.done_writing()
        await server.observer.has_ended(1)
        failure = await failure_of(server.prompts.Render(large))
        small = await server.prompts.Render(REQUEST)
        await call.read()
        await call.code()
        assert {} == await left_over(before, SECONDS)
        answered = await server.prompts.Render(large)
    metadata = {"limit": str(limit), "setting": "PECIA_MAX_ANSWER_BYTES"}
    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS", metadata, 1.0) == told(failure)
    assert (pb.RenderResponse(), ANSWER_BYTES) == (small, len(answered.prompt))


async def test_one_answer_alone_may_be_larger_than_the_bound_of_all() -> None:
    """Else what max_response_bytes allows could never be answered."""
    async with edge(max_answer_bytes=str(1024 * 1024)) as server:
        answer = await server.prompts.Render(pb.RenderRequest(model_type="x" * ANSWER_BYTES))
        assert ANSWER_BYTES == len(answer.prompt)


async def test_who_is_not_let_in_takes_no_room() -> None:
    """A stranger can't keep others out."""
    async with edge(KnownCallers(), max_in_flight="1") as server:
        server.servicer.gate.close()
        call = server.prompts.Render(REQUEST, metadata=bearer("ada"))
        await server.servicer.gate.holds(1)
        failure = await failure_of(server.prompts.Render(REQUEST, metadata=bearer("carl")))
        server.servicer.gate.open()
        await call
    assert "CREDENTIALS_INVALID" == failure.reason


async def succeed(server: Edge) -> None:
    """Call, and get an answer."""
    await server.prompts.Render(REQUEST)


async def fail(server: Edge) -> None:
    """Call, and get an error of the domain."""
    server.servicer.error = PreconditionError(ErrorReason.PROMPT_TOO_LARGE, "less")
    await failure_of(server.prompts.Render(REQUEST))


async def find_a_fault(server: Edge) -> None:
    """Call, and get an error that nobody expects."""
    server.servicer.error = ValueError()
    await failure_of(server.prompts.Render(REQUEST))


async def send_garbage(server: Edge) -> None:
    """Call with bytes that are no message."""
    method: Any = server.channel.unary_unary("/pecia.v1.PromptService/Render")
    await failure_of(method(b"\xff"))


async def send_nothing(server: Edge) -> None:
    """End a call without its message."""
    method: Any = server.channel.stream_stream("/pecia.v1.PromptService/Render")
    call = method()
    await call.done_writing()
    with pytest.raises(aio.AioRpcError) as caught:
        await call.read()
    assert "REQUEST_MALFORMED" == read_failure(caught.value).reason


async def leave(server: Edge) -> None:
    """Cancel a call that is under way."""
    server.servicer.gate.close()
    call = server.prompts.Render(REQUEST)
    await server.servicer.gate.holds(1)
    call.cancel()
    await server.servicer.gate.holds(0)


async def pass_the_deadline(server: Edge) -> None:
    """Wait for no answer longer than a moment, which suffices for the call to reach the server."""
    server.servicer.gate.close()
    call = server.prompts.Render(REQUEST, timeout=1)
    await server.servicer.gate.holds(1)
    assert grpc.StatusCode.DEADLINE_EXCEEDED is await call.code()


async def abandon_a_stream(server: Edge) -> None:
    """Close the connection of a stream of which nothing is read, and of one that sends nothing."""
    server.servicer.answers, ended = 1_000_000, len(server.observer.ended)
    async with aio.insecure_channel(server.target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        verify: Any = channel.unary_stream("/pecia.v1.PromptService/VerifyAudit")
        idle: Any = channel.stream_stream("/pecia.v1.PromptService/RenderStream")
        calls = [verify(b""), idle()]
        await calls[0].read()
    await server.observer.has_ended(ended + 2)


async def refuse(server: Edge) -> None:
    """Call when there is no room."""
    server.servicer.gate.close()
    calls = [server.prompts.Render(REQUEST) for _ in range(3)]
    await server.servicer.gate.holds(3)
    await failure_of(server.prompts.Render(REQUEST))
    server.servicer.gate.open()
    await asyncio.gather(*calls)


ENDINGS = [
    *(succeed, fail, find_a_fault, send_garbage, send_nothing, leave),
    *(pass_the_deadline, abandon_a_stream, refuse),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
async def test_room_is_made_again_however_a_call_ends(server: Edge, ending: Any) -> None:
    """More often than there are slots; afterwards all of them can be used at once."""
    before = await running()
    for _ in range(5):
        server.servicer.error = None
        server.servicer.gate.open()
        ended = len(server.observer.ended)
        await asyncio.wait_for(ending(server), SECONDS)
        await server.observer.has_ended(ended + 1)
        # A client has its answer a moment before the call's task ends, with which the slot is free.
        assert {} == await left_over(before, SECONDS)
    server.servicer.error = None
    server.servicer.gate.close()
    calls = [server.prompts.Render(REQUEST) for _ in range(3)]
    await server.servicer.gate.holds(3)
    server.servicer.gate.open()
    await asyncio.gather(*calls)


class HeldGenerator:
    """A generator that holds who resolves a bundle at a gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def held(self, *_: object) -> None:
        """Have nothing at hand."""

    async def resolve(self, *_: object) -> object:
        """Wait."""
        await self._gate.go_through()
        raise PreconditionError(ErrorReason.PROMPT_TOO_LARGE, "less")


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_health_and_reflection_are_exempt(migrated_database_url: str) -> None:
    """Who looks after a server that is full must not take it for dead."""
    gate = Gate()
    gate.close()
    async with live_server(migrated_database_url, max_in_flight="1") as server:
        app = replace(server.application, generator=lambda _: cast(PromptGenerator, HeldGenerator(gate)))
        async with served(server.settings, app) as live:
            request = pb.RenderRequest(bundle=version_ref(), payload=payload())
            held = live.prompts.Render(request)
            await gate.holds(1)
            failure = await failure_of(live.prompts.Render(request))
            health: Any = health_pb2_grpc.HealthStub
            answer = await health(live.channel).Check(health_pb2.HealthCheckRequest())
            reflect: Any = live.channel.stream_stream(
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                reflection_pb2.ServerReflectionRequest.SerializeToString,
                reflection_pb2.ServerReflectionResponse.FromString,
            )
            listed = [
                item
                async for item in reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
            ]
            gate.open()
            assert "PROMPT_TOO_LARGE" == (await failure_of(held)).reason
    assert (of_process(1), health_pb2.HealthCheckResponse.SERVING, 1) == (
        told(failure),
        answer.status,
        len(listed),
    )
