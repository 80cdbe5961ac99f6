"""`pecia serve` with pages and tracing, as a process of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import prompt_service_pb2_grpc, registry_service_pb2_grpc
from support.checkout import PYTHONPATH
from support.migrated import MigratedDatabases
from support.pages import SECONDS, page, scrape
from support.postgres import PostgresServer
from support.wire import inline_bundle, payload, publish, version_ref


@dataclass(frozen=True)
class Process:
    """A server's process, and what it logged when it began to serve."""

    process: asyncio.subprocess.Process
    log: dict[str, Any]

    async def rest(self) -> tuple[int | None, list[dict[str, Any]]]:
        """Wait for the end; give the exit code and what was logged since."""
        _, errors = await asyncio.wait_for(self.process.communicate(), SECONDS)
        return self.process.returncode, [json.loads(line) for line in errors.decode().splitlines()]


async def start(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start a server; its database is a file in the folder unless the arguments say otherwise."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pecia_service.cli.main", "serve", "--listen", "127.0.0.1:0"),
        *("--database-url", f"sqlite:///{folder / 'pecia.db'}", *arguments),
        env={**os.environ, "PYTHONPATH": PYTHONPATH, **(environment or {})},
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def serving(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run a server that logs JSON, and end it if the test did not."""
    process = await start(folder, *arguments, environment=environment)
    try:
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stderr.readline(), SECONDS)
        log = json.loads(line)
        assert "serving" == log["event"], line
        yield Process(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def refusal(folder: Path, *arguments: str, **options: Any) -> tuple[int | None, list[str]]:
    """Run a server that can't start; give its exit code and lines of stderr."""
    process = await start(folder, *arguments, **options)
    _, errors = await asyncio.wait_for(process.communicate(), SECONDS)
    return process.returncode, errors.decode().splitlines()


def inline_request() -> pb.RenderRequest:
    """Ask for what needs no published bundle."""
    return pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload())


async def test_a_server_says_where_its_pages_are(tmp_path: Path) -> None:
    """Port 0 takes a free one; calls count there."""
    async with serving(tmp_path, "--metrics-listen", "127.0.0.1:0") as server:
        async with aio.insecure_channel(server.log["listen"]) as channel:
            await prompt_service_pb2_grpc.PromptServiceStub(channel).Render(inline_request())
        ready = await page(server.log["metrics"], "/readyz")
        metrics = await scrape(server.log["metrics"])
    assert (200, 1.0) == (
        ready.status,
        metrics.value("pecia_requests_total", method="pecia.v1.PromptService/Render", code="OK"),
    )


async def test_without_an_address_there_are_no_pages(tmp_path: Path) -> None:
    """The default."""
    async with serving(tmp_path) as server:
        assert server.log["metrics"] is None


async def test_an_address_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    """It stops the start, and names the flag."""
    async with serving(tmp_path, "--metrics-listen", "127.0.0.1:0") as server:
        taken = server.log["metrics"]
        other = tmp_path / "other"
        other.mkdir()
        code, lines = await refusal(other, "--metrics-listen", taken)
    assert [
        f"error: can't listen on {taken}: "
        "the port is taken; choose another with --metrics-listen or PECIA_METRICS_LISTEN"
    ] == lines
    assert 4 == code


