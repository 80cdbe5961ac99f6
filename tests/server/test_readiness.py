"""/healthz and /readyz of a running server: each reason for which calls should stay away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.audit.ports import SinkStatus
from pecia_service.storage.engine import Database
from support.monitored import MonitoredServer, monitored_server
from support.outage import private_postgres
from support.pages import SECONDS, fetch
from support.wire import inline_bundle, payload, publish, version_ref


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MonitoredServer]:
    """Give a server on an empty SQLite file, which was not told yet that it serves."""
    async with monitored_server(f"sqlite:///{tmp_path / 'pecia.db'}") as live:
        yield live


async def readiness(server: MonitoredServer) -> tuple[int, list[str]]:
    """Return the status of /readyz and its reasons."""
    answer = await server.page("/readyz")
    assert answer.json["ready"] == (not answer.json["reasons"])
    assert answer.headers["content-type"] == "application/json"
    return answer.status, answer.json["reasons"]


async def test_a_server_is_ready_when_it_serves(server: MonitoredServer) -> None:
    """Before, it is starting."""
    before = await readiness(server)
    server.monitor.readiness.serving()
    after = await readiness(server)
    found = await server.scrape()
    assert ((503, ["starting"]), (200, []), 1.0) == (before, after, found.value("pecia_ready"))


async def test_a_server_that_drains_is_not_ready(server: MonitoredServer) -> None:
    """It is healthy nevertheless: nobody should kill it for that."""
    server.monitor.readiness.serving()
    server.monitor.readiness.draining()
    found = await server.scrape()
    assert ((503, ["draining"]), 200, 0.0) == (
        await readiness(server),
        (await server.page("/healthz")).status,
        found.value("pecia_ready"),
    )


async def test_a_server_that_drops_audit_records_is_not_ready(server: MonitoredServer) -> None:
    """Renders go on; the page says how many records were lost."""
    server.monitor.readiness.serving()
    await server.application.sink.aclose(1)
    await server.prompts.Render(pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload()))
    answer = await server.page("/readyz")
    assert (503, ["audit_dropping"], 1) == (
        answer.status,
        answer.json["reasons"],
        answer.json["audit"]["dropped"],
    )


async def test_a_server_that_refuses_renders_for_its_audit_is_not_ready() -> None:
    """Until the database takes records again."""
    request = pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload())
    async with (
        private_postgres() as (postgres, url),
        monitored_server(
            url, audit_durability="memory", audit_full="refuse", audit_queue_records="1"
        ) as server,
    ):
        server.monitor.readiness.serving()
        before = await readiness(server)
        await postgres.stop()
        await server.prompts.Render(request)
        with pytest.raises(aio.AioRpcError) as caught:
            await server.prompts.Render(request)
        full = await readiness(server)
        async with asyncio.timeout(SECONDS):
            # That the database takes no record is known only when one was tried.
            while not server.application.sink.status().failing:
                # Nothing tells of it; each scrape gives the server a turn.
                await server.scrape()
        metrics = await server.scrape()
        await postgres.start()
        assert await server.application.sink.flush(SECONDS)
        after = await readiness(server)
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert ((200, []), (503, ["audit_full"]), (200, [])) == (before, full, after)
    assert (1.0, 1.0) == (metrics.value("pecia_audit_full"), metrics.value("pecia_audit_failing"))


async def test_a_server_whose_audit_is_full_is_not_ready(tmp_path: Path) -> None:
    """Whether it drops what comes next, or refuses it."""
    full = SinkStatus(9, 9, 0, 0, failing=True, full=True, lag_seconds=1.5, spooled_bytes=77)
    async with monitored_server(f"sqlite:///{tmp_path / 'pecia.db'}", audit=lambda: full) as server:
        server.monitor.readiness.serving()
        answer = await server.page("/readyz")
    assert (503, ["audit_full"]) == (answer.status, answer.json["reasons"])
    assert {
        "failing": True,
        "full": True,
        "dropped": 0,
        "damaged": 0,
        "queued": 9,
        "spooled_bytes": 77,
        "lag_seconds": 1.5,
    } == answer.json["audit"]


async def test_a_server_whose_database_never_answered_is_not_ready(tmp_path: Path) -> None:
    """It has nothing in its caches to go on with."""
    away = Database.open("postgresql://127.0.0.1:9/pecia")
    async with monitored_server(f"sqlite:///{tmp_path / 'pecia.db'}", database=away) as server:
        server.monitor.readiness.serving()
        answer = await server.page("/readyz")
    await away.dispose()
    assert (503, ["database_never_answered"], False) == (
        answer.status,
        answer.json["reasons"],
        answer.json["database"]["up"],
    )


async def test_a_database_that_goes_away_is_a_detail() -> None:
    """Warm renders go on, so the server stays ready; the page and the metrics show the outage and its end."""
    async with private_postgres() as (postgres, url), monitored_server(url) as server:
        server.monitor.readiness.serving()
        await publish(server.registry)
        request = pb.RenderRequest(bundle=version_ref(), payload=payload())
        await server.prompts.Render(request)
        here = await server.page("/readyz")
        await postgres.stop()
        away = await server.page("/readyz")
        metrics = await server.scrape()
        await server.prompts.Render(request)
        await postgres.start()
        # The page waits half a second for an answer, which is for a connection that is there.
        await server.application.database.ping()
        back = await server.page("/readyz")
    assert [(200, True), (200, False), (200, True)] == [
        (answer.status, answer.json["database"]["up"]) for answer in (here, away, back)
    ]
    assert (0.0, 1.0) == (metrics.value("pecia_database_up"), metrics.value("pecia_ready"))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_stuck_loop_is_told(server: MonitoredServer, path: str) -> None:
    """The page answers although the server does not, so that whoever probes can restart it."""
    server.monitor.readiness.serving()
    # On the loop itself, which does nothing else until the page is here.
    stuck = fetch(server.address, path)
    later = await server.page(path)
    assert (503, ["loop_stuck"], 200, []) == (
        stuck.status,
        stuck.json["reasons"],
        later.status,
        later.json["reasons"],
    )


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_pages_are_only_read(server: MonitoredServer, path: str) -> None:
    """By GET."""
    answer = await server.page(path, method="POST")
    assert (405, True) == (answer.status, "GET" in answer.headers["allow"])
