"""The server around its services: health, reflection, its port, and what it does not know."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import prompt_service_pb2_grpc
from pecia_service.server.app import PeciaServer
from pecia_service.server.listening import ListenError
from support.server import LiveServer, live_server
from support.wire import inline_bundle, payload

SECONDS = 30.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ["pecia.v1.PromptService", "pecia.v1.RegistryService"]
REFLECTIONS = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
REQUEST = pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """Give a server on an empty SQLite file."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as live:
        yield live


def health(server: LiveServer) -> Any:
    """Return a stub of the health service."""
    stub: Any = health_pb2_grpc.HealthStub
    return stub(server.channel)


async def reflect(server: LiveServer, service: str, **fields: Any) -> reflection_pb2.ServerReflectionResponse:
    """Ask the reflection service one question."""
    method: Any = server.channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    (answer,) = [item async for item in method(iter([reflection_pb2.ServerReflectionRequest(**fields)]))]
    assert isinstance(answer, reflection_pb2.ServerReflectionResponse)
    return answer


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_a_server_is_healthy(server: LiveServer, service: str) -> None:
    """As a whole, and each service of the contract."""
    answer = await health(server).Check(health_pb2.HealthCheckRequest(service=service))
    assert SERVING == answer.status


async def test_the_health_of_a_service_that_is_not_there_is_not_found(server: LiveServer) -> None:
    """As the health protocol wants it."""
    with pytest.raises(aio.AioRpcError) as caught:
        await health(server).Check(health_pb2.HealthCheckRequest(service="pecia.v1.Nobody"))
    assert grpc.StatusCode.NOT_FOUND == caught.value.code()


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_who_watches_learns_that_a_server_stops(server: LiveServer, service: str) -> None:
    """The status turns while the server still answers what is under way."""
    watch = health(server).Watch(health_pb2.HealthCheckRequest(service=service))
    before = await watch.read()
    stopping = asyncio.create_task(server.server.stop())
    after = await watch.read()
    watch.cancel()
    await asyncio.wait_for(stopping, SECONDS)
    assert (SERVING, NOT_SERVING) == (before.status, after.status)


@pytest.mark.parametrize("service", ["", *SERVICES, "pecia.v1.Nobody"])
async def test_who_watches_does_not_keep_a_server_from_stopping(tmp_path: Path, service: str) -> None:
    """The watch ends with the last status, where gRPC would wait for it as long as the grace is."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}", shutdown_grace=str(2 * SECONDS)) as server:
        watch = health(server).Watch(health_pb2.HealthCheckRequest(service=service))
        statuses = [(await watch.read()).status]
        await asyncio.wait_for(server.server.stop(), SECONDS)
        while (answer := await watch.read()) is not aio.EOF:
            statuses.append(answer.status)
        code = await watch.code()
    unknown = [health_pb2.HealthCheckResponse.SERVICE_UNKNOWN]
    assert (unknown if service == "pecia.v1.Nobody" else [SERVING, NOT_SERVING]) == statuses
    assert grpc.StatusCode.OK == code


@pytest.mark.parametrize("reflection", REFLECTIONS)
async def test_reflection_lists_the_services(server: LiveServer, reflection: str) -> None:
    """In both versions of its protocol."""
    answer = await reflect(server, reflection, list_services="")
    listed = {service.name for service in answer.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health"} <= listed


@pytest.mark.parametrize("reflection", REFLECTIONS)
@pytest.mark.parametrize(
    "symbol",
    [
        "pecia.v1.PromptService",
        "pecia.v1.PromptService.Render",
        "pecia.v1.RenderRequest",
        "pecia.v1.RenderRequest.payload",
    ],
)
async def test_reflection_describes_a_service(server: LiveServer, reflection: str, symbol: str) -> None:
    """The file is given with all that it imports, so that a tool can call the service."""
    answer = await reflect(server, reflection, file_containing_symbol=symbol)
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert "pecia/v1/prompt_service.proto" == files[0].name
    assert ["Render", "RenderBatch"] == [method.name for method in files[0].service[0].method[:2]]


@pytest.mark.parametrize("symbol", ["pecia.v1.Nobody", "pecia.v1.PromptService.Nothing"])
async def test_reflection_does_not_know_what_is_not_there(server: LiveServer, symbol: str) -> None:
    """A name of nothing is an error of the protocol, and the stream goes on."""
    answer = await reflect(server, REFLECTIONS[0], file_containing_symbol=symbol)
    assert grpc.StatusCode.NOT_FOUND.value[0] == answer.error_response.error_code


async def test_reflection_can_be_switched_off(tmp_path: Path) -> None:
    """The setting takes both versions away."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}", reflection="false") as server:
        for reflection in REFLECTIONS:
            with pytest.raises(aio.AioRpcError) as caught:
                await reflect(server, reflection, list_services="")
            assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()


@pytest.mark.parametrize("method", ["/pecia.v1.PromptService/Nothing", "/pecia.v2.PromptService/Render"])
async def test_a_method_that_is_not_there_is_unimplemented(server: LiveServer, method: str) -> None:
    """Also below the contract's own names."""
    call: Any = server.channel.unary_unary(method)
    with pytest.raises(aio.AioRpcError) as caught:
        await call(b"")
    assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()


async def test_a_port_that_is_taken_is_an_error(server: LiveServer) -> None:
    """A second server does not share it silently."""
    settings = replace(server.settings, listen=server.target)
    with pytest.raises(ListenError, match=f"{server.target}: the port is taken; choose another"):
        await PeciaServer(settings, server.application).start()


async def test_a_port_that_is_taken_on_one_address_of_a_name_is_an_error(server: LiveServer) -> None:
    """Who connects to the name must not meet another server."""
    listen = f"localhost:{server.target.partition(':')[2]}"
    with pytest.raises(ListenError, match=f"{listen}: the port is taken; choose another"):
        await PeciaServer(replace(server.settings, listen=listen), server.application).start()


async def test_an_address_of_another_machine_is_an_error(server: LiveServer) -> None:
    """It says which of the two is wrong: here it isn't the port."""
    settings = replace(server.settings, listen="192.0.2.1:0")
    with pytest.raises(
        ListenError, match=r"192\.0\.2\.1:0: the address is not this machine's; choose another"
    ):
        await PeciaServer(settings, server.application).start()


async def test_a_port_is_free_again_when_its_server_has_stopped(server: LiveServer) -> None:
    """A restart finds the address."""
    await server.server.stop()
    again = PeciaServer(replace(server.settings, listen=server.target), server.application)
    assert server.target == f"127.0.0.1:{await again.start()}"
    await again.stop()


async def test_ipv6_loopback_can_be_listened_on(server: LiveServer) -> None:
    """An address in brackets."""
    other = PeciaServer(replace(server.settings, listen="[::1]:0"), server.application)
    port = await other.start()
    async with aio.insecure_channel(f"[::1]:{port}") as channel:
        answer = await prompt_service_pb2_grpc.PromptServiceStub(channel).Render(REQUEST)
    await other.stop()
    assert "You are Juna. {}" == answer.parts[0].text


async def test_what_outlives_the_grace_is_ended(tmp_path: Path) -> None:
    """A stream that a client keeps open does not keep a server from stopping."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}", shutdown_grace="0") as server:
        call = server.prompts.RenderStream()
        await call.write(pb.RenderStreamRequest(correlation_id="1", request=REQUEST))
        assert isinstance(await call.read(), pb.RenderStreamResponse)
        await asyncio.wait_for(server.server.stop(), SECONDS)
        code = await call.code()
    assert code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
