"""A real server on a free loopback port, in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from grpc import aio
from pecia.v1 import admin_service_pb2_grpc, prompt_service_pb2_grpc, registry_service_pb2_grpc
from pecia_service.bootstrap import Application, application
from pecia_service.server.app import PeciaServer
from pecia_service.server.interceptors.observation import CallObserver
from pecia_service.settings import Settings


@dataclass(frozen=True)
class LiveServer:
    """A server that answers on `target`, with a channel to it and a stub for each service."""

    target: str
    settings: Settings
    application: Application
    server: PeciaServer
    channel: aio.Channel
    prompts: prompt_service_pb2_grpc.PromptServiceAsyncStub
    registry: registry_service_pb2_grpc.RegistryServiceAsyncStub
    admin: admin_service_pb2_grpc.AdminServiceAsyncStub


@asynccontextmanager
async def live_server(database_url: str, **overrides: str) -> AsyncIterator[LiveServer]:
    """Serve on a free port over a database that is migrated or SQLite; overrides are settings as text.

    The spool is a folder of this server's own, which is gone afterwards. It looks for what other servers
    erase so rarely that no test counts that statement, unless a test says otherwise.
    """
    async with observed_server(database_url, None, **overrides) as live:
        yield live


@asynccontextmanager
async def observed_server(
    database_url: str, observer: CallObserver | None, **overrides: str
) -> AsyncIterator[LiveServer]:
    """Serve as `live_server` does, and tell an observer of each call."""
    with TemporaryDirectory(prefix="pecia-spool-") as folder:
        settings = Settings.load(
            {},
            {
                "listen": "127.0.0.1:0",
                "database_url": database_url,
                "audit_spool_dir": folder,
                "shutdown_grace": "5",
                "erasure_seconds": "3600",
                **overrides,
            },
        )
        async with application(settings) as app, served(settings, app, observer) as live:
            yield live


@asynccontextmanager
async def served(
    settings: Settings, app: Application, observer: CallObserver | None = None
) -> AsyncIterator[LiveServer]:
    """Serve an application, which a test may have given a part of its own, on a free port."""
    server = PeciaServer(settings, app, observer=observer)
    target = f"127.0.0.1:{await server.start()}"
    options = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]
    async with aio.insecure_channel(target, options) as channel:
        try:
            yield LiveServer(
                target,
                settings,
                app,
                server,
                channel,
                prompt_service_pb2_grpc.PromptServiceStub(channel),
                registry_service_pb2_grpc.RegistryServiceStub(channel),
                admin_service_pb2_grpc.AdminServiceStub(channel),
            )
        finally:
            await server.stop()
