"""Taking several calls at a time: what is asked of gRPC's core, and what a stop does to calls that came."""

import asyncio
import gc
import logging
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
import pytest
from grpc import aio
from grpc_channelz.v1 import _servicer, channelz_pb2
from pecia_service.server.accepting import make_server
from support.spools import run_python

SERVICE, METHOD = "test.Echo", "Call"
PATH = f"/{SERVICE}/{METHOD}"
SECONDS = 30.0

NEVER_STOPPED = """
import asyncio
from pecia_service.server.accepting import make_server

async def start():
    server = make_server(interceptors=(), options=(), at_once=4)
    await server.start()
    await asyncio.sleep(0)
    return server

server = asyncio.run(start())
"""

Handler = Callable[[bytes, object], Awaitable[bytes]]


async def echo(request: bytes, _context: object) -> bytes:
    """Answer what was asked."""
    return request


def handlers(handler: Handler) -> dict[str, Any]:
    """Return the one method of the service."""
    return {METHOD: grpc.unary_unary_rpc_method_handler(cast("Any", handler))}


@asynccontextmanager
async def serving(at_once: int, handler: Handler = echo) -> AsyncIterator[tuple[aio.Server, str]]:
    """Serve on a free port; the server's own counts of calls are on."""
    server = make_server(interceptors=(), options=[("grpc.enable_channelz", 1)], at_once=at_once)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers(handler)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def questions() -> int:
    """Count what asks the core for a call."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return sum(name.endswith("._request_call") for name in names)


def calls_of_servers() -> int:
    """Count the calls that have come to the servers of this process."""
    servers = _servicer.ChannelzServicer.GetServers(channelz_pb2.GetServersRequest(), None).server
    return sum(server.data.calls_started for server in servers)


def hold_until(calls: int) -> None:
    """Hold the event loop, which is to see none of them, until so many calls have come to servers."""
    until = time.monotonic() + SECONDS
    while calls_of_servers() < calls and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.parametrize("at_once", [1, 2, 16])
async def test_so_many_calls_are_asked_for_at_a_time(at_once: int) -> None:
    """Before any has come, and again when some have been answered."""
    async with serving(at_once) as (_, target), aio.insecure_channel(target) as channel:
        await asyncio.sleep(0)
        before = questions()
        call: Any = channel.unary_unary(PATH)
        assert [b"one", b"two"] == [await call(b"one"), await call(b"two")]
        assert [at_once] * 2 == [before, questions()]


@pytest.mark.parametrize("at_once", [1, 2, 16])
async def test_each_of_many_calls_is_answered(at_once: int) -> None:
    """More than are taken at a time, over several connections."""
    asked = [str(number).encode() for number in range(200)]
    async with serving(at_once) as (_, target):
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [aio.insecure_channel(target, options=options) for _ in range(4)]
        stubs: list[Any] = [channel.unary_unary(PATH) for channel in channels]
        calls = [stubs[number % 4](each, timeout=SECONDS) for number, each in enumerate(asked)]
        answered = await asyncio.gather(*calls)
        for channel in channels:
            await channel.close()
    assert asked == list(answered)


async def test_methods_that_are_registered_are_served_too() -> None:
    """For each of them one call is asked for, by gRPC's own way."""
    server = make_server(interceptors=(), options=(), at_once=8)
    server.add_registered_method_handlers(SERVICE, handlers(echo))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(PATH)
        answers = [await call(b"one"), await call(b"two")]
    await server.stop(0)
    assert [b"one", b"two"] == answers


@pytest.mark.parametrize("at_once", [2, 8])
async def test_calls_that_came_before_a_stop_are_answered(at_once: int) -> None:
    """As many as were asked for, though the loop has seen none of them when the stop begins."""
    came: list[Any] = []
    stops: list[asyncio.Task[None]] = []

    async def first(request: bytes, _context: object) -> bytes:
        """Hold the event loop until others have come, and stop."""
        if request == b"first":
            already = calls_of_servers()
            came.extend(call.future(b"other", timeout=SECONDS) for _ in range(at_once))
            hold_until(already + at_once)
            stops.append(asyncio.create_task(server.stop(SECONDS)))
        return request

    async with serving(at_once, first) as (server, target):
        with grpc.insecure_channel(target) as channel:
            call: Any = channel.unary_unary(PATH)
            begun = call.future(b"first", timeout=SECONDS)
            answered = [await asyncio.to_thread(begun.result)]
            answered += [await asyncio.to_thread(other.result) for other in came]
            await stops[0]
    assert [b"first", *[b"other"] * at_once] == answered


async def test_a_stop_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a task nor a complaint of questions that failed, if several ask for the stop."""
    before = asyncio.all_tasks()
    async with serving(16) as (server, _):
        await asyncio.gather(server.stop(None), server.stop(0.1))
        await server.stop(0)
    await asyncio.sleep(0)
    assert before == asyncio.all_tasks()
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_stop_that_is_cancelled_can_be_asked_for_again() -> None:
    """The calls under way have their time until then."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, _context: object) -> bytes:
        asked.set()
        await answer.wait()
        return request

    async with serving(4, wait) as (server, target), aio.insecure_channel(target) as channel:
        stub: Any = channel.unary_unary(PATH)
        call = stub(b"waits", timeout=SECONDS)
        await asked.wait()
        stop = asyncio.create_task(server.stop(SECONDS))
        await asyncio.sleep(0)
        stop.cancel()
        await asyncio.wait({stop})
        again = asyncio.create_task(server.stop(SECONDS))
        answer.set()
        assert b"waits" == await call
        await again


async def test_a_loop_that_fails_ends_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """As it does in grpc.aio: who waits for the server is told why."""
    server: Any = make_server(interceptors=(), options=(), at_once=4)
    await server.start()
    await asyncio.sleep(0)
    server._server._taker.set_exception(RuntimeError("the loop fails"))
    with pytest.raises(RuntimeError, match="the loop fails"):
        await asyncio.wait_for(server.wait_for_termination(), SECONDS)
    await asyncio.wait_for(server.stop(0), SECONDS)
    del server
    gc.collect()
    assert ("the loop fails" in caplog.text, "RequestCallError" in caplog.text) == (True, False)


async def test_a_loop_that_fails_leaves_no_call_waiting() -> None:
    """Calls that came and were never begun end at once, and not by their own deadlines."""
    async with serving(8) as (running, target):
        server: Any = running
        with grpc.insecure_channel(target) as channel:
            call: Any = channel.unary_unary(PATH)
            # Connected, the next calls come while the loop is held.
            await asyncio.to_thread(call.future(b"first", timeout=SECONDS).result)
            already = calls_of_servers()
            calls = [call.future(b"other", timeout=10 * SECONDS) for _ in range(4)]
            hold_until(already + 4)
            server._server._taker.set_exception(RuntimeError("the loop fails"))
            with pytest.raises(RuntimeError, match="the loop fails"):
                await asyncio.wait_for(server.wait_for_termination(), SECONDS)
            codes = {await asyncio.to_thread(other.code) for other in calls}
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_a_server_that_is_never_stopped_ends_with_its_event_loop() -> None:
    """Its process says as with gRPC's own way that it was not stopped, and nothing of the questions."""
    process = run_python(NEVER_STOPPED, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=SECONDS)
    assert (True, False) == ("shutdown' was never awaited" in said, "Task" in said)
