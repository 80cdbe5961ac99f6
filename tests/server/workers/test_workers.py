"""`pecia serve --workers N` with real servers: a shared port, deaths, and stops."""

import asyncio
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pecia.v1 import registry_service_pb2 as pb
from pecia.v1 import registry_service_pb2_grpc
from support.cli import run_cli
from support.migrated import MigratedDatabases
from support.supervised import SECONDS, Supervised, refused, supervised
from support.wire import template

SERVING = health_pb2.HealthCheckResponse.SERVING

# The system deals connections by chance: so many leave out one of two workers once in half a billion runs.
CALLS = 30


@asynccontextmanager
async def channels(target: str, number: int) -> AsyncIterator[list[aio.Channel]]:
    """Open channels with a connection for each."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(aio.insecure_channel(target, options)) for _ in range(number)]


async def check(channel: aio.Channel) -> int:
    """Ask whether a server serves."""
    stub: Any = health_pb2_grpc.HealthStub
    answer = await stub(channel).Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=SECONDS)
    return int(answer.status)


async def check_all(opened: list[aio.Channel]) -> set[int]:
    """Ask over all channels at once."""
    return set(await asyncio.gather(*map(check, opened)))


def connections(service: Supervised) -> Counter[int]:
    """Count by process the connections that clients have with the service."""
    port = int(service.target.rpartition(":")[2])
    return Counter(
        pid
        for pid in [service.process.pid, *service.pids()]
        for one in psutil.Process(pid).net_connections()
        if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
    )


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Give the URL of a database that is not there yet."""
    return f"sqlite:///{tmp_path / 'pecia.db'}"


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0"])
async def test_connections_are_spread_over_the_workers(listen: str, database: str) -> None:
    """Each connection reaches a worker, and none the supervisor."""
    async with supervised(database, listen=listen) as service, channels(service.target, 40) as opened:
        answers = await check_all(opened)
        counted = connections(service)
        service.process.send_signal(signal.SIGINT)
        code = await service.rest()
    assert ({SERVING}, set(service.pids()), 40, 0) == (answers, set(counted), counted.total(), code)


async def test_a_second_service_on_a_port_is_refused(database: str, tmp_path: Path) -> None:
    """One line and exit code 4, however many workers it has; the first goes on."""
    ended = []
    async with supervised(database) as service, channels(service.target, 1) as opened:
        for workers in ("1", "2"):
            url = f"sqlite:///{tmp_path / 'second.db'}"
            ended.append(
                await refused("--listen", service.target, "--workers", workers, "--database-url", url)
            )
        answers = await check_all(opened)
    line = (
        f"error: can't listen on {service.target}: "
        "the port is taken; choose another with --listen or PECIA_LISTEN\n"
    )
    assert ([(4, line)] * 2, {SERVING}) == (ended, answers)


async def test_a_port_of_somebody_else_is_refused(database: str) -> None:
    """One line and exit code 4, also where the other is bound without listening."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        ended = await refused("--listen", listen, "--workers", "2", "--database-url", database)
    line = (
        f"error: can't listen on {listen}: the port is taken; choose another with --listen or PECIA_LISTEN\n"
    )
    assert (4, line) == ended


async def test_what_keeps_all_workers_from_starting_is_one_line(tmp_path: Path) -> None:
    """As without workers, and with the same exit code: here a database that can't be opened."""
    url = f"sqlite:///{tmp_path}"
    ended = [
        await refused("--listen", "127.0.0.1:0", "--workers", workers, "--database-url", url)
        for workers in ("1", "3")
    ]
    assert ended[0] == ended[1]
    assert (5, 1) == (ended[1][0], len(ended[1][1].splitlines()))


async def test_a_worker_that_is_killed_is_replaced_while_others_answer(database: str) -> None:
    """kill -9 of one process costs its connections, not the service."""
    async with supervised(database) as service:
        before = service.pids()
        psutil.Process(before[0]).kill()
        await service.logged("worker ended", worker=0, pid=before[0], signal="SIGKILL")
        async with channels(service.target, 20) as opened:
            meanwhile = await check_all(opened)
        await service.logged("worker serves", worker=0)
        after = service.pids()
        async with channels(service.target, 40) as opened:
            answers = await check_all(opened)
            counted = connections(service)
        service.process.terminate()
        code = await service.rest()
    assert ({SERVING}, {SERVING}, 0) == (meanwhile, answers, code)
    assert (True, before[1], set(after)) == (after[0] != before[0], after[1], set(counted))


async def test_calls_under_way_finish_when_the_service_is_told_to_stop(
    migrated_databases: MigratedDatabases, tmp_path: Path
) -> None:
    """On every worker; the service then ends with 0."""
    file = tmp_path / "pecia.db"
    async with (
        supervised(await migrated_databases.create_sqlite(file)) as service,
        channels(service.target, CALLS) as opened,
    ):
        writer = sqlite3.connect(file, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        calls = []
        for turn, channel in enumerate(opened):
            stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
            calls.append(stub.PublishTemplate(pb.PublishTemplateRequest(template=template(f"t{turn}"))))
        # What is answered after a call on the same connection was asked after it.
        asked = await check_all(opened)
        waiting = [call.done() for call in calls]
        counted = connections(service)
        service.process.terminate()
        for _ in range(3):
            await service.logged("stopping")
        writer.execute("COMMIT")
        writer.close()
        codes = [await call.code() for call in calls]
        code = await service.rest()
    assert ({SERVING}, {False}, set(service.pids())) == (asked, set(waiting), set(counted))
    assert ([grpc.StatusCode.OK] * CALLS, 0) == (codes, code)
    assert 2 == len(
        [line for line in service.lines if line["event"] == "stopped" and "exit_code" not in line]
    )


async def test_workers_end_with_a_supervisor_that_is_killed(database: str) -> None:
    """kill -9 of the supervisor leaves nobody: its workers stop as they do on SIGTERM."""
    async with supervised(database, workers=3) as service:
        workers = [psutil.Process(pid) for pid in service.pids()]
        service.process.kill()
        code = await service.rest()
        _, alive = await asyncio.to_thread(psutil.wait_procs, workers, SECONDS)
    assert (-signal.SIGKILL, 3, []) == (code, len(workers), alive)
    assert 3 == len([line for line in service.lines if line["event"] == "stopped"])


async def test_the_supervisor_loads_no_grpc(database: str) -> None:
    """It stays small, and forks nothing that gRPC has touched."""
    async with supervised(database) as service:
        loaded = [
            any("cygrpc" in mapping.path for mapping in psutil.Process(pid).memory_maps())
            for pid in [service.process.pid, *service.pids()]
        ]
    assert [False, True, True] == loaded


@pytest.mark.parametrize("text", ["0:999999", "0:2", "0", "0:x", ""])
async def test_the_flag_of_workers_is_not_for_users(text: str) -> None:
    """It names a socket that only a supervisor can have opened: exit code 2."""
    ran = await asyncio.to_thread(run_cli, "serve", "--worker", text)
    assert (2, True) == (ran.exit_code, "is for the supervisor's use only" in ran.stderr)
