"""How a stream of renders ended is told as the server said it, whatever grpc.aio makes of a failed write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc import aio
from pecia.v1.prompt_service_pb2 import RenderRequest, RenderStreamRequest, RenderStreamResponse
from pecia.v1.prompt_service_pb2_grpc import PromptServiceServicer, add_PromptServiceServicer_to_server
from pecia_client import AsyncClient, PeciaError, payload_from_mapping, render_request
from support.drivers import AsyncDriver, BlockingDriver
from support.edge import SECONDS, Edge, KnownCallers, edge
from support.scripted_peer import Refusal, ScriptedPeer, serve

PAYLOAD: dict[str, object] = {"semantic_traits": {}, "activity_level": 0, "stress": 0, "task": "x" * 4000}
REQUEST = render_request("b@1.0.0", payload=payload_from_mapping(PAYLOAD))
ROUNDS = 25


def pairs() -> Iterator[tuple[str, RenderRequest]]:
    """Give far more than a server reads of a stream that it refuses."""
    return ((str(number), REQUEST) for number in range(5000))


async def ended(client: AsyncClient) -> PeciaError:
    """Stream until the server ends it, and return why it did."""
    with pytest.raises(PeciaError) as caught:
        async for _ in client.render_stream(pairs()):
            pass
    return caught.value


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"),
        (grpc.StatusCode.INTERNAL, "INTERNAL_FAULT"),
        (grpc.StatusCode.INTERNAL, ""),
    ],
)
async def test_a_refusal_while_writing_keeps_its_reason(code: grpc.StatusCode, reason: str) -> None:
    """Every time, with code, message and details, whichever of write and status was first."""
    details = [error_details_pb2.ErrorInfo(domain="pecia", reason=reason)] if reason else []
    peer = ScriptedPeer(script=[Refusal(code, "not you", details)] * ROUNDS)  # type: ignore[abstract]  # the generated base answers the rest
    server, target = await serve(peer)
    async with AsyncClient(target) as client:
        errors = [await ended(client) for _ in range(ROUNDS)]
    await server.stop(None)
    assert {(code, "not you", reason)} == {(error.code, error.message, error.reason) for error in errors}


async def test_a_stranger_who_writes_learns_what_is_missing() -> None:
    """The real edge refuses a stream before it reads any of it."""
    async with edge(KnownCallers()) as server, AsyncClient(server.target) as client:
        errors = [await ended(client) for _ in range(ROUNDS)]
    assert {(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")} == {
        (error.code, error.reason) for error in errors
    }


async def test_a_server_that_stops_says_so_to_who_writes() -> None:
    """What was answered arrives, and then the reason with its delay."""
    seen: list[str] = []
    stopped: list[asyncio.Task[None]] = []

    async def read(server: Edge, client: AsyncClient) -> None:
        async for answer in client.render_stream(pairs()):
            seen.append(answer.correlation_id)
            if len(seen) == 1:
                server.interceptor.stop()
                stopped.append(asyncio.create_task(server.server.stop(SECONDS)))

    async with edge() as server, AsyncClient(server.target) as client:
        with pytest.raises(PeciaError) as caught:
            await read(server, client)
        await asyncio.gather(*stopped)
    error = caught.value
    expected = (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING", 0.1)
    assert expected == (error.code, error.reason, error.retry_after)
    assert [str(number) for number in range(len(seen))] == sorted(seen, key=int)


class Sated(PromptServiceServicer):
    """Answers the first request of a stream and ends it in good order, whatever else is sent."""

    async def RenderStream(  # noqa: N802 - the name of the RPC
        self,
        request_iterator: AsyncIterator[RenderStreamRequest],
        context: aio.ServicerContext[Message, Message],
    ) -> AsyncIterator[RenderStreamResponse]:
        """Answer once."""
        async for request in request_iterator:
            yield RenderStreamResponse(correlation_id=request.correlation_id)
            return


@pytest.mark.parametrize("driver_type", [AsyncDriver, BlockingDriver])
async def test_a_stream_that_ends_well_without_all_answers_is_an_error(
    driver_type: type[AsyncDriver | BlockingDriver],
) -> None:
    """Nobody must take a part for the whole, also when the status is OK."""
    server = aio.server()
    add_PromptServiceServicer_to_server(Sated(), server)  # type: ignore[abstract]  # the generated base answers the rest
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    driver = driver_type(target)
    for _ in range(ROUNDS):
        with pytest.raises(PeciaError, match=r"UNAVAILABLE: the stream ended before .* send those again"):
            await driver.collect("render_stream", pairs())
    await driver.close()
    await server.stop(None)


async def test_a_stream_ends_well_when_all_is_answered() -> None:
    """Also with no requests at all."""
    async with edge() as server, AsyncClient(server.target) as client:
        seen = [answer.correlation_id async for answer in client.render_stream(islice(pairs(), 3))]
        none = [answer async for answer in client.render_stream([])]
    assert (["0", "1", "2"], []) == (seen, none)
