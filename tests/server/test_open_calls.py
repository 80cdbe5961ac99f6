"""What a server holds for calls that need no credential: health and reflection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from pecia_service.server.interceptors.open_calls import MAX_REQUEST_BYTES, MAX_WAITING
from support.server import LiveServer, live_server
from support.statuses import Failure, read_failure

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
SECONDS = 20.0


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server that wants credentials for everything else."""
    async with live_server(
        migrated_database_url, authentication="required", shutdown_grace=str(2 * SECONDS)
    ) as live:
        yield live


def opened(server: LiveServer, method: str) -> Any:
    """Begin a call, and send nothing."""
    if method == CHECK:
        return server.channel.stream_unary(method)()
    return server.channel.stream_stream(method)()


async def sent(server: LiveServer, method: str, message: bytes) -> Failure:
    """Send a message, and return how the call fails."""
    call = opened(server, method)
    await call.write(message)
    await call.done_writing()
    with pytest.raises(aio.AioRpcError) as raised:
        await (call if method == CHECK else call.read())
    return read_failure(raised.value)


@pytest.mark.parametrize("method", [CHECK, WATCH, REFLECT])
async def test_who_sends_nothing_gives_way(server: LiveServer, method: str) -> None:
    """One call of those that wait ends for each that comes when there are as many as may wait."""
    calls = [opened(server, method) for _ in range(MAX_WAITING + 1)]
    ends = [asyncio.create_task(call.code()) for call in calls]
    done, waiting = await asyncio.wait(ends, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    stub: Any = health_pb2_grpc.HealthStub
    answer = await stub(server.channel).Check(health_pb2.HealthCheckRequest())
    for call in calls:
        call.cancel()
    await asyncio.gather(*waiting)
    assert [end.result() for end in done] == [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method", [CHECK, WATCH, REFLECT])
async def test_a_large_request_is_refused(server: LiveServer, method: str) -> None:
    """Nothing keeps a name that no service has."""
    message = health_pb2.HealthCheckRequest(service="x" * MAX_REQUEST_BYTES).SerializeToString()
    failure = await sent(server, method, message)
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED")


@pytest.mark.parametrize("method", [CHECK, WATCH, REFLECT])
async def test_bytes_that_are_no_request_are_the_clients_fault(server: LiveServer, method: str) -> None:
    """They are no fault of the server."""
    failure = await sent(server, method, b"\xff" * 8)
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED")


@pytest.mark.parametrize("method", [CHECK, WATCH])
async def test_a_call_without_a_message_is_refused(server: LiveServer, method: str) -> None:
    """A client that ended its stream is not waited for."""
    call = opened(server, method)
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_open_reflection_stream_does_not_hold_up_a_stop(server: LiveServer) -> None:
    """It ends at once, not with the grace."""
    call: Any = server.channel.stream_stream(
        REFLECT,
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    await call.read()
    async with asyncio.timeout(SECONDS):
        await server.server.stop()
    assert await call.code() is grpc.StatusCode.UNAVAILABLE
