"""Audit records over a channel: reading, listing, verifying, erasing and deleting them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2
from pecia.v1 import audit_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.store import AuditStore
from pecia_service.ids import uuid7
from pecia_service.storage.tables import audit_piece_uses, audit_pieces, audit_records
from sqlalchemy import func, select
from support.recorded import flip, record, record_many, replay, tamper, verdict, verify
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import inline_bundle, payload, publish, version_ref

FAR_FUTURE = timestamp_pb2.Timestamp(seconds=4_102_444_800)
UNKNOWN_RENDER = uuid7(1_600_000_000_000, 1)


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server with two versions of a bundle."""
    async with live_server(migrated_database_url) as live:
        await publish(live.registry, semvers=("1.0.0", "2.0.0"))
        yield live


async def get(server: LiveServer, render_id: str) -> audit_pb2.AuditRecord:
    """Read a record."""
    return (await server.prompts.GetAuditRecord(pb.GetAuditRecordRequest(render_id=render_id))).record


async def listed(server: LiveServer, **fields: Any) -> list[audit_pb2.AuditRecord]:
    """List one page of records."""
    return list((await server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest(**fields))).records)


async def redact(server: LiveServer, render_id: str) -> audit_pb2.AuditRecord:
    """Redact a record."""
    request = pb.RedactAuditRecordRequest(render_id=render_id)
    return (await server.prompts.RedactAuditRecord(request)).record


async def prune(
    server: LiveServer, before: timestamp_pb2.Timestamp, **fields: Any
) -> list[tuple[int, int, bool]]:
    """Prune, and return all counts: records, pieces, done."""
    request = pb.PruneAuditRecordsRequest(before=before, **fields)
    return [
        (item.records, item.pieces, item.done) async for item in server.prompts.PruneAuditRecords(request)
    ]


async def rows(server: LiveServer, table: Any) -> int:
    """Count the rows of a table."""
    found = await server.application.database.fetch(select(func.count()).select_from(table))
    count: int = found[0][0]
    return count


async def test_a_record_is_what_was_answered(server: LiveServer) -> None:
    """It has the receipt, the four templates, the canonical payload and the prompt."""
    answer = await record(server, adapter_version="a1")
    found = await get(server, answer.receipt.render_id.upper())
    assert answer.receipt == found.receipt
    assert [1, 2, 3, 4] == [use.slot for use in found.templates]
    assert "companion-task" == found.templates[3].template.template_id
    assert answer.prompt == found.prompt
    canonical = (
        b'{"activity_level":0.5,"semantic_traits":{"mood":"calm"},"stress":0.25,"task":"Plan the day."}'
    )
    assert canonical == found.canonical_payload
    assert (True, True, False, False) == (
        found.prompt_kept,
        found.payload_kept,
        found.inline,
        found.HasField("redacted_at"),
    )


async def test_records_are_listed_newest_first_without_texts(server: LiveServer) -> None:
    """A listed record is the record without prompt and payload, and says that they are kept."""
    ids = [(await record(server)).receipt.render_id for _ in range(3)]
    newest = await get(server, ids[2])
    newest.ClearField("prompt")
    newest.ClearField("canonical_payload")
    found = await listed(server)
    assert list(reversed(ids)) == [item.receipt.render_id for item in found]
    assert newest == found[0]


async def test_records_are_paged(server: LiveServer) -> None:
    """Pages go on where they ended; a token belongs to its filter."""
    ids = [(await record(server)).receipt.render_id for _ in range(5)]
    found, token = [], ""
    for _ in range(3):
        page = await server.prompts.ListAuditRecords(
            pb.ListAuditRecordsRequest(page_size=2, page_token=token)
        )
        found += [item.receipt.render_id for item in page.records]
        kept, token = token, page.next_page_token
    assert (list(reversed(ids)), "") == (found, token)
    other = audit_pb2.AuditFilter(bundle_id="companion")
    failure = await failure_of(listed(server, page_size=2, page_token=kept, filter=other))
    assert "PAGE_TOKEN_INVALID" == failure.reason


