"""Every RPC has its scope, and does nothing for a caller who lacks it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest
from grpc import aio
from grpc_channelz.v1 import channelz_pb2
from pecia.v1 import admin_service_pb2, prompt_service_pb2, registry_service_pb2
from pecia_service.access.model import Caller, Scope
from pecia_service.bootstrap import Application
from pecia_service.server.app import SERVICES
from pecia_service.server.interceptors.scopes import SCOPES, require_rows
from support.edge import KnownCallers, bearer
from support.server import LiveServer, live_server, served
from support.statuses import Failure, read_failure

FILES = (admin_service_pb2, prompt_service_pb2, registry_service_pb2)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
CHANNELZ = {
    f"/grpc.channelz.v1.Channelz/{method.name}"
    for method in channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].methods
}
CONTRACT = sorted(METHODS)


class Untouchable:
    """A part of the application that remembers whether anybody asked it for anything."""

    def __init__(self) -> None:
        self.touched: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.touched.append(name)
        raise NotImplementedError(name)

    def __call__(self, *_: object) -> Any:
        """Remember that as well."""
        self.touched.append("call")
        raise NotImplementedError


def key_of(scopes: frozenset[Scope]) -> str:
    """Name the key that has exactly these scopes."""
    return "+".join(sorted(scope.value for scope in scopes))


def callers() -> KnownCallers:
    """Know a key for each single scope, and for all but each."""
    every = frozenset(Scope)
    sets = [frozenset({scope}) for scope in Scope] + [every - {scope} for scope in Scope]
    return KnownCallers({key_of(scopes): Caller("acme", "somebody", scopes) for scopes in sets})


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server that wants authentication."""
    async with live_server(migrated_database_url, channelz="true") as live:
        yield live


@pytest.fixture
async def guarded(server: LiveServer) -> AsyncIterator[tuple[LiveServer, Untouchable]]:
    """Give a server that wants authentication, and the parts that it must not touch without."""
    parts = Untouchable()
    anything = cast("Any", parts)
    app: Application = replace(
        server.application,
        authenticator=cast("Any", callers()),
        generator=anything,
        registry=anything,
        audit=anything,
        checkers=anything,
        erasures=anything,
    )
    async with served(replace(server.settings, authentication="required"), app) as live:
        yield live, parts


async def call(server: LiveServer, method: str, key: str) -> Failure | None:
    """Call a method with an empty message, and return how it failed; None if it told no reason of ours."""
    # On the wire every kind of call is a stream; one message in one go is what grpcio can't fail to send.
    multicallable: Any = server.channel.unary_stream(method)
    try:
        async for _ in multicallable(b"", metadata=bearer(key)):
            pass
    except aio.AioRpcError as error:
        has_details = "grpc-status-details-bin" in dict(error.trailing_metadata() or ())
        return read_failure(error) if has_details else None
    return None


def test_every_rpc_has_a_scope_and_nothing_else_has() -> None:
    """The table and the descriptors of all services agree; every service is one that the server knows."""
    assert SCOPES.keys() == METHODS.keys() | CHANNELZ
    assert sorted(SERVICES) == sorted({method.containing_service.full_name for method in METHODS.values()})


def test_what_changes_something_is_not_for_readers() -> None:
    """What a method does can be told by its name; only what reads is allowed to readers."""
    reading = ("Get", "List", "Diff", "Replay", "Verify")
    readable = {method for method in METHODS if METHODS[method].name.startswith(reading)}
    administrative = {method for method in readable if "Erasure" in method}
    assert readable - administrative == {
        method for method, scope in SCOPES.items() if scope is Scope.READ and method in METHODS
    }


def test_a_server_without_a_row_does_not_start() -> None:
    """Nobody could say who may call the method."""
    with pytest.raises(LookupError, match=r"no scope is said to be needed for /a\.B/C, /a\.B/D$"):
        require_rows(["/a.B/D", "/pecia.v1.PromptService/Render", "/a.B/C"])


@pytest.mark.parametrize("method", [*CONTRACT, *sorted(CHANNELZ)])
@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_nothing_is_done_without_the_scope(
    guarded: tuple[LiveServer, Untouchable], method: str
) -> None:
    """All others together don't make up for it: none includes another."""
    live, parts = guarded
    failure = await call(live, method, key_of(frozenset(Scope) - {SCOPES[method]}))
    assert failure is not None
    assert (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING") == (failure.code, failure.reason)
    assert {"method": method, "scope": SCOPES[method].value} == failure.metadata
    assert [] == parts.touched


@pytest.mark.parametrize("method", [*CONTRACT, *sorted(CHANNELZ)])
@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_the_one_scope_is_enough(guarded: tuple[LiveServer, Untouchable], method: str) -> None:
    """With it alone a call gets as far as its request, whatever becomes of that."""
    failure = await call(guarded[0], method, key_of(frozenset({SCOPES[method]})))
    assert failure is None or failure.code not in {
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }


@pytest.mark.parametrize("method", [*CONTRACT, *sorted(CHANNELZ)])
@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_nothing_is_done_without_a_credential(
    guarded: tuple[LiveServer, Untouchable], method: str
) -> None:
    """Who shows nothing is told so, before its request is read."""
    live, parts = guarded
    multicallable: Any = live.channel.stream_stream(method)
    waiting = multicallable()
    with pytest.raises(aio.AioRpcError) as caught:
        # Nothing was sent but the headers.
        await waiting.read()
    failure = read_failure(caught.value)
    assert (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING") == (failure.code, failure.reason)
    assert ({"method": method}, []) == (failure.metadata, parts.touched)
