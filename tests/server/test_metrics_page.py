"""/metrics of a running server: what is counted is exactly what happened."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.rendering.sources.database import DatabaseBundleSource
from pecia_service.storage.engine import PoolStatus
from support.monitored import MonitoredServer, monitored_server
from support.pages import SECONDS, Scrape, fetch
from support.wire import inline_bundle, payload, publish, version_ref

RENDER = "pecia.v1.PromptService/Render"
STREAM = "pecia.v1.PromptService/RenderStream"


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[MonitoredServer]:
    """Give a server with nothing published, on either engine."""
    async with monitored_server(migrated_database_url) as live:
        yield live


class Working:
    """Work that begins and does not end."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)

    async def __call__(self, *_: object) -> None:
        """Begin."""
        self.begun.release()
        await asyncio.Event().wait()


def inline_request() -> pb.RenderRequest:
    """Ask for what needs no published bundle."""
    return pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload())


async def test_each_call_is_counted_once_by_its_status(
    server: MonitoredServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that worked, failed, and were cancelled; none is in flight afterwards."""
    for _ in range(7):
        await server.prompts.Render(inline_request())
    for _ in range(3):
        with pytest.raises(aio.AioRpcError):
            await server.prompts.Render(pb.RenderRequest(bundle=version_ref("9.9.9"), payload=payload()))
    # A server that works for a stream can't take its client's leaving for the end of the stream.
    working = Working()
    monkeypatch.setattr(DatabaseBundleSource, "get_bundle", working)
    streams = [server.prompts.RenderStream() for _ in range(4)]
    for number, stream in enumerate(streams):
        request = pb.RenderRequest(bundle=version_ref(f"1.0.{number}"), payload=payload())
        await stream.write(pb.RenderStreamRequest(correlation_id=str(number), request=request))
        await working.begun.acquire()
    during = await server.scrape()
    for stream in streams:
        stream.cancel()
    await server.calls.wait("finished", 14)
    after = await server.scrape()

    def counts(found: Scrape) -> dict[str, float]:
        return {
            "ok": found.value("pecia_requests_total", method=RENDER, code="OK"),
            "not found": found.value("pecia_requests_total", method=RENDER, code="NOT_FOUND"),
            "cancelled": found.value("pecia_requests_total", method=STREAM, code="CANCELLED"),
            "renders in flight": found.value("pecia_requests_in_flight", method=RENDER),
            "streams in flight": found.value("pecia_requests_in_flight", method=STREAM),
            "renders timed": found.value("pecia_request_seconds_count", method=RENDER),
            "streams timed": found.value("pecia_request_seconds_count", method=STREAM),
        }

    expected = {
        "ok": 7.0,
        "not found": 3.0,
        "cancelled": 0.0,
        "renders in flight": 0.0,
        "streams in flight": 4.0,
        "renders timed": 10.0,
        "streams timed": 0.0,
    }
    assert expected == counts(during)
    expected |= {"cancelled": 4.0, "streams in flight": 0.0, "streams timed": 4.0}
    assert expected == counts(after)


async def test_caches_move(server: MonitoredServer) -> None:
    """The first render of a bundle misses, the second hits; what is kept has entries and weight."""
    await publish(server.registry)
    request = pb.RenderRequest(bundle=version_ref(), payload=payload())
    await server.prompts.Render(request)
    cold = await server.scrape()
    await server.prompts.Render(request)
    warm = await server.scrape()

    def moved(name: str, cache: str) -> float:
        return warm.value(name, cache=cache) - cold.value(name, cache=cache)

    assert (1.0, 0.0) == (
        moved("pecia_cache_hits_total", "resolved"),
        moved("pecia_cache_misses_total", "resolved"),
    )
    assert [1.0, 4.0, 1.0] == [
        warm.value("pecia_cache_misses_total", cache=cache) for cache in ("resolved", "templates", "bundles")
    ]
    assert 4.0 == warm.value("pecia_cache_entries", cache="templates")
    assert warm.value("pecia_cache_bytes", cache="templates") > 0


async def test_audit_records_are_counted_when_they_are_written(server: MonitoredServer) -> None:
    """Every one of them, and then none waits."""
    for _ in range(5):
        await server.prompts.Render(inline_request())
    assert await server.application.sink.flush(SECONDS)
    found = await server.scrape()
    assert [5.0, 0.0, 0.0, 0.0, 0.0] == [
        found.value(f"pecia_audit_{name}")
        for name in ("written_total", "queued", "dropped_total", "full", "failing")
    ]


async def test_the_pool_is_counted(server: MonitoredServer) -> None:
    """A connection that is lent out is in use, and then idle."""
    database = server.application.database
    async with database.read():
        lent = await server.scrape()
        lent_status = database.pool_status()
    found = await server.scrape()
    assert 10.0 == found.value("pecia_database_pool_size")
    assert (1.0, 0.0) == (
        lent.value("pecia_database_pool_checked_out"),
        found.value("pecia_database_pool_checked_out"),
    )
    assert PoolStatus(size=10, checked_out=1, idle=lent_status.idle) == lent_status
    assert found.value("pecia_database_pool_idle") >= 1.0
    assert 1.0 == found.value("pecia_database_up")


async def test_the_build_and_the_process_are_told(server: MonitoredServer) -> None:
    """So that a dashboard can show what runs, and since when."""
    found = await server.scrape()
    labels = found.labels()
    assert {"version", "python"} == labels["pecia_build_info"]
    assert found.value("process_start_time_seconds") > 0


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        (
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            b"# EOF\n",
        ),
    ],
)
async def test_the_format_is_negotiated(
    server: MonitoredServer, accept: str, content_type: str, end: bytes
) -> None:
    """And packed for who can unpack it."""
    answer = await server.page("/metrics", headers={"Accept": accept, "Accept-Encoding": "gzip"})
    assert (200, content_type, "gzip") == (
        answer.status,
        answer.headers["content-type"],
        answer.headers["content-encoding"],
    )
    assert gzip.decompress(answer.body).endswith(end)


async def test_a_stuck_loop_shows_in_the_metrics(tmp_path: Path) -> None:
    """What only the loop knows is left out; how late it is is not."""
    async with monitored_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        await server.prompts.Render(inline_request())
        # On the loop itself, which does nothing else until the page is here.
        found = Scrape(fetch(server.address, "/metrics").body.decode())
    assert "pecia_ready" not in found.labels()
    assert 1.0 == found.value("pecia_requests_total", method=RENDER, code="OK")
    assert found.value("pecia_loop_lag_seconds") > 0.3