async def test_a_server_that_is_told_to_stop_is_not_ready_while_it_finishes(
    postgres_server: PostgresServer, migrated_databases: MigratedDatabases, tmp_path: Path
) -> None:
    """At once, while a call that is under way goes on to its answer."""
    url = await migrated_databases.create_postgres(postgres_server)
    arguments = ("--database-url", url, "--metrics-listen", "127.0.0.1:0", "--shutdown-grace", "30")
    async with (
        serving(tmp_path, *arguments) as server,
        aio.insecure_channel(server.log["listen"]) as channel,
    ):
        await publish(registry_service_pb2_grpc.RegistryServiceStub(channel))
        health: Any = health_pb2_grpc.HealthStub
        watch = health(channel).Watch(health_pb2.HealthCheckRequest())
        assert health_pb2.HealthCheckResponse.SERVING == (await watch.read()).status
        before = await page(server.log["metrics"], "/readyz")
        lock = await asyncpg.connect(url)
        transaction = lock.transaction()
        await transaction.start()
        await lock.execute("LOCK TABLE bundles IN ACCESS EXCLUSIVE MODE")
        prompts = prompt_service_pb2_grpc.PromptServiceStub(channel)
        render = prompts.Render(pb.RenderRequest(bundle=version_ref(), payload=payload()))
        call = asyncio.ensure_future(render)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not await lock.fetchval(waiting):
            pass
        server.process.send_signal(signal.SIGTERM)
        assert health_pb2.HealthCheckResponse.NOT_SERVING == (await watch.read()).status
        draining = await page(server.log["metrics"], "/readyz")
        healthy = await page(server.log["metrics"], "/healthz")
        in_flight = await scrape(server.log["metrics"])
        watch.cancel()
        assert not call.done()
        await transaction.rollback()
        await lock.close()
        answer = await call
        code, log = await server.rest()
    await postgres_server.drop_database(url)
    assert (200, 503, ["draining"], 200) == (
        before.status,
        draining.status,
        draining.json["reasons"],
        healthy.status,
    )
    assert 1.0 == in_flight.value("pecia_requests_in_flight", method="pecia.v1.PromptService/Render")
    assert answer.receipt.render_id
    assert (0, "stopped", 1) == (code, log[-1]["event"], log[-1]["audit_written"])


async def test_tracing_without_its_extra_is_one_clear_line(tmp_path: Path) -> None:
    """Exit code 2, and what to install: the setting can't be used here."""
    shadow = tmp_path / "opentelemetry"
    shadow.mkdir()
    (shadow / "__init__.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join((str(tmp_path), PYTHONPATH))
    code, lines = await refusal(tmp_path, "--tracing", "true", environment={"PYTHONPATH": path})
    assert [
        "error: PECIA_TRACING needs OpenTelemetry: pip install 'pecia[otel]', or leave tracing off"
    ] == lines
    assert 2 == code


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans as a collector does."""

    def __init__(self) -> None:
        self.requests: list[trace_service_pb2.ExportTraceServiceRequest] = []

    async def Export(  # noqa: N802
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keep what comes."""
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    """Run a collector, and give it with its address."""
    collector = Collector()
    receiver = aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]  # generated
        collector, receiver
    )
    port = receiver.add_insecure_port("127.0.0.1:0")
    await receiver.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        await receiver.stop(None)


async def test_spans_are_exported_before_the_process_ends(tmp_path: Path) -> None:
    """Over OTLP, to where OpenTelemetry's variables say; with the name that they give."""
    async with collecting() as (collector, address):
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        }
        async with serving(tmp_path, "--tracing", "true", environment=environment) as server:
            async with aio.insecure_channel(server.log["listen"]) as channel:
                await prompt_service_pb2_grpc.PromptServiceStub(channel).Render(inline_request())
            server.process.terminate()
            code, _ = await server.rest()
    [resource] = [spans for request in collector.requests for spans in request.resource_spans]
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert (0, "pecia", "test") == (code, attributes["service.name"], attributes["deployment.environment"])
    assert ["pecia.v1.PromptService/Render"] == [
        span.name for scope in resource.scope_spans for span in scope.spans
    ]


async def test_a_collector_that_is_away_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """The grace is over, a line says that spans were lost, and the exit code is 0."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    arguments = ("--tracing", "true", "--shutdown-grace", "0.2")
    async with serving(tmp_path, *arguments, environment=environment) as server:
        async with aio.insecure_channel(server.log["listen"]) as channel:
            await prompt_service_pb2_grpc.PromptServiceStub(channel).Render(inline_request())
        server.process.terminate()
        _, errors = await asyncio.wait_for(server.process.communicate(), SECONDS)
    lines = errors.decode().splitlines()
    assert (0, True) == (server.process.returncode, any("spans_not_exported" in line for line in lines))
