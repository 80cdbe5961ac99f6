"""Pecia behind a real Envoy with the configuration of deploy/: gRPC, grpc-web, and what is tried again."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import prompt_service_pb2_grpc, registry_service_pb2, registry_service_pb2_grpc
from support.certificates import Authority, Pair
from support.envoy import RunningEnvoy, running_envoy
from support.server import live_server
from support.wire import inline_bundle, payload

ORIGIN = "https://app.example"
REQUEST = pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload())


@dataclass(frozen=True)
class Edge:
    """An Envoy, channels to it, and what a client needs to trust it."""

    envoy: RunningEnvoy
    authority: Authority
    prompts: prompt_service_pb2_grpc.PromptServiceAsyncStub
    registry: registry_service_pb2_grpc.RegistryServiceAsyncStub

    async def post(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Any:
        """Send an HTTP/1.1 request as a browser does, and return status, headers and body."""
        trust = ssl.create_default_context(cadata=self.authority.certificate.decode())

        def send() -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPSConnection("localhost", self.envoy.port, context=trust, timeout=60)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                return (
                    answer.status,
                    {key.lower(): value for key, value in answer.getheaders()},
                    answer.read(),
                )
            finally:
                connection.close()

        return await asyncio.to_thread(send)


@asynccontextmanager
async def edge(folder: Path, authority: Authority, *upstreams: int) -> AsyncIterator[Edge]:
    """Run Envoy in front of upstreams."""
    credentials = grpc.ssl_channel_credentials(authority.certificate)
    async with (
        running_envoy(folder, authority, upstreams) as envoy,
        aio.secure_channel(f"localhost:{envoy.port}", credentials) as channel,
    ):
        yield Edge(
            envoy,
            authority,
            prompt_service_pb2_grpc.PromptServiceStub(channel),
            registry_service_pb2_grpc.RegistryServiceStub(channel),
        )


@asynccontextmanager
async def pecia(folder: Path, authority: Authority) -> AsyncIterator[int]:
    """Run a server that speaks TLS and wants client certificates, and give its port."""
    certificate, key = authority.server().write(folder, "pecia")
    (folder / "clients.pem").write_bytes(authority.certificate)
    async with live_server(
        f"sqlite:///{folder / 'pecia.db'}",
        tls_certificate=str(certificate),
        tls_key=str(key),
        tls_client_ca=str(folder / "clients.pem"),
    ) as server:
        yield int(server.target.rpartition(":")[2])


@dataclass
class Unavailable(grpc.GenericRpcHandler):
    """Answers everything but health with UNAVAILABLE, and counts."""

    asked: list[str] = field(default_factory=list)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Handle any method."""
        method = handler_call_details.method
        if "Health" in method:
            return None

        async def refuse(request: bytes, context: aio.ServicerContext[Any, Any]) -> bytes:
            self.asked.append(method.rpartition("/")[2])
            return await context.abort(grpc.StatusCode.UNAVAILABLE, "away")

        return grpc.unary_unary_rpc_method_handler(refuse)


class Healthy(health_pb2_grpc.HealthServicer):
    """Says SERVING, as a server does whose database is away."""

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802  # gRPC's name
        """Answer a check."""
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def unavailable(pair: Pair, handler: Unavailable) -> AsyncIterator[int]:
    """Run a server that is healthy and can't answer a call, and give its port."""
    server = aio.server(handlers=[handler])
    health_pb2_grpc.add_HealthServicer_to_server(Healthy(), server)
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def test_grpc_passes_through(tmp_path: Path) -> None:
    """Over TLS to Envoy and mTLS from there to Pecia, an error's details and trailing metadata included."""
    authority = Authority()
    async with pecia(tmp_path, authority) as port, edge(tmp_path, authority, port) as live:
        answer = await live.prompts.Render(REQUEST)
        missing = registry_service_pb2.GetBundleRequest()
        missing.bundle.bundle_id, missing.bundle.semver = "absent", "1.0.0"
        with pytest.raises(aio.AioRpcError) as caught:
            await live.registry.GetBundle(missing)
    assert answer.prompt.startswith("You are Juna.")
    assert grpc.StatusCode.NOT_FOUND is caught.value.code()
    assert "grpc-status-details-bin" in dict(caught.value.trailing_metadata() or ())


