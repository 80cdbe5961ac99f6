"""Audit records that were changed behind the service's back stay readable, and are found."""

from collections.abc import AsyncIterator

import pytest
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import replay_pb2
from sqlalchemy import text
from support.server import LiveServer, live_server
from support.wire import payload, publish, version_ref


@pytest.fixture
async def server(tmp_path: object) -> AsyncIterator[LiveServer]:
    """Serve on SQLite, which keeps values of any type and bytes that are no text."""
    async with live_server(f"sqlite:///{tmp_path}/pecia.db", log_level="error") as live:
        await publish(live.registry)
        yield live


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("prompt", "CAST(x'41ff42' AS TEXT)"),
        ("payload", "CAST(x'ff' AS TEXT)"),
        ("payload", "x'ff00'"),
        ("adapter_version", "CAST(x'41ff42' AS TEXT)"),
        ("bundle_id", "CAST(x'ff' AS TEXT)"),
        ("templates_json", "'xx'"),
        ("templates_json", """'[{"slot":"none"}]'"""),
        ("created_at", "9223372036854775807"),
        ("created_at", "-9223372036854775807"),
        ("created_at", "'abc'"),
        ("redacted_at", "'abc'"),
        ("inline", "7"),
    ],
)
async def test_damaged_records_can_be_read_and_are_found(server: LiveServer, column: str, value: str) -> None:
    """Reading and listing answer whatever a row holds; replay and verification say that it is damaged."""
    rendered = await server.prompts.Render(
        pb.RenderRequest(bundle=version_ref(), payload=payload({"mood": "calm"}))
    )
    assert await server.application.sink.flush(10)
    async with server.application.database.engine.begin() as connection:
        await connection.execute(text(f"UPDATE audit_records SET {column} = {value}"))

    render_id = rendered.receipt.render_id
    read = await server.prompts.GetAuditRecord(pb.GetAuditRecordRequest(render_id=render_id))
    listed = await server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest())
    replayed = await server.prompts.Replay(pb.ReplayRequest(render_id=render_id))
    events = [event async for event in server.prompts.VerifyAudit(pb.VerifyAuditRequest())]

    assert read.record.receipt.render_id == render_id
    assert [record.receipt.render_id for record in listed.records] == [render_id]
    assert replayed.result.verdict == replay_pb2.REPLAY_VERDICT_MISMATCH
    assert events[-1].summary == replay_pb2.VerifySummary(checked=1, mismatched=1)
