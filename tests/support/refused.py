"""Sending requests that must be refused, and looking whether they left anything in the database."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import metadata
from sqlalchemy import func, select
from support.server import LiveServer
from support.statuses import Failure, read_failure
from support.wire import payload, publish, version_ref

_ANSWERED_BY_STREAM = frozenset({"VerifyAudit", "PruneAuditRecords"})
_PROMPT_SERVICE = frozenset(
    method.name for method in pb.DESCRIPTOR.services_by_name["PromptService"].methods_by_name.values()
)


async def send(server: LiveServer, method: str, request: Message | bytes) -> object:
    """Call a method with a message, or with bytes that need not be one, and return the raw answers."""
    service = "PromptService" if method in _PROMPT_SERVICE else "RegistryService"
    path = f"/pecia.v1.{service}/{method}"
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    call: Any
    if method in _ANSWERED_BY_STREAM:
        call = server.channel.unary_stream(path)
        return [answer async for answer in call(raw)]
    call = server.channel.unary_unary(path)
    return await call(raw)


async def fill(server: LiveServer) -> None:
    """Publish a bundle and render it, so that there is something that a bad request could change."""
    await publish(server.registry)
    await server.prompts.Render(pb.RenderRequest(bundle=version_ref(), payload=payload()))


async def refuse(server: LiveServer, method: str, request: Message | bytes) -> Failure:
    """Send what must be refused, and return the failure; assert that no table has more or fewer rows."""
    before = await _counts(server)
    with pytest.raises(aio.AioRpcError) as caught:
        await send(server, method, request)
    assert before == await _counts(server)
    return read_failure(caught.value)


async def _counts(server: LiveServer) -> dict[str, int]:
    """Count the rows of every table, when all that was recorded has been written."""
    assert await server.application.sink.flush(10)
    database: Database = server.application.database
    return {
        table.name: (await database.fetch(select(func.count()).select_from(table)))[0][0]
        for table in metadata.sorted_tables
    }
