"""Calls end: with their client, with its deadline, or with the server's own when it sets none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import label_events
from sqlalchemy import select
from support.edge import SECONDS, Edge, edge
from support.server import live_server
from support.statuses import read_failure
from support.wire import publish

SHORT = "0.1"


@pytest.fixture
async def server() -> AsyncIterator[Edge]:
    """Give a server with short default deadlines, whose gate is closed."""
    async with edge(default_deadline=SHORT, default_stream_deadline="0.2") as live:
        live.servicer.gate.close()
        yield live


async def read_to_its_end(call: Any) -> None:
    """Read all answers, and leave when this task is cancelled.

    grpc.aio itself does not leave when the task is cancelled between its request's having gone out and its
    next step.
    """
    try:
        async for _ in call:
            pass
    finally:
        call.cancel()


async def render(server: Edge, seconds: float | None = None) -> None:
    """Call a method with one answer."""
    await server.prompts.Render(pb.RenderRequest(), timeout=seconds)


async def verify(server: Edge, seconds: float | None = None) -> None:
    """Call a method with several answers."""
    await read_to_its_end(server.prompts.VerifyAudit(pb.VerifyAuditRequest(), timeout=seconds))


async def stream(server: Edge, seconds: float | None = None) -> None:
    """Call a method that takes several messages, and send one."""
    await read_to_its_end(server.prompts.RenderStream(iter([pb.RenderStreamRequest()]), timeout=seconds))


async def upload(server: Edge, seconds: float | None = None) -> None:
    """Open a call with one answer, and never send its message."""
    method: Any = server.channel.stream_stream("/pecia.v1.PromptService/Render")
    await method(timeout=seconds).read()


async def idle(server: Edge, seconds: float | None = None) -> None:
    """Open a stream, and send nothing."""
    await server.prompts.RenderStream(timeout=seconds).read()


ONE = {"seconds": "0.1", "setting": "PECIA_DEFAULT_DEADLINE"}
SEVERAL = {"seconds": "0.2", "setting": "PECIA_DEFAULT_STREAM_DEADLINE"}


@pytest.mark.parametrize(
    ("call", "metadata"),
    [(render, ONE), (verify, SEVERAL), (stream, SEVERAL), (upload, ONE), (idle, SEVERAL)],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_call_without_a_deadline_gets_one(server: Edge, call: Any, metadata: dict[str, str]) -> None:
    """It ends with a reason of its own, and so does the work: nothing is left at the gate."""
    with pytest.raises(aio.AioRpcError) as caught:
        await asyncio.wait_for(call(server), SECONDS)
    failure = read_failure(caught.value)
    assert (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED") == (failure.code, failure.reason)
    assert (metadata, None) == (failure.metadata, failure.retry_after)
    assert 0 == server.servicer.gate.waiting


@pytest.mark.parametrize("call", [render, verify, stream, upload, idle])
async def test_the_client_s_own_deadline_counts(server: Edge, call: Any) -> None:
    """A client that gives a call more time than the server's default has it; then the work stops."""
    # Without a connection the call's own time would be for making one too.
    await server.channel.channel_ready()
    with pytest.raises(aio.AioRpcError) as caught:
        await call(server, 2)
    await server.observer.has_ended(1)
    assert (grpc.StatusCode.DEADLINE_EXCEEDED, False) == (
        caught.value.code(),
        "grpc-status-details-bin" in dict(caught.value.trailing_metadata() or ()),
    )
    # To a server that waits for the next message, gRPC may show the end of the stream first.
    ends = {"CANCELLED", "OK"} if call is idle else {"CANCELLED"}
    assert server.observer.ended[0][1] in ends
    assert 0 == server.servicer.gate.waiting


@pytest.mark.parametrize("call", [render, verify, stream])
async def test_work_stops_when_the_client_leaves(call: Any) -> None:
    """At once, and not at the deadline."""
    async with edge() as server:
        server.servicer.gate.close()
        task = asyncio.create_task(call(server))
        await server.servicer.gate.holds(1)
        task.cancel()
        await asyncio.wait({task})
        await server.servicer.gate.holds(0)
        await server.observer.has_ended(1)
        assert (1, "CANCELLED") == (server.servicer.gate.cancelled, server.observer.ended[0][1])


async def test_a_stream_that_nobody_reads_stops_when_its_client_leaves() -> None:
    """A servicer that waits for room to answer is told as well."""
    async with edge() as server:
        server.servicer.answers = 10_000_000
        call = server.prompts.VerifyAudit(pb.VerifyAuditRequest())
        await call.read()
        call.cancel()
        await server.observer.has_ended(1)
        assert [("VerifyAudit", "CANCELLED")] == server.observer.ended


async def test_a_commit_under_way_is_not_torn(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client leaves in the middle of a write: the label has moved, and its history tells it."""
    begun, proceed, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    written = Database.write

    async def write(self: Database, work: Any) -> Any:
        async def held(connection: Any) -> Any:
            result = await work(connection)
            begun.set()
            await proceed.wait()
            return result

        try:
            return await written(self, held)
        finally:
            done.set()

    async with live_server(migrated_database_url) as server:
        await publish(server.registry)
        monkeypatch.setattr(Database, "write", write)
        request = registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0")
        call = server.registry.SetLabel(request)
        await asyncio.wait_for(begun.wait(), SECONDS)
        call.cancel()
        monkeypatch.undo()
        proceed.set()
        await asyncio.wait_for(done.wait(), SECONDS)
        labels = await server.registry.ListLabels(registry_pb.ListLabelsRequest(bundle_id="companion"))
        events = await server.application.database.fetch(select(label_events.c.label))
    assert (1, 1) == (len(labels.labels), len(events))
