"""Spans of the calls of a running server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import prompt_service_pb2_grpc
from pecia_service.bootstrap import application
from pecia_service.rendering.sources.database import DatabaseBundleSource
from pecia_service.server.app import PeciaServer
from pecia_service.server.monitoring.tracing import Tracing
from pecia_service.settings import Settings
from support.pages import SECONDS
from support.wire import inline_bundle, payload, version_ref

RENDER = "pecia.v1.PromptService/Render"
STREAM = "pecia.v1.PromptService/RenderStream"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SECRET = "a payload that nobody else may see"


class Spans(InMemorySpanExporter):
    """Keeps spans, and lets a test wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def export(self, spans: Any) -> Any:
        """Keep some spans."""
        result = super().export(spans)
        self._more.set()
        return result

    async def wait(self, count: int) -> list[ReadableSpan]:
        """Return the spans when there are so many."""
        async with asyncio.timeout(SECONDS):
            while len(self.get_finished_spans()) < count:
                self._more.clear()
                await self._more.wait()
        return list(self.get_finished_spans())


class Traced:
    """A server that is traced into memory."""

    def __init__(self, spans: Spans, channel: aio.Channel, server: PeciaServer) -> None:
        self.spans = spans
        self.channel = channel
        self.server = server
        self.prompts: prompt_service_pb2_grpc.PromptServiceAsyncStub
        self.prompts = prompt_service_pb2_grpc.PromptServiceStub(channel)


@asynccontextmanager
async def traced_server(folder: Path) -> AsyncIterator[Traced]:
    """Serve on an empty SQLite file."""
    settings = Settings.load(
        {},
        {
            "listen": "127.0.0.1:0",
            "database_url": f"sqlite:///{folder / 'pecia.db'}",
            "audit_spool_dir": str(folder / "spool"),
        },
    )
    spans = Spans()
    tracing = Tracing.start(SimpleSpanProcessor(spans))
    async with application(settings) as app:
        server = PeciaServer(settings, app, tracing=tracing.interceptor)
        async with aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
            try:
                yield Traced(spans, channel, server)
            finally:
                await server.stop()
    await tracing.stop(SECONDS)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Traced]:
    """Give a server that is traced."""
    async with traced_server(tmp_path) as traced:
        yield traced


async def hang(*_: object) -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


def request() -> pb.RenderRequest:
    """Ask for something that needs no published bundle, with a text that must not get out."""
    return pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload(task=SECRET))


async def test_a_call_is_a_child_of_its_clients_span(server: Traced) -> None:
    """Of the same trace, with the attributes of OpenTelemetry's conventions and no others."""
    await server.prompts.Render(request(), metadata=(("traceparent", f"00-{TRACE}-{PARENT}-01"),))
    [span] = await server.spans.wait(1)
    assert (RENDER, SpanKind.SERVER, StatusCode.UNSET) == (span.name, span.kind, span.status.status_code)
    assert span.context is not None
    assert span.parent is not None
    assert (TRACE, PARENT) == (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}")
    assert {
        "rpc.system": "grpc",
        "rpc.service": "pecia.v1.PromptService",
        "rpc.method": "Render",
        "rpc.grpc.status_code": 0,
    } == dict(span.attributes or {})
    assert "pecia" == span.resource.attributes["service.name"]


@pytest.mark.parametrize("metadata", [(), (("traceparent", "00-nonsense-01"),)])
async def test_a_call_without_a_trace_begins_one(server: Traced, metadata: Any) -> None:
    """What is no traceparent is ignored."""
    await server.prompts.Render(request(), metadata=metadata)
    [span] = await server.spans.wait(1)
    assert span.parent is None


async def test_a_call_that_its_client_may_not_make_is_the_clients_failure(server: Traced) -> None:
    """Its status is in the span, which is no error of the server."""
    with pytest.raises(aio.AioRpcError):
        await server.prompts.Render(pb.RenderRequest(bundle=version_ref("9.9.9"), payload=payload()))
    [span] = await server.spans.wait(1)
    assert (5, StatusCode.UNSET) == (
        (span.attributes or {})["rpc.grpc.status_code"],
        span.status.status_code,
    )


async def test_a_fault_is_an_error_without_its_text(server: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the exception nor its traceback leaves the process."""

    def fail(*_: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr("pecia_service.rendering.renderer.Renderer.render", fail)
    with pytest.raises(aio.AioRpcError):
        await server.prompts.Render(request())
    [span] = await server.spans.wait(1)
    assert (13, StatusCode.ERROR) == (
        (span.attributes or {})["rpc.grpc.status_code"],
        span.status.status_code,
    )
    assert [False, ()] == [SECRET in span.to_json(), tuple(span.events)]


async def test_a_stream_is_one_span(server: Traced) -> None:
    """From its beginning to its end."""
    stream = server.prompts.RenderStream()
    for number in range(3):
        await stream.write(pb.RenderStreamRequest(correlation_id=str(number), request=request()))
    await stream.done_writing()
    answers = [answer async for answer in stream]
    [span] = await server.spans.wait(1)
    assert (3, STREAM, 0) == (len(answers), span.name, (span.attributes or {})["rpc.grpc.status_code"])


async def test_a_stream_whose_client_leaves_is_cancelled(
    server: Traced, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server works for it; OpenTelemetry has nothing to complain about."""
    monkeypatch.setattr(DatabaseBundleSource, "get_bundle", hang)
    for number in range(20):
        stream = server.prompts.RenderStream()
        await stream.write(
            pb.RenderStreamRequest(
                correlation_id="waits", request=pb.RenderRequest(bundle=version_ref(), payload=payload())
            )
        )
        for turn in range(1 + number % 4):
            await stream.write(pb.RenderStreamRequest(correlation_id=str(turn), request=request()))
        await stream.read()
        stream.cancel()
    spans = await server.spans.wait(20)
    assert [1] * 20 == [(span.attributes or {})["rpc.grpc.status_code"] for span in spans]
    assert [] == [record.message for record in caplog.records if "opentelemetry" in record.name]


async def test_probes_have_no_spans(server: Traced) -> None:
    """They come every few seconds, for ever."""
    health: Any = health_pb2_grpc.HealthStub
    await health(server.channel).Check(health_pb2.HealthCheckRequest())
    await server.prompts.Render(request())
    assert [RENDER] == [span.name for span in await server.spans.wait(1)]


async def test_nothing_of_messages_is_in_spans(server: Traced) -> None:
    """Neither of requests nor of answers."""
    answer = await server.prompts.Render(request())
    [span] = await server.spans.wait(1)
    assert SECRET in str(answer)
    assert [False, False] == [text in span.to_json() for text in (SECRET, "companion")]