async def test_a_filter_selects_records(server: LiveServer) -> None:
    """By time, half-open; by bundle and version; by prompt."""
    first = (await record(server)).receipt
    second = (await record(server, bundle=version_ref("2.0.0"), payload=payload(task="x"))).receipt
    third = (await record(server, inline_bundle=inline_bundle(bundle_id="other"))).receipt
    filters = {
        "from": (audit_pb2.AuditFilter(start_time=second.created_at), [third, second]),
        "up to": (audit_pb2.AuditFilter(end_time=second.created_at), [first]),
        "between": (
            audit_pb2.AuditFilter(start_time=second.created_at, end_time=third.created_at),
            [second],
        ),
        "bundle": (audit_pb2.AuditFilter(bundle_id="companion"), [second, first]),
        "version": (audit_pb2.AuditFilter(bundle_id="companion", semver="2.0.0"), [second]),
        "prompt": (audit_pb2.AuditFilter(prompt_hash=second.prompt_hash), [second]),
        "nothing": (audit_pb2.AuditFilter(bundle_id="nobody"), []),
    }
    for name, (chosen, expected) in filters.items():
        found = [item.receipt for item in await listed(server, filter=chosen)]
        assert (name, expected) == (name, found)
        summary = (await verify(server, filter=chosen))[-1].summary
        assert (name, len(expected)) == (name, summary.matched)


