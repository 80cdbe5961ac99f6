"""What connections may do, and how long they live."""

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_channelz.v1 import channelz_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.server.options import server_options
from pecia_service.settings import Settings
from support.edge import SECONDS, captured, edge
from support.server import live_server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
ACK = 1
ENHANCE_YOUR_CALM = 11


def frame(kind: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Write a frame of HTTP/2 for the whole connection."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + bytes(4) + payload


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    """Yield kind and payload of each frame until the connection ends."""
    while True:
        try:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return
        yield head[3], payload


async def connect(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection as a client of HTTP/2 does."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREFACE + frame(SETTINGS))
    return reader, writer


async def goaway_of(reader: asyncio.StreamReader) -> int:
    """Return the error code with which the server ends the connection."""
    async with asyncio.timeout(SECONDS):
        async for kind, payload in frames(reader):
            if kind == GOAWAY:
                return int.from_bytes(payload[4:8], "big")
    raise AssertionError("the connection ended without a word")


async def test_a_client_is_asked_to_connect_anew() -> None:
    """When its connection is old; the end is an orderly one, and calls under way are finished."""
    async with edge(connection_age="0.2") as server:
        reader, writer = await connect(server.target)
        server.servicer.gate.close()
        call = server.prompts.Render(pb.RenderRequest())
        await server.servicer.gate.holds(1)
        assert 0 == await goaway_of(reader)
        server.servicer.gate.open()
        assert pb.RenderResponse() == await call
        writer.close()


async def test_an_old_connection_is_closed_after_its_grace() -> None:
    """What does not end by itself keeps a connection no longer than that."""
    async with edge(connection_age="0.1", connection_age_grace="1") as server:
        server.servicer.gate.close()
        call = server.prompts.Render(pb.RenderRequest())
        assert grpc.StatusCode.UNAVAILABLE is await asyncio.wait_for(call.code(), SECONDS)
        await server.servicer.gate.holds(0)


async def test_a_client_that_pings_too_often_is_disconnected() -> None:
    """It learns why."""
    async with edge(keepalive_min_ping="60") as server:
        reader, writer = await connect(server.target)
        codes: list[int] = []
        writer.write(frame(PING, bytes(8)))
        async with asyncio.timeout(SECONDS):
            async for kind, payload in frames(reader):
                if kind == GOAWAY:
                    codes.append(int.from_bytes(payload[4:8], "big"))
                elif kind == PING:
                    writer.write(frame(PING, bytes(8)))
        writer.close()
    assert [ENHANCE_YOUR_CALM] == codes


async def test_a_client_may_ping_as_often_as_is_set() -> None:
    """Every ping is answered, also without any call."""
    async with edge(keepalive_min_ping="0") as server:
        reader, writer = await connect(server.target)
        for number in range(10):
            writer.write(frame(PING, bytes([number] * 8)))
        answers = []
        async with asyncio.timeout(SECONDS):
            async for kind, payload in frames(reader):
                assert kind != GOAWAY
                answers += [payload[0]] if kind == PING else []
                if len(answers) == 10:
                    break
        writer.close()
    assert list(range(10)) == answers


async def test_the_server_asks_whether_a_silent_client_is_there() -> None:
    """One that does not answer is disconnected, also when it has no call."""
    async with edge(keepalive_seconds="1", keepalive_timeout="1") as server:
        reader, writer = await connect(server.target)
        async with asyncio.timeout(SECONDS):
            kinds = [kind async for kind, _ in frames(reader)]
        writer.close()
    assert PING in kinds


async def test_a_process_keeps_so_many_connections() -> None:
    """One more is closed at once, and those that were there go on."""
    async with edge(max_connections="2") as server:
        await server.prompts.Render(pb.RenderRequest())
        first = await connect(server.target)
        assert SETTINGS == await anext(kind async for kind, _ in frames(first[0]))
        third = await connect(server.target)
        async with asyncio.timeout(SECONDS):
            assert [] == [kind async for kind, _ in frames(third[0])]
        assert pb.RenderResponse() == await server.prompts.Render(pb.RenderRequest())
        for _, writer in (first, third):
            writer.close()


async def test_a_connection_that_says_nothing_is_closed() -> None:
    """Who only takes a place loses it."""
    # Whoever does say something must be able to in that time, on any machine.
    async with edge(handshake_seconds="2") as server:
        host, _, port = server.target.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(SECONDS):
            while await reader.read(1024):
                pass
        writer.close()
        assert pb.RenderResponse() == await server.prompts.Render(pb.RenderRequest())


async def test_a_connection_has_so_many_calls_at_once() -> None:
    """A client waits with more; another connection is another matter."""
    async with edge(max_streams_per_connection="2") as server:
        server.servicer.gate.close()
        calls = [server.prompts.Render(pb.RenderRequest()) for _ in range(3)]
        await server.servicer.gate.holds(2)
        with pytest.raises(aio.AioRpcError) as caught:
            await server.prompts.Render(pb.RenderRequest(), timeout=0.2)
        assert (grpc.StatusCode.DEADLINE_EXCEEDED, 2) == (caught.value.code(), server.servicer.gate.waiting)
        server.servicer.gate.open()
        await asyncio.gather(*calls)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("switch", ["true", "false"])
async def test_channelz_is_served_where_it_is_wanted(migrated_database_url: str, switch: str) -> None:
    """It is off unless a setting says otherwise."""
    async with live_server(migrated_database_url, channelz=switch) as live:
        method: Any = live.channel.unary_unary(
            "/grpc.channelz.v1.Channelz/GetServers",
            channelz_pb2.GetServersRequest.SerializeToString,
            channelz_pb2.GetServersResponse.FromString,
        )
        if switch == "true":
            answer = await method(channelz_pb2.GetServersRequest())
            assert len(answer.server) >= 1
        else:
            with pytest.raises(aio.AioRpcError) as caught:
                await method(channelz_pb2.GetServersRequest())
            assert grpc.StatusCode.UNIMPLEMENTED is caught.value.code()


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_what_a_servicer_says_by_its_status_alone_is_counted_as_that(
    migrated_database_url: str,
) -> None:
    """Channelz neither raises nor aborts."""
    async with live_server(migrated_database_url, channelz="true") as live:
        method: Any = live.channel.unary_unary(
            "/grpc.channelz.v1.Channelz/GetServer",
            channelz_pb2.GetServerRequest.SerializeToString,
            channelz_pb2.GetServerResponse.FromString,
        )
        async with captured() as log:
            with pytest.raises(aio.AioRpcError) as caught:
                await method(channelz_pb2.GetServerRequest(server_id=2**40))
    assert grpc.StatusCode.NOT_FOUND is caught.value.code()
    assert ["NOT_FOUND"] == [line["status"] for line in log if line["event"] == "call"]


def test_an_age_of_zero_is_no_age() -> None:
    """gRPC would take it for a connection that is too old from the first moment on."""
    options = dict(server_options(Settings.load({}, {"connection_age": "0"}), share_port=False))
    assert not {"grpc.max_connection_age_ms", "grpc.max_connection_age_grace_ms"} & options.keys()


def test_a_port_is_shared_only_where_it_is_said() -> None:
    """A second server would get half of the calls silently."""
    settings = Settings.load({})
    shared = [
        dict(server_options(settings, share_port=share))["grpc.so_reuseport"] for share in (False, True)
    ]
    assert [0, 1] == shared
