"""A database that is gone: what is cached renders on, audit records wait, and the rest is UNAVAILABLE."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
import pytest
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia_client import PeciaError
from pecia_service.errors import UnavailableError
from pecia_service.ids import uuid7
from pecia_service.storage.engine import Database
from pecia_service.storage.schema import migrate
from structlog.testing import capture_logs
from support.postgres import PostgresServer
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import bundle, inline_bundle, label_ref, payload, publish, template, version_ref

SECONDS = 60.0
CACHED, UNCACHED = version_ref(), version_ref("2.0.0")
OLD_RENDER = uuid7(1_600_000_000_000, 1)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL that the tests of this file may stop."""
    server = PostgresServer.create(durable=True)
    try:
        yield server
    finally:
        server.discard()


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Give a migrated database of a server that runs."""
    if not postgres.running:
        await postgres.start()
    url = await postgres.create_database()
    database = Database.open(url)
    try:
        await migrate(database)
    finally:
        await database.dispose()
    return url


@pytest.fixture
async def server(url: str) -> AsyncIterator[LiveServer]:
    """Give a server that has one of two published versions in its cache."""
    async with live_server(url, shutdown_grace="1") as live:
        await warm(live)
        yield live


async def warm(server: LiveServer) -> None:
    """Publish two versions and a label, and render the first version, of which nothing is recorded."""
    await publish(server.registry, semvers=("1.0.0", "2.0.0"))
    await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0")
    )
    await render(server, validate_only=True)


async def render(server: LiveServer, task: str = "Plan the day.", **fields: Any) -> pb.RenderResponse:
    """Render; the bundle is the cached version unless given."""
    request = {"bundle": CACHED, "payload": payload(task=task), **fields}
    if "inline_bundle" in fields:
        del request["bundle"]
    return await server.prompts.Render(pb.RenderRequest(**request))


async def render_many(server: LiveServer, count: int, task: str = "") -> list[str]:
    """Render the cached version so often, and return the render ids."""
    return [(await render(server, f"{task}{number}")).receipt.render_id for number in range(count)]


async def recorded(server: LiveServer) -> list[str]:
    """List the ids of what was recorded, oldest first."""
    listed = await server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest(page_size=200))
    return [record.receipt.render_id for record in reversed(listed.records)]


@contextmanager
def frozen(postgres: PostgresServer) -> Iterator[None]:
    """Let the database hang: it takes connections and statements, and answers none."""
    postmaster = psutil.Process(postgres.pid)
    stopped = [postmaster.pid]
    os.kill(postmaster.pid, signal.SIGSTOP)
    try:
        for child in postmaster.children(recursive=True):
            os.kill(child.pid, signal.SIGSTOP)
            stopped.append(child.pid)
        yield
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


CALLS: dict[str, Callable[[LiveServer], Awaitable[object]]] = {
    "render of a version that is not cached": lambda server: render(server, bundle=UNCACHED),
    "render by label": lambda server: render(server, bundle=label_ref("production")),
    "bundle": lambda server: server.registry.GetBundle(registry_pb.GetBundleRequest(bundle=CACHED)),
    "list": lambda server: server.registry.ListTemplates(registry_pb.ListTemplatesRequest()),
    "publish": lambda server: server.registry.PublishTemplate(
        registry_pb.PublishTemplateRequest(template=template("new"))
    ),
    "publish bundle": lambda server: server.registry.PublishBundle(
        registry_pb.PublishBundleRequest(bundle=bundle(semver="3.0.0"))
    ),
    "set label": lambda server: server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="staging", semver="1.0.0")
    ),
    "replay": lambda server: server.prompts.Replay(pb.ReplayRequest(render_id=OLD_RENDER)),
}


@pytest.mark.parametrize("what", CALLS)
async def test_what_needs_the_database_is_unavailable(
    postgres: PostgresServer, server: LiveServer, what: str
) -> None:
    """It says when to try again, and the same call works when the database is back."""
    await postgres.stop()
    failure = await failure_of(CALLS[what](server))
    await postgres.start()
    assert (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE") == (failure.code, failure.reason)
    assert failure.retry_after
    if what != "replay":
        await CALLS[what](server)


async def test_the_log_says_why_once(postgres: PostgresServer, server: LiveServer) -> None:
    """A line with the cause when requests begin to fail, and one when they work again, for no client."""
    call = CALLS["render of a version that is not cached"]
    with capture_logs() as logs:
        await postgres.stop()
        failures = [await failure_of(call(server)) for _ in range(3)]
        await postgres.start()
        await call(server)
    told = [
        (entry["log_level"], entry["event"], entry.get("error"), entry.get("reason", "").partition(":")[0])
        for entry in logs
        if entry["event"].startswith("database_")
    ]
    assert [
        ("warning", "database_unavailable", "ConnectionRefusedError", "the connection was refused"),
        ("info", "database_available_again", None, ""),
    ] == told
    assert {"the database does not answer; try again"} == {failure.message for failure in failures}


async def test_what_is_cached_renders_on(postgres: PostgresServer, server: LiveServer) -> None:
    """An exact version in the cache, and an inline bundle, need no database: the prompt is the same."""
    before = await render(server)
    await postgres.stop()
    answers = [await render(server), await render(server, inline_bundle=inline_bundle())]
    assert [before.receipt.prompt_hash] * 2 == [answer.receipt.prompt_hash for answer in answers]


async def test_a_batch_renders_what_is_cached(postgres: PostgresServer, server: LiveServer) -> None:
    """What needs the database is an outcome of its own."""
    await postgres.stop()
    requests = [pb.RenderRequest(bundle=ref, payload=payload()) for ref in (CACHED, UNCACHED, CACHED)]
    outcomes = (await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=requests))).outcomes
    assert ["response", "error", "response"] == [outcome.WhichOneof("outcome") for outcome in outcomes]
    failed = outcomes[1].error
    assert (grpc.StatusCode.UNAVAILABLE.value[0], 1) == (failed.code, failed.retry_delay.seconds)
    assert PeciaError.from_render_error(failed).retry_after == 1.0


async def test_a_database_that_hangs_is_unavailable(postgres: PostgresServer, url: str) -> None:
    """Neither a statement nor a connection is waited for longer than its time limit."""
    # What does not hang must be done in that time as well.
    limits = {"database_connect_timeout": "3", "database_statement_timeout": "3"}
    async with live_server(url, shutdown_grace="1", **limits) as server:
        await warm(server)
        with frozen(postgres):
            hanging = [await failure_of(CALLS["render of a version that is not cached"](server))]
            await server.application.database.engine.dispose()
            hanging.append(await failure_of(CALLS["render by label"](server)))
            cached = await render(server)
        assert ["STORAGE_UNAVAILABLE"] * 2 == [failure.reason for failure in hanging]
        assert "1.0.0" == cached.receipt.semver
        assert "2.0.0" == (await render(server, bundle=UNCACHED)).receipt.semver


async def test_a_database_that_crashed_is_used_again(postgres: PostgresServer, server: LiveServer) -> None:
    """Connections that died unnoticed are replaced, so that the first call after the restart succeeds."""
    await postgres.stop(immediately=True)
    await postgres.start()
    assert "2.0.0" == (await render(server, bundle=UNCACHED)).receipt.semver


async def test_records_wait_for_the_database(postgres: PostgresServer, server: LiveServer) -> None:
    """Each record of an answered render is written when the database is back."""
    await postgres.stop()
    answered = await render_many(server, 50)
    waiting = server.application.sink.status()
    await postgres.start()
    assert await server.application.sink.flush(SECONDS)
    assert (50, 0, 0) == (waiting.queued, waiting.written, waiting.dropped)
    assert answered == await recorded(server)


async def test_records_beyond_the_queue_are_dropped_and_counted(postgres: PostgresServer, url: str) -> None:
    """Renders go on; the first that fit the queue are kept."""
    async with live_server(url, audit_durability="memory", audit_queue_records="10") as server:
        await warm(server)
        await postgres.stop()
        answered = await render_many(server, 25)
        full = server.application.sink.status()
        await postgres.start()
        assert await server.application.sink.flush(SECONDS)
        assert (10, 15) == (full.queued, full.dropped)
        assert answered[:10] == await recorded(server)
        assert (await render_many(server, 1))[0]


async def test_records_beyond_the_bytes_are_dropped_and_counted(postgres: PostgresServer, url: str) -> None:
    """Long prompts fill the queue before there are many."""
    async with live_server(url, audit_durability="memory", audit_queue_bytes=str(1024 * 1024)) as server:
        await warm(server)
        await postgres.stop()
        answered = await render_many(server, 20, "x" * 60_000)
        full = server.application.sink.status()
        await postgres.start()
        assert await server.application.sink.flush(SECONDS)
        assert (20, True) == (full.queued + full.dropped, full.dropped > 0)
        assert 0 < full.queued_bytes <= 1024 * 1024
        assert answered[: full.queued] == await recorded(server)


async def test_records_are_dropped_when_their_time_is_over(postgres: PostgresServer, url: str) -> None:
    """Tried for no longer than the setting, they are dropped and counted; later ones are written."""
    async with live_server(url, audit_durability="memory", audit_retry_seconds="0") as server:
        await warm(server)
        await postgres.stop()
        await render_many(server, 5)
        assert await server.application.sink.flush(SECONDS)
        dropped = server.application.sink.status()
        await postgres.start()
        answered = await render_many(server, 3)
        assert await server.application.sink.flush(SECONDS)
        assert (0, 5) == (dropped.queued, dropped.dropped)
        assert answered == await recorded(server)


async def test_records_beyond_the_memory_wait_in_files(postgres: PostgresServer, url: str) -> None:
    """With a spool a full memory costs no record, and their order stays."""
    async with live_server(url, audit_queue_records="10") as server:
        await warm(server)
        await postgres.stop()
        answered = await render_many(server, 25)
        waiting = server.application.sink.status()
        await postgres.start()
        assert await server.application.sink.flush(SECONDS)
        assert (25, 0, False) == (waiting.queued, waiting.dropped, waiting.full)
        assert answered == await recorded(server)


async def test_the_next_server_writes_what_the_last_one_could_not(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    """What is not written within the grace stays in the spool."""
    spool = {"audit_spool_dir": str(tmp_path / "spool")}
    async with live_server(url, shutdown_grace="0.2", **spool) as server:
        await warm(server)
        await postgres.stop()
        answered = await render_many(server, 5)
    left = server.application.sink.status()
    await postgres.start()
    async with live_server(url, **spool) as server:
        assert await server.application.sink.flush(SECONDS)
        assert answered == await recorded(server)
    assert (5, 0) == (left.queued, left.dropped)
    assert [] == list((tmp_path / "spool").iterdir())


async def test_a_promised_commit_is_unavailable_meanwhile(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    """With durability commit a render without its row is not answered; the row comes once, later."""
    async with live_server(url, audit_durability="commit", audit_spool_dir=str(tmp_path)) as server:
        await warm(server)
        first = await render(server)
        assert [first.receipt.render_id] == await recorded(server)
        await postgres.stop()
        failure = await failure_of(render(server))
        batch = pb.RenderBatchRequest(requests=[pb.RenderRequest(bundle=CACHED, payload=payload())] * 2)
        outcomes = (await server.prompts.RenderBatch(batch)).outcomes
        await postgres.start()
        assert await server.application.sink.flush(SECONDS)
        assert (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE") == (failure.code, failure.reason)
        assert ["STORAGE_UNAVAILABLE"] * 2 == [
            PeciaError.from_render_error(outcome.error).reason for outcome in outcomes
        ]
        assert 4 == len(await recorded(server))


async def test_a_server_stops_without_its_database(postgres: PostgresServer, url: str) -> None:
    """What can't be written within the grace, and is in memory only, is dropped and counted."""
    async with live_server(url, audit_durability="memory", shutdown_grace="0.2") as server:
        await warm(server)
        await postgres.stop()
        await render_many(server, 5)
    assert (0, 5) == (server.application.sink.status().queued, server.application.sink.status().dropped)


async def test_a_server_does_not_start_without_its_database(postgres: PostgresServer, url: str) -> None:
    """It says that the database does not answer."""
    await postgres.stop()
    with pytest.raises(UnavailableError, match="the database does not answer"):
        async with live_server(url):
            pass