async def test_a_stream_passes_through(tmp_path: Path) -> None:
    """Each answer comes while the client still sends."""
    authority = Authority()
    async with pecia(tmp_path, authority) as port, edge(tmp_path, authority, port) as live:
        stream = live.prompts.RenderStream()
        answers = []
        for index in range(3):
            await stream.write(pb.RenderStreamRequest(correlation_id=str(index), request=REQUEST))
            answer = await stream.read()
            assert isinstance(answer, pb.RenderStreamResponse)
            answers.append(answer)
        await stream.done_writing()
        assert aio.EOF is await stream.read()
    assert ["0", "1", "2"] == [answer.correlation_id for answer in answers]


async def test_browsers_speak_grpc_web(tmp_path: Path) -> None:
    """A frame with the answer and one with the trailers, over HTTP/1.1, which the origin may read."""
    authority = Authority()
    body = REQUEST.SerializeToString()
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": ORIGIN}
    async with pecia(tmp_path, authority) as port, edge(tmp_path, authority, port) as live:
        frame = b"\0" + len(body).to_bytes(4, "big") + body
        status, answered, frames = await live.post("POST", "/pecia.v1.PromptService/Render", headers, frame)
    length = int.from_bytes(frames[1:5], "big")
    prompt = pb.RenderResponse.FromString(frames[5 : 5 + length]).prompt
    trailers = frames[5 + length :]
    assert (200, ORIGIN, True) == (
        status,
        answered["access-control-allow-origin"],
        prompt.startswith("You are Juna."),
    )
    assert (0x80, True) == (trailers[0], b"grpc-status:0" in trailers)


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, ORIGIN), ("https://other.example", None)])
async def test_only_the_named_origin_may_call(tmp_path: Path, origin: str, allowed: str | None) -> None:
    """A browser asks first; without the header in the answer it doesn't send the call."""
    authority = Authority()
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization,x-grpc-web",
    }
    async with pecia(tmp_path, authority) as port, edge(tmp_path, authority, port) as live:
        _, answered, _ = await live.post("OPTIONS", "/pecia.v1.PromptService/Render", headers)
    assert allowed == answered.get("access-control-allow-origin")


async def test_a_render_is_tried_on_another_server(tmp_path: Path) -> None:
    """Four calls over two servers of which one can't: all are answered, and Envoy counts its retries."""
    authority, away = Authority(), Unavailable()
    async with (
        pecia(tmp_path, authority) as port,
        unavailable(authority.server(), away) as other,
        edge(tmp_path, authority, port, other) as live,
    ):
        answers = [await live.prompts.Render(REQUEST) for _ in range(4)]
        retried = await live.envoy.counter("upstream_rq_retry")
    assert 4 == len({answer.receipt.render_id for answer in answers})
    assert 2 <= retried == len(away.asked)


async def test_a_move_of_a_label_is_sent_once(tmp_path: Path) -> None:
    """Of two calls over two servers, the one that reached the server that can't stays UNAVAILABLE."""
    authority, away = Authority(), Unavailable()
    async with (
        pecia(tmp_path, authority) as port,
        unavailable(authority.server(), away) as other,
        edge(tmp_path, authority, port, other) as live,
    ):
        codes = set()
        for _ in range(2):
            with pytest.raises(aio.AioRpcError) as caught:
                await live.registry.SetLabel(registry_service_pb2.SetLabelRequest())
            codes.add(caught.value.code())
    assert {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT} == codes
    assert ["SetLabel"] == away.asked


async def test_what_is_for_the_inside_has_no_route(tmp_path: Path) -> None:
    """Administration is UNIMPLEMENTED at the edge."""
    authority = Authority()
    async with pecia(tmp_path, authority) as port, edge(tmp_path, authority, port) as live:
        with pytest.raises(aio.AioRpcError) as caught:
            await live.prompts.RedactAuditRecord(pb.RedactAuditRecordRequest())
    assert grpc.StatusCode.UNIMPLEMENTED is caught.value.code()


async def test_the_access_log_tells_of_calls_and_nothing_of_their_content(tmp_path: Path) -> None:
    """One line a call, with its status; no text of the payload, the prompt or a key."""
    authority = Authority()
    async with pecia(tmp_path, authority) as port, edge(tmp_path, authority, port) as live:
        request = pb.RenderRequest(
            inline_bundle=inline_bundle(), payload=payload(task="Sesame"), validate_only=True
        )
        await live.prompts.Render(request, metadata=[("authorization", "Bearer tulip")])
    (line,) = live.envoy.access_log
    assert ("/pecia.v1.PromptService/Render", "OK") == (line["method"], line["grpc_status"])
    assert [False, False, False] == [word in json.dumps(line) for word in ("Sesame", "Juna", "tulip")]
