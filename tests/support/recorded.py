"""Renders whose records are in the database, and changes behind the service's back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import replay_pb2
from sqlalchemy import Column, Table, select, update
from support.server import LiveServer
from support.wire import payload, version_ref


async def flush(server: LiveServer) -> None:
    """Wait until all that was recorded has been written."""
    assert await server.application.sink.flush(30)


async def record(server: LiveServer, **fields: Any) -> pb.RenderResponse:
    """Render a published bundle, or what is given, and wait for its record."""
    request = {"bundle": version_ref(), "payload": payload({"mood": "calm"}), **fields}
    if "inline_bundle" in fields:
        del request["bundle"]
    answer = await server.prompts.Render(pb.RenderRequest(**request))
    await flush(server)
    return answer


async def record_many(server: LiveServer, count: int) -> None:
    """Render so many prompts, each with a task of its own, and wait for their records."""
    for start in range(0, count, 256):
        requests = [
            pb.RenderRequest(bundle=version_ref(), payload=payload(task=f"task {number}"))
            for number in range(start, min(count, start + 256))
        ]
        await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=requests))
    await flush(server)


async def replay(server: LiveServer, render_id: str) -> replay_pb2.ReplayResult:
    """Replay a record."""
    return (await server.prompts.Replay(pb.ReplayRequest(render_id=render_id))).result


async def verify(server: LiveServer, **fields: Any) -> list[pb.VerifyAuditResponse]:
    """Verify records, and return all that was answered."""
    return [event async for event in server.prompts.VerifyAudit(pb.VerifyAuditRequest(**fields))]


def verdict(result: replay_pb2.ReplayResult) -> tuple[str, list[str]]:
    """Return the names of the verdict and of the causes."""
    return (
        replay_pb2.ReplayVerdict.Name(result.verdict).removeprefix("REPLAY_VERDICT_"),
        [
            replay_pb2.ReplayCause.Name(finding.cause).removeprefix("REPLAY_CAUSE_")
            for finding in result.findings
        ],
    )


def swap(old: str, new: str) -> Callable[[str], str]:
    """Return what replaces one occurrence of a text that must be there."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def flip(digest: str) -> str:
    """Change the first character of a digest."""
    return ("1" if digest[0] == "0" else "0") + digest[1:]


async def tamper(server: LiveServer, column: Column[Any], change: Callable[[str], str], **where: str) -> None:
    """Change the text of a column in the one row whose columns have these values."""
    chosen = [column.table.c[name] == value for name, value in where.items()]
    table = column.table
    assert isinstance(table, Table)
    async with server.application.database.engine.begin() as connection:
        before = (await connection.execute(select(column).where(*chosen))).scalar_one()
        await connection.execute(update(table).where(*chosen).values({column: change(before)}))
