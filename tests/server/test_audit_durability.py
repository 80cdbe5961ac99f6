"""When a render is answered is a setting, over every way to render; so is what happens when audit is full."""

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from pecia.v1 import prompt_service_pb2 as pb
from pecia_client import PeciaError
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.database import DatabaseAuditSink
from pecia_service.audit.sinks.null import NullAuditSink
from pecia_service.audit.sinks.spooled import SpooledAuditSink
from pecia_service.audit.spool.survey import survey
from pecia_service.audit.store import AuditStore
from pecia_service.bootstrap import application, make_sink
from pecia_service.settings import Settings, SettingsError
from pecia_service.storage.engine import Database
from sqlalchemy import text
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import inline_bundle, payload, publish, version_ref


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Name a database that is not there yet."""
    return f"sqlite:///{tmp_path / 'pecia.db'}"


SECONDS = 30.0

Rendered = pb.RenderResponse | pb.RenderError


def request(number: int = 0) -> pb.RenderRequest:
    """Ask for a published version."""
    return pb.RenderRequest(bundle=version_ref(), payload=payload(task=f"task {number}"))


def outcomes_of(outcomes: list[pb.RenderOutcome]) -> list[Rendered]:
    """Return answers and errors."""
    return [
        outcome.response if outcome.WhichOneof("outcome") == "response" else outcome.error
        for outcome in outcomes
    ]


async def unary(server: LiveServer) -> list[Rendered]:
    """Render stored and inline pieces, one by one."""
    inline = pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload())
    return [await server.prompts.Render(request()), await server.prompts.Render(inline)]


async def batch(server: LiveServer) -> list[Rendered]:
    """Render several at once."""
    answer = await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=[request(n) for n in range(20)]))
    return outcomes_of(list(answer.outcomes))


async def stream(server: LiveServer) -> list[Rendered]:
    """Render a stream of several."""

    async def requests() -> AsyncIterator[pb.RenderStreamRequest]:
        for number in range(20):
            yield pb.RenderStreamRequest(correlation_id=str(number), request=request(number))

    return outcomes_of([answer.outcome async for answer in server.prompts.RenderStream(requests())])


async def stream_of_pieces(server: LiveServer) -> list[Rendered]:
    """Render a stream of what no cache holds."""

    async def requests() -> AsyncIterator[pb.RenderStreamRequest]:
        for _ in range(20):
            inline = pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload())
            yield pb.RenderStreamRequest(request=inline)

    return outcomes_of([answer.outcome async for answer in server.prompts.RenderStream(requests())])


WAYS: dict[str, Callable[[LiveServer], Awaitable[list[Rendered]]]] = {
    "Render": unary,
    "RenderBatch": batch,
    "RenderStream": stream,
    "RenderStream of pieces": stream_of_pieces,
}


def answered(rendered: list[Rendered]) -> set[str]:
    """Return the ids of what was rendered, which must be all."""
    assert all(isinstance(each, pb.RenderResponse) for each in rendered)
    return {each.receipt.render_id for each in rendered if isinstance(each, pb.RenderResponse)}


async def stored(server: LiveServer) -> set[str]:
    """Return the ids of what is in the database now."""
    entries = await AuditStore(server.application.database).page("default", AuditFilter(), limit=1000)
    return {entry.record.render_id for entry in entries}


def append_fails(server: LiveServer) -> None:
    """Let the disk of the spool be full from now on."""
    sink = server.application.sink
    assert isinstance(sink, SpooledAuditSink)

    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    sink._spool._write = fail


@pytest.mark.parametrize("way", WAYS)
async def test_with_commit_every_answer_has_its_row(way: str, migrated_database_url: str) -> None:
    """When the client has the answer, the database has the record."""
    async with live_server(migrated_database_url, audit_durability="commit") as server:
        await publish(server.registry)
        assert answered(await WAYS[way](server)) == await stored(server)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("durability", ["spool", "fsync"])
async def test_with_a_spool_every_answer_is_in_a_file(
    way: str, durability: str, migrated_database_url: str, tmp_path: Path
) -> None:
    """When the client has the answer, the record is in a file or in the database already."""
    spool = tmp_path / "spool"
    async with live_server(
        migrated_database_url, audit_durability=durability, audit_spool_dir=str(spool)
    ) as server:
        await publish(server.registry)
        renders = answered(await WAYS[way](server))
        # Asked in this order, what is delivered meanwhile is counted twice rather than not at all.
        in_files = sum(owner.records for owner in survey(spool).owners)
        assert len(renders) <= in_files + len(await stored(server))
        assert await server.application.sink.flush(30)
        assert renders == await stored(server)
    assert [] == os.listdir(spool)


async def test_a_disk_that_does_not_sync_fails_what_was_promised(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A render, and each outcome of a batch and of a stream, says so."""

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    async with live_server(migrated_database_url, audit_durability="fsync") as server:
        await publish(server.registry)
        sink = server.application.sink
        assert isinstance(sink, SpooledAuditSink)
        monkeypatch.setattr(sink._commits, "_fsync", fail)
        failure = await failure_of(server.prompts.Render(request()))
        errors = [*await batch(server), *await stream(server)]
    assert (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE") == (failure.code, failure.reason)
    assert [("UNAVAILABLE", "STORAGE_UNAVAILABLE")] * 40 == [
        (found.code.name, found.reason)
        for found in (PeciaError.from_render_error(e) for e in errors if isinstance(e, pb.RenderError))
    ]


async def test_an_answer_that_waits_for_the_disk_holds_up_no_other(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after it on its stream, and fails, is answered first."""
    synced = threading.Event()

    def wait(descriptor: int) -> None:
        synced.wait(SECONDS)

    async with live_server(migrated_database_url, audit_durability="fsync") as server:
        await publish(server.registry)
        await server.prompts.Render(request())
        sink = server.application.sink
        assert isinstance(sink, SpooledAuditSink)
        monkeypatch.setattr(sink._commits, "_fsync", wait)
        call: Any = server.prompts.RenderStream(timeout=SECONDS)
        await call.write(pb.RenderStreamRequest(correlation_id="waits", request=request()))
        await call.write(pb.RenderStreamRequest(correlation_id="x" * 129))
        await call.done_writing()
        found = [(await call.read()).correlation_id[:5]]
        synced.set()
        found.append((await call.read()).correlation_id)
    assert ["xxxxx", "waits"] == found


@pytest.mark.parametrize("durability", ["spool", "fsync"])
@pytest.mark.parametrize("way", ["RenderBatch", "RenderStream", "RenderStream of pieces"])
async def test_a_fault_of_one_record_fails_its_render_only(
    way: str, durability: str, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of a batch and of a stream are answered and recorded."""
    async with live_server(migrated_database_url, audit_durability=durability) as server:
        await publish(server.registry)
        sink = server.application.sink
        take, numbers = sink.record, count()

        def record(taken: AuditRecord) -> Awaitable[None] | None:
            if next(numbers) == 1:
                raise ValueError("a fault")
            return take(taken)

        monkeypatch.setattr(sink, "record", record)
        rendered = await WAYS[way](server)
        assert await sink.flush(SECONDS)
        renders = await stored(server)
    errors = [PeciaError.from_render_error(each) for each in rendered if isinstance(each, pb.RenderError)]
    assert [("INTERNAL", "INTERNAL_FAULT")] == [(error.code.name, error.reason) for error in errors]
    assert (19, answered([each for each in rendered if isinstance(each, pb.RenderResponse)])) == (
        len(renders),
        renders,
    )


async def test_a_full_spool_lets_renders_go_on(migrated_database_url: str) -> None:
    """By default their records are dropped and counted, and the status says so."""
    async with live_server(migrated_database_url) as server:
        await publish(server.registry)
        append_fails(server)
        rendered = [*await unary(server), *await batch(server), *await stream(server)]
        status = server.application.sink.status()
    assert (42, 42, True) == (len(answered(rendered)), status.dropped, status.full)


async def test_a_full_spool_refuses_renders_where_that_is_the_policy(migrated_database_url: str) -> None:
    """What can't be recorded is not rendered; checking a request alone still works."""
    async with live_server(migrated_database_url, audit_full="refuse") as server:
        await publish(server.registry)
        append_fails(server)
        failure = await failure_of(server.prompts.Render(request()))
        errors = [*await batch(server), *await stream(server), *await stream_of_pieces(server)]
        checked = request()
        checked.validate_only = True
        assert (await server.prompts.Render(checked)).prompt
    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "AUDIT_FULL") == (failure.code, failure.reason)
    assert failure.retry_after
    assert ["AUDIT_FULL"] * 60 == [
        PeciaError.from_render_error(error).reason for error in errors if isinstance(error, pb.RenderError)
    ]


@pytest.mark.parametrize(
    ("durability", "sink", "kind"),
    [
        ("memory", "database", DatabaseAuditSink),
        ("spool", "database", SpooledAuditSink),
        ("spool", "null", NullAuditSink),
    ],
)
async def test_a_setting_chooses_the_sink(
    durability: str, sink: str, kind: type, sqlite_url: str, tmp_path: Path
) -> None:
    """Only a spool makes a folder."""
    spool = tmp_path / "spool"
    async with live_server(
        sqlite_url, audit_durability=durability, audit_sink=sink, audit_spool_dir=str(spool)
    ) as server:
        assert isinstance(server.application.sink, kind)
    assert (kind is SpooledAuditSink) == spool.exists()


async def test_the_spool_is_beside_the_file_of_sqlite(sqlite_url: str) -> None:
    """Without a setting a new user finds it next to the data."""
    async with live_server(sqlite_url, audit_spool_dir=""):
        folder = Path(f"{sqlite_url.removeprefix('sqlite:///')}-spool")
        assert 1 == len(os.listdir(folder))
    assert [] == os.listdir(folder)


async def test_a_folder_that_cant_be_used_is_one_line(database: Database, tmp_path: Path) -> None:
    """It names the setting, and what to do."""
    (tmp_path / "file").write_bytes(b"")
    settings = Settings.load({}, {"audit_spool_dir": str(tmp_path / "file" / "spool")})
    with pytest.raises(
        SettingsError, match=r"^PECIA_AUDIT_SPOOL_DIR: the folder .* can't be used \(Not a dir"
    ):
        make_sink(settings, AuditStore(database))


@pytest.mark.parametrize(
    ("durability", "synchronous"), [("memory", 1), ("spool", 1), ("fsync", 2), ("commit", 2)]
)
async def test_a_database_in_a_file_is_as_durable_as_the_answers(
    sqlite_url: str, durability: str, synchronous: int
) -> None:
    """A record leaves the spool with its commit, which a power cut must not take back then."""
    settings = Settings.load({}, {"database_url": sqlite_url, "audit_durability": durability})
    async with application(settings) as app:
        [row] = await app.database.fetch(text("PRAGMA synchronous"))
    assert synchronous == row[0]
