"""`pecia serve` as a process of its own: told to stop, it finishes what it has begun."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import prompt_service_pb2_grpc, registry_service_pb2_grpc
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import audit_records
from sqlalchemy import select
from support.certificates import Authority
from support.checkout import PYTHONPATH
from support.statuses import read_failure
from support.wire import payload, publish, version_ref

SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    """A server's process, where it listens, and what it logged when it began to serve."""

    process: asyncio.subprocess.Process
    target: str
    log: dict[str, Any]

    async def rest(self) -> tuple[int | None, str]:
        """Wait for the end of the process, and return its exit code and the rest of its log."""
        _, errors = await asyncio.wait_for(self.process.communicate(), SECONDS)
        return self.process.returncode, errors.decode()


@asynccontextmanager
async def serving(database_url: str, *arguments: str) -> AsyncIterator[Served]:
    """Run a server on a free port, and end it if the test did not."""
    spool = tempfile.TemporaryDirectory(prefix="pecia-spool-")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pecia_service.cli.main", "serve"),
        *("--listen", "127.0.0.1:0", "--database-url", database_url),
        *("--audit-spool-dir", spool.name, *arguments),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        log = json.loads(await asyncio.wait_for(process.stderr.readline(), SECONDS))
        assert "serving" == log["event"]
        yield Served(process, log["listen"], log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        spool.cleanup()


def message(number: int) -> pb.RenderStreamRequest:
    """Make a request of a stream."""
    request = pb.RenderRequest(bundle=version_ref(), payload=payload(task=f"task {number}"))
    return pb.RenderStreamRequest(correlation_id=str(number), request=request)


async def recorded(database_url: str) -> set[str]:
    """Read the ids of all records from the database itself."""
    database = Database.open(database_url)
    try:
        return {row.render_id for row in await database.fetch(select(audit_records.c.render_id))}
    finally:
        await database.dispose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_is_told_to_stop_finishes_what_is_under_way(
    number: signal.Signals, migrated_database_url: str
) -> None:
    """It says so, ends its streams, writes every record of what it answered, and exits with 0."""
    answered = set()
    async with serving(migrated_database_url) as server, aio.insecure_channel(server.target) as channel:
        await publish(registry_service_pb2_grpc.RegistryServiceStub(channel))
        prompts = prompt_service_pb2_grpc.PromptServiceStub(channel)
        health: Any = health_pb2_grpc.HealthStub
        watch = health(channel).Watch(health_pb2.HealthCheckRequest())
        assert health_pb2.HealthCheckResponse.SERVING == (await watch.read()).status
        call = prompts.RenderStream()
        for turn in range(10):
            await call.write(message(turn))
            answer = await call.read()
            assert isinstance(answer, pb.RenderStreamResponse)
            answered.add(answer.outcome.response.receipt.render_id)
        server.process.send_signal(number)
        assert health_pb2.HealthCheckResponse.NOT_SERVING == (await watch.read()).status
        watch.cancel()
        with pytest.raises(aio.AioRpcError) as caught:
            await call.read()
        assert (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING") == (
            caught.value.code(),
            read_failure(caught.value).reason,
        )
        code, log = await server.rest()
    assert (0, "stopped") == (code, json.loads(log.splitlines()[-1])["event"])
    assert 10 == len(answered)
    assert answered == await recorded(migrated_database_url)


async def test_the_records_of_a_burst_are_written_before_the_process_ends(migrated_database_url: str) -> None:
    """A stop right after the last answer loses nothing that a client has seen."""
    requests = [pb.RenderRequest(bundle=version_ref(), payload=payload(task=str(n))) for n in range(256)]
    async with serving(migrated_database_url) as server, aio.insecure_channel(server.target) as channel:
        await publish(registry_service_pb2_grpc.RegistryServiceStub(channel))
        prompts = prompt_service_pb2_grpc.PromptServiceStub(channel)
        batch = await prompts.RenderBatch(pb.RenderBatchRequest(requests=requests))
        server.process.terminate()
        code, _ = await server.rest()
    answered = {outcome.response.receipt.render_id for outcome in batch.outcomes}
    assert (0, 256) == (code, len(answered))
    assert answered == await recorded(migrated_database_url)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such policies")
@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(("setting", "policy"), [("batch", "SCHED_BATCH"), ("normal", "SCHED_OTHER")])
async def test_all_threads_of_a_server_are_scheduled_as_is_set(
    setting: str, policy: str, migrated_database_url: str
) -> None:
    """gRPC's threads, and those of the database, begin after the event loop's."""
    flags = ("--cpu-scheduling", setting)
    async with (
        serving(migrated_database_url, *flags) as server,
        aio.insecure_channel(server.target) as channel,
    ):
        await publish(registry_service_pb2_grpc.RegistryServiceStub(channel))
        policies = []
        for thread in psutil.Process(server.process.pid).threads():
            # One of a pool may have ended since they were listed.
            with suppress(ProcessLookupError):
                policies.append(os.sched_getscheduler(thread.id))
    assert len(policies) > 3
    assert {getattr(os, policy)} == set(policies)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_handshakes_that_fail_do_not_fill_the_log(migrated_database_url: str, tmp_path: Path) -> None:
    """Whoever reaches the port may speak no TLS, or show no certificate; the log stays JSON."""
    authority = Authority()
    certificate, key = authority.server().write(tmp_path)
    clients = tmp_path / "clients.pem"
    clients.write_bytes(authority.certificate)
    flags = ("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", clients)
    async with serving(migrated_database_url, *map(str, flags)) as server:
        host, _, port = server.target.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await reader.read()
        writer.close()
        trusting = grpc.ssl_channel_credentials(authority.certificate)
        async with aio.secure_channel(server.target, trusting) as channel:
            with pytest.raises(aio.AioRpcError):
                await prompt_service_pb2_grpc.PromptServiceStub(channel).Render(pb.RenderRequest(), timeout=1)
        server.process.terminate()
        _, rest = await server.rest()
    assert [] == [line for line in rest.splitlines() if not line.startswith("{")]


async def test_the_log_shows_no_password(migrated_database_url: str) -> None:
    """Where the database is, but not how to get in."""
    async with serving(migrated_database_url) as server:
        server.process.terminate()
        _, rest = await server.rest()
    logged = json.dumps(server.log) + rest
    password = urlsplit(migrated_database_url).password
    assert server.log["database"].startswith(migrated_database_url.partition(":")[0])
    assert password is None or password not in logged
