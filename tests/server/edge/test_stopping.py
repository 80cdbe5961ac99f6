"""A server that stops finishes what it was asked, and asks for no more."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from support.edge import SECONDS, Edge, edge
from support.statuses import read_failure

METHOD = "/pecia.v1.PromptService/RenderStream"


@pytest.fixture
async def server() -> AsyncIterator[Edge]:
    """Give a server."""
    async with edge() as live:
        yield live


def stop(server: Edge) -> "asyncio.Task[None]":
    """Do as `PeciaServer.stop` does, with a long grace."""
    server.interceptor.stop()
    return asyncio.create_task(server.server.stop(SECONDS))


def message(number: int) -> pb.RenderStreamRequest:
    """Make a message of a stream."""
    return pb.RenderStreamRequest(correlation_id=str(number))


async def test_an_idle_stream_is_told_that_the_server_stops(server: Edge) -> None:
    """With a reason that says what to do, and long before the grace is over."""
    call = server.prompts.RenderStream()
    await call.write(message(1))
    await call.read()
    stopped = stop(server)
    with pytest.raises(aio.AioRpcError) as caught:
        await call.read()
    failure = read_failure(caught.value)
    assert (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING") == (failure.code, failure.reason)
    assert ({"method": METHOD}, 0.1) == (failure.metadata, failure.retry_after)
    await asyncio.wait_for(stopped, SECONDS / 2)


async def test_what_a_stream_was_asked_is_answered(server: Edge) -> None:
    """The answer comes before the reason; what is sent afterwards is not read."""
    server.servicer.gate.close()
    call = server.prompts.RenderStream()
    await call.write(message(1))
    await server.servicer.gate.holds(1)
    stopped = stop(server)
    await call.write(message(2))
    server.servicer.gate.open()
    answer = await call.read()
    with pytest.raises(aio.AioRpcError) as caught:
        await call.read()
    assert isinstance(answer, pb.RenderStreamResponse)
    assert ("1", "SERVER_STOPPING") == (answer.correlation_id, read_failure(caught.value).reason)
    await asyncio.wait_for(stopped, SECONDS / 2)


async def test_a_stream_whose_client_has_sent_everything_ends_in_order(server: Edge) -> None:
    """It was accepted whole, so that it succeeds."""
    server.servicer.gate.close()
    call = server.prompts.RenderStream(iter([message(1)]))
    await server.servicer.gate.holds(1)
    stopped = stop(server)
    server.servicer.gate.open()
    answers = [answer.correlation_id async for answer in call]
    assert (["1"], grpc.StatusCode.OK) == (answers, await call.code())
    await asyncio.wait_for(stopped, SECONDS / 2)


async def test_single_calls_and_answers_in_parts_run_on(server: Edge) -> None:
    """They end by themselves, and succeed within the grace."""
    server.servicer.gate.close()
    render = server.prompts.Render(pb.RenderRequest())
    verify = server.prompts.VerifyAudit(pb.VerifyAuditRequest())
    await server.servicer.gate.holds(2)
    stopped = stop(server)
    server.servicer.gate.open()
    assert pb.RenderResponse() == await render
    assert [pb.VerifyAuditResponse()] == [answer async for answer in verify]
    await asyncio.wait_for(stopped, SECONDS / 2)


async def test_a_new_call_is_refused(server: Edge) -> None:
    """While the old ones are finished."""
    server.servicer.gate.close()
    held = server.prompts.Render(pb.RenderRequest())
    await server.servicer.gate.holds(1)
    stopped = stop(server)
    with pytest.raises(aio.AioRpcError) as caught:
        await server.prompts.Render(pb.RenderRequest(), timeout=0.2)
    # gRPC cancels what reaches it while it says goodbye; what it never hands over has no other end.
    refusals = {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
    assert caught.value.code() in refusals
    assert ["/pecia.v1.PromptService/Render"] == server.observer.begun
    server.servicer.gate.open()
    await held
    await asyncio.wait_for(stopped, SECONDS / 2)


async def test_what_outlives_the_grace_is_ended(server: Edge) -> None:
    """A call that takes too long is cut off, and its work stops."""
    server.servicer.gate.close()
    call = server.prompts.Render(pb.RenderRequest())
    await server.servicer.gate.holds(1)
    server.interceptor.stop()
    await asyncio.wait_for(server.server.stop(0), SECONDS)
    assert await call.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    await server.servicer.gate.holds(0)


async def test_a_stream_that_is_cancelled_while_the_server_stops_is_cancelled(server: Edge) -> None:
    """Who leaves in the same moment is not answered."""
    call = server.prompts.RenderStream()
    await call.write(message(1))
    await call.read()
    call.cancel()
    stopped = stop(server)
    await asyncio.wait_for(stopped, SECONDS / 2)
    await server.observer.has_ended(1)
    assert server.observer.ended[0][1] in {"CANCELLED", "UNAVAILABLE"}
