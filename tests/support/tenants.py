"""Calls of every kind by name, as one tenant or another, and what a tenant has in the database."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import pecia.v1
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc import aio
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import metadata
from sqlalchemy import select
from support.statuses import read_failure

# What differs from one call to the next.
_PASSING = frozenset({"render_id", "created_at", "published_at", "updated_at", "occurred_at", "erased_at"})


def contract() -> dict[str, tuple[MethodDescriptor, ModuleType]]:
    """Return every method of every service of the contract by name, with the module of its stub."""
    found = {}
    for module in pkgutil.iter_modules(pecia.v1.__path__):
        if module.name.endswith("_service_pb2"):
            messages = import_module(f"pecia.v1.{module.name}")
            stubs = import_module(f"pecia.v1.{module.name}_grpc")
            for service in messages.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    assert method.name not in found
                    found[method.name] = method, stubs
    return found


CONTRACT = contract()


@dataclass(frozen=True)
class Answer:
    """What came back: the messages as they are, or the error's status and reason."""

    messages: Sequence[Any]
    error: str = ""
    trailing: str = ""

    @property
    def shown(self) -> object:
        """The answer without what differs from call to call; errors within messages by their reasons."""
        return self.error or [
            _scrubbed(MessageToDict(message, preserving_proto_field_name=True)) for message in self.messages
        ]

    @property
    def text(self) -> str:
        """Everything that came back, for a search."""
        return f"{self.messages} {self.error} {self.trailing}"


class Tenant:
    """Calls methods of the contract with one key."""

    def __init__(self, channel: aio.Channel, token: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def call(self, method: str, request: Message) -> Answer:
        """Call a method by its name, and return whatever comes back."""
        descriptor, stubs = CONTRACT[method]
        service = descriptor.containing_service.name
        stub = getattr(getattr(stubs, f"{service}Stub")(self._channel), method)
        sent: Any = iter([request]) if descriptor.client_streaming else request
        try:
            if descriptor.server_streaming:
                return Answer([message async for message in stub(sent, metadata=self._metadata)])
            return Answer([await stub(sent, metadata=self._metadata)])
        except aio.AioRpcError as error:
            failure = read_failure(error)
            return Answer(
                [], f"{failure.code.name} {failure.reason}", f"{failure} {error.trailing_metadata()}"
            )

    async def one(self, method: str, request: Message) -> Any:
        """Call a method that must answer one message."""
        answer = await self.call(method, request)
        assert answer.error == ""
        return answer.messages[-1]


async def rows_of(database: Database, tenant_id: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of a tenant, by table."""
    found = {}
    for name, table in metadata.tables.items():
        rows = await database.fetch(select(table).where(table.c.tenant_id == tenant_id))
        found[name] = sorted((tuple(row) for row in rows), key=repr)
    return found


def _scrubbed(value: object) -> object:
    if isinstance(value, list):
        return [_scrubbed(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) >= {"code", "reason"}:
        return str(value["reason"]).removeprefix("ERROR_REASON_")
    return {key: _scrubbed(item) for key, item in value.items() if key not in _PASSING}
