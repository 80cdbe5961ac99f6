"""What a server keeps of its renders is a setting: texts, payloads, or nothing."""

from collections.abc import Awaitable, Callable

import grpc
import pytest
from google.protobuf import timestamp_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import replay_pb2
from pecia_service.ids import uuid7
from support.recorded import record, replay, verdict
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import payload, publish

A_RENDER = uuid7(1_600_000_000_000, 1)


async def first(call: object) -> object:
    """Read the first answer of a stream."""
    async for answer in call:  # type: ignore[attr-defined]  # any call that answers a stream
        return answer
    return None


CALLS: dict[str, Callable[[LiveServer], Awaitable[object]]] = {
    "Replay": lambda server: server.prompts.Replay(pb.ReplayRequest(render_id=A_RENDER)),
    "GetAuditRecord": lambda server: server.prompts.GetAuditRecord(
        pb.GetAuditRecordRequest(render_id=A_RENDER)
    ),
    "ListAuditRecords": lambda server: server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest()),
    "RedactAuditRecord": lambda server: server.prompts.RedactAuditRecord(
        pb.RedactAuditRecordRequest(render_id=A_RENDER)
    ),
    "VerifyAudit": lambda server: first(server.prompts.VerifyAudit(pb.VerifyAuditRequest())),
    "PruneAuditRecords": lambda server: first(
        server.prompts.PruneAuditRecords(
            pb.PruneAuditRecordsRequest(before=timestamp_pb2.Timestamp(seconds=1))
        )
    ),
}


@pytest.mark.parametrize("method", CALLS)
async def test_a_server_without_audit_says_so(method: str, migrated_database_url: str) -> None:
    """Each RPC that needs records names the setting."""
    async with live_server(migrated_database_url, audit_sink="null") as server:
        failure = await failure_of(CALLS[method](server))
    assert (grpc.StatusCode.FAILED_PRECONDITION, "AUDIT_DISABLED") == (failure.code, failure.reason)
    assert {"setting": "PECIA_AUDIT_SINK"} == failure.metadata


async def test_a_server_without_audit_renders_the_same(migrated_database_url: str) -> None:
    """Auditing is no input of a prompt or a hash."""
    async with live_server(migrated_database_url) as server:
        await publish(server.registry)
        kept = await record(server)
    async with live_server(migrated_database_url, audit_sink="null") as server:
        lost = await record(server)
    assert lost.receipt.render_id
    assert (kept.prompt, kept.receipt.prompt_hash) == (lost.prompt, lost.receipt.prompt_hash)


async def test_a_record_without_its_prompt_replays(migrated_database_url: str) -> None:
    """The hash is enough to prove the prompt."""
    async with live_server(migrated_database_url, audit_keep_prompt="false") as server:
        await publish(server.registry)
        render_id = (await record(server)).receipt.render_id
        found = (await server.prompts.GetAuditRecord(pb.GetAuditRecordRequest(render_id=render_id))).record
        assert ("MATCH", []) == verdict(await replay(server, render_id))
    assert ("", False, True) == (found.prompt, found.prompt_kept, found.payload_kept)


async def test_a_record_without_its_payload_needs_it_again(migrated_database_url: str) -> None:
    """By render_id it is unverifiable; its receipt replays with the payload."""
    async with live_server(migrated_database_url, audit_keep_payload="false") as server:
        await publish(server.registry)
        receipt = (await record(server)).receipt
        by_id = await replay(server, receipt.render_id)
        claim = replay_pb2.ReceiptClaim(receipt=receipt, payload=payload({"mood": "calm"}))
        by_claim = (await server.prompts.Replay(pb.ReplayRequest(claim=claim))).result
    assert ("UNVERIFIABLE", ["PAYLOAD_MISSING"]) == verdict(by_id)
    assert ("MATCH", []) == verdict(by_claim)