async def test_a_record_on_its_way_is_pending(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is written, whoever asks for it is told to ask again; then it is there."""
    gate, insert = asyncio.Event(), AuditStore.insert_many

    async def insert_later(self: AuditStore, records: Sequence[AuditRecord]) -> None:
        await gate.wait()
        await insert(self, records)

    monkeypatch.setattr(AuditStore, "insert_many", insert_later)
    # Nothing else may count as on its way than what the server itself still holds.
    async with live_server(server.settings.database_url, audit_settle_seconds="0") as live:
        answer = await live.prompts.Render(pb.RenderRequest(bundle=version_ref(), payload=payload()))
        render_id = answer.receipt.render_id
        failures = [await failure_of(call(live, render_id)) for call in (get, replay, redact)]
        gate.set()
        assert await live.application.sink.flush(10)
        assert answer.receipt == (await get(live, render_id)).receipt
    expected = (grpc.StatusCode.UNAVAILABLE, "AUDIT_RECORD_PENDING")
    assert [expected] * 3 == [(failure.code, failure.reason) for failure in failures]
    assert all(failure.retry_after for failure in failures)


async def test_an_absent_record_may_be_on_its_way_for_the_set_time(server: LiveServer) -> None:
    """A render of two seconds ago may have been made by another process, unless records settle at once."""
    recent = uuid7(time.time_ns() // 1_000_000 - 2_000, 1)
    reasons = []
    for seconds in ("3600", "0"):
        async with live_server(server.settings.database_url, audit_settle_seconds=seconds) as other:
            reasons.append((await failure_of(get(other, recent))).reason)
    assert ["AUDIT_RECORD_PENDING", "AUDIT_RECORD_NOT_FOUND"] == reasons


async def test_redaction_erases_the_texts_for_good(server: LiveServer) -> None:
    """Prompt and payload are gone, the hashes stay, and a second time changes nothing."""
    answer = await record(server)
    redacted = await redact(server, answer.receipt.render_id)
    assert ("", b"", False, False) == (
        redacted.prompt,
        redacted.canonical_payload,
        redacted.prompt_kept,
        redacted.payload_kept,
    )
    assert (True, answer.receipt) == (redacted.HasField("redacted_at"), redacted.receipt)
    assert redacted == await redact(server, answer.receipt.render_id)
    assert redacted == await get(server, answer.receipt.render_id)


async def test_a_redacted_record_is_unverifiable(server: LiveServer) -> None:
    """Replay says that it was redacted; verifying counts it."""
    render_id = (await record(server)).receipt.render_id
    await redact(server, render_id)
    assert ("UNVERIFIABLE", ["REDACTED"]) == verdict(await replay(server, render_id))
    assert 1 == (await verify(server))[-1].summary.unverifiable


@pytest.mark.parametrize("call", [get, replay, redact])
async def test_an_unknown_render_is_not_found(server: LiveServer, call: Callable[..., Any]) -> None:
    """An old id without a record has none."""
    failure = await failure_of(call(server, UNKNOWN_RENDER))
    assert (grpc.StatusCode.NOT_FOUND, "AUDIT_RECORD_NOT_FOUND") == (failure.code, failure.reason)


async def test_pruning_deletes_what_is_older(server: LiveServer) -> None:
    """Only records made before the time go; counting deletes nothing."""
    receipts = [(await record(server)).receipt for _ in range(4)]
    before = receipts[3].created_at
    assert [(3, 0, True)] == await prune(server, before, validate_only=True)
    assert 4 == await rows(server, audit_records)
    assert [(3, 0, False), (3, 0, True)] == await prune(server, before)
    assert [receipts[3].render_id] == [item.receipt.render_id for item in await listed(server)]
    assert [(0, 0, True)] == await prune(server, before)


async def test_pruning_keeps_the_pieces_that_are_needed(server: LiveServer) -> None:
    """An inline piece goes with the last record that was rendered from it."""
    await record(server, inline_bundle=inline_bundle())
    last = (await record(server, inline_bundle=inline_bundle({"task": "Other: {{task}}"}))).receipt
    assert 5 == await rows(server, audit_pieces)
    assert (1, 1, True) == (await prune(server, last.created_at))[-1]
    assert ("MATCH", []) == verdict(await replay(server, last.render_id))
    assert (1, 4, True) == (await prune(server, FAR_FUTURE))[-1]
    tables = (audit_records, audit_pieces, audit_piece_uses)
    assert [0, 0, 0] == [await rows(server, table) for table in tables]


async def test_long_work_tells_its_progress(server: LiveServer) -> None:
    """Verifying tells at the start and each 1,000 records; pruning after each transaction."""
    await record_many(server, 1024)
    events = await verify(server)
    progress = [(event.progress.checked, event.progress.total) for event in events[:-1]]
    assert [(0, 1024), (1000, 1024)] == progress
    assert (1024, 1024) == (events[-1].summary.checked, events[-1].summary.matched)
    assert [500, 1000, 1024, 1024] == [records for records, _, _ in await prune(server, FAR_FUTURE)]


async def test_verifying_sums_up_what_it_finds(server: LiveServer) -> None:
    """Findings come oldest first, matches are only counted, and the summary is last."""
    receipts = [(await record(server)).receipt for _ in range(4)]
    await tamper(server, audit_records.c.record_hash, flip, render_id=receipts[1].render_id)
    await redact(server, receipts[2].render_id)
    events = await verify(server)
    findings = [event.finding.render_id for event in events if event.HasField("finding")]
    assert [receipts[1].render_id, receipts[2].render_id] == findings
    summary = events[-1].summary
    counts = (summary.checked, summary.matched, summary.mismatched, summary.unverifiable)
    assert (4, 2, 1, 1) == counts


async def test_verifying_stops_when_the_client_goes_away(server: LiveServer) -> None:
    """A cancelled stream frees what it holds."""
    await record_many(server, 256)
    call = server.prompts.VerifyAudit(pb.VerifyAuditRequest())
    assert isinstance(await call.read(), pb.VerifyAuditResponse)
    call.cancel()
    assert grpc.StatusCode.CANCELLED == await call.code()
    assert 256 == (await asyncio.wait_for(verify(server), 30))[-1].summary.matched
