"""A server whose one service does what a test tells it, behind the whole edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1.prompt_service_pb2_grpc import (
    PromptServiceServicer,
    PromptServiceStub,
    add_PromptServiceServicer_to_server,
)
from pecia_service import logs
from pecia_service.access.model import Caller, Scope
from pecia_service.errors import ErrorReason, UnauthenticatedError
from pecia_service.server.context import CALLER, Context
from pecia_service.server.interceptors.assembly import edge_interceptor
from pecia_service.server.interceptors.edge import EdgeInterceptor
from pecia_service.server.options import server_options
from pecia_service.settings import Settings
from structlog.typing import EventDict

if TYPE_CHECKING:
    from pecia.v1.prompt_service_pb2_grpc import PromptServiceAsyncStub

SECONDS = 30.0

ADA = Caller("acme", "ada", frozenset(Scope))
BOB = Caller("acme", "bob", frozenset(Scope))
ZOE = Caller("other", "ada", frozenset(Scope))
"""Has the name of Ada, and is somebody else's."""


class Gate:
    """Holds whoever comes while it is closed, which it is not at first, and counts them."""

    def __init__(self) -> None:
        self.waiting = 0
        self.cancelled = 0
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Hold who comes from now on."""
        self._open.clear()

    def open(self) -> None:
        """Let all through."""
        self._open.set()

    async def go_through(self) -> None:
        """Wait until the gate is open."""
        self._count(1)
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._count(-1)

    async def holds(self, number: int) -> None:
        """Wait until so many are held."""
        async with asyncio.timeout(SECONDS):
            while self.waiting != number:
                await self._changed.wait()

    def _count(self, step: int) -> None:
        self.waiting += step
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class GatedServicer(PromptServiceServicer):
    """Sends every call through a gate, and then answers it, or raises `error`.

    A streaming method answers `answers` times before the gate; RenderStream echoes what it is sent, each
    through the gate. While it `says` something, it logs a line for each.
    """

    def __init__(self) -> None:
        self.gate = Gate()
        self.error: Exception | None = None
        self.answers = 1
        self.says = True
        self.callers: list[Caller] = []
        self.lines = structlog.get_logger("test")

    async def Render(self, request: pb.RenderRequest, context: Context) -> pb.RenderResponse:  # noqa: N802
        """Answer one request."""
        self.callers.append(CALLER.get())
        await self._pass()
        return pb.RenderResponse(prompt=request.model_type)

    async def VerifyAudit(  # noqa: N802
        self, request: pb.VerifyAuditRequest, context: Context
    ) -> AsyncIterator[pb.VerifyAuditResponse]:
        """Answer one request by several."""
        self.callers.append(CALLER.get())
        for _ in range(self.answers):
            yield pb.VerifyAuditResponse()
        await self._pass()

    async def RenderStream(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.RenderStreamRequest], context: Context
    ) -> AsyncIterator[pb.RenderStreamResponse]:
        """Answer each of several requests."""
        self.callers.append(CALLER.get())
        async for request in request_iterator:
            await self._pass()
            yield pb.RenderStreamResponse(correlation_id=request.correlation_id)

    async def _pass(self) -> None:
        if self.says:
            self.lines.info("at work")
        await self.gate.go_through()
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class KnownCallers:
    """An authenticator that knows keys and certificates by heart."""

    keys: Mapping[str, Caller] = field(default_factory=lambda: {"ada": ADA, "bob": BOB, "zoe": ZOE})
    certificates: Mapping[str, Caller] = field(default_factory=dict)

    async def authenticate_key(self, token: str) -> Caller:
        """Return whose key it is."""
        if token in self.keys:
            return self.keys[token]
        raise UnauthenticatedError(ErrorReason.CREDENTIALS_INVALID, "no", metadata={"kind": "key"})

    async def authenticate_certificate(self, names: Sequence[str]) -> Caller:
        """Return whose name it is."""
        for name in names:
            if name in self.certificates:
                return self.certificates[name]
        raise UnauthenticatedError(ErrorReason.CREDENTIALS_INVALID, "no", metadata={"kind": "certificate"})


@dataclass
class Observer:
    """Remembers what calls were observed."""

    begun: list[str] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def started(self, method: str) -> None:
        """Remember a beginning."""
        self.begun.append(method)

    def finished(self, method: str, code: str, seconds: float) -> None:
        """Remember an end."""
        self.ended.append((method.rpartition("/")[2], code))
        self.seconds.append(seconds)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def has_ended(self, number: int) -> None:
        """Wait until so many calls have ended."""
        async with asyncio.timeout(SECONDS):
            while len(self.ended) < number:
                await self._changed.wait()


@dataclass(frozen=True)
class Edge:
    """A server that answers on `target`, and its parts."""

    target: str
    interceptor: EdgeInterceptor
    servicer: GatedServicer
    observer: Observer
    server: aio.Server
    channel: aio.Channel
    prompts: PromptServiceAsyncStub


@asynccontextmanager
async def edge(authenticator: KnownCallers | None = None, **overrides: str) -> AsyncIterator[Edge]:
    """Serve; an authenticator makes authentication required. Overrides are settings as text."""
    authentication = "none" if authenticator is None else "required"
    settings = Settings.load({}, {"authentication": authentication, **overrides})
    observer = Observer()
    interceptor = edge_interceptor(settings, authenticator, observer)
    server = aio.server(interceptors=[interceptor], options=server_options(settings, share_port=False))
    servicer = GatedServicer()  # type: ignore[abstract]  # these methods are enough
    add_PromptServiceServicer_to_server(servicer, server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with aio.insecure_channel(target) as channel:
        try:
            yield Edge(target, interceptor, servicer, observer, server, channel, PromptServiceStub(channel))
        finally:
            servicer.gate.open()
            await server.stop(None)


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that shows a key."""
    return (("authorization", f"Bearer {key}"),)


@asynccontextmanager
async def captured() -> AsyncIterator[list[EventDict]]:
    """Give the lines that are logged, as the service's own processors leave them but for their form."""
    with structlog.testing.capture_logs(processors=[logs.add_request_id]) as lines:
        yield lines
