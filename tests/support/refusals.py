"""Calls that the edge refuses or ends, each on a server of its own over another one's application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.access.model import Scope
from pecia_service.bootstrap import system_clock
from pecia_service.rendering.generator import PromptGenerator
from support.credentials import SECOND, HandClock, authenticator_of, credentials_of
from support.edge import Gate, bearer
from support.server import LiveServer, served
from support.wire import payload, version_ref

RENDER = pb.RenderRequest(bundle=version_ref(), payload=payload())


class HeldGenerator:
    """A generator that holds who resolves a bundle at a closed gate."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.gate.close()

    def held(self, *_: object) -> None:
        """Have nothing at hand."""

    async def resolve(self, *_: object) -> object:
        """Wait; nobody opens."""
        await self.gate.go_through()
        raise AssertionError("the gate was opened")


@asynccontextmanager
async def _guarded(server: LiveServer) -> AsyncIterator[LiveServer]:
    authenticator = authenticator_of(server.application.database, HandClock(system_clock()))
    app = replace(server.application, authenticator=authenticator)
    async with served(replace(server.settings, authentication="required"), app) as live:
        yield live
    await authenticator.aclose()


async def show_nothing(server: LiveServer) -> None:
    """Render without a credential."""
    async with _guarded(server) as live:
        await live.prompts.Render(RENDER)


async def show_another(server: LiveServer) -> None:
    """Render with what is no key."""
    async with _guarded(server) as live:
        await live.prompts.Render(RENDER, metadata=bearer("pecia_acme.1.2"))


async def show_an_expired_key(server: LiveServer) -> None:
    """Render with a key whose hour is over."""
    credentials = credentials_of(server.application.database, HandClock(system_clock() - 7200 * SECOND))
    key = await credentials.create_key("default", list(Scope), lifetime_seconds=3600)
    async with _guarded(server) as live:
        await live.prompts.Render(RENDER, metadata=bearer(key.text))


async def show_a_revoked_key(server: LiveServer) -> None:
    """Render with a key that was revoked."""
    credentials = credentials_of(server.application.database, HandClock(system_clock()))
    key = await credentials.create_key("default", list(Scope))
    await credentials.revoke(key.credential.credential_id)
    async with _guarded(server) as live:
        await live.prompts.Render(RENDER, metadata=bearer(key.text))


async def lack_the_scope(server: LiveServer) -> None:
    """Render with a key that may only read."""
    credentials = credentials_of(server.application.database, HandClock(system_clock()))
    key = await credentials.create_key("default", [Scope.READ])
    async with _guarded(server) as live:
        await live.prompts.Render(RENDER, metadata=bearer(key.text))


async def call_too_often(server: LiveServer) -> None:
    """Render while another render takes the only place."""
    generator = HeldGenerator()
    app = replace(server.application, generator=lambda _: cast(PromptGenerator, generator))
    async with served(replace(server.settings, max_in_flight_per_caller=1, shutdown_grace=0), app) as live:
        held = live.prompts.Render(RENDER)
        await generator.gate.holds(1)
        try:
            await live.prompts.Render(RENDER)
        finally:
            held.cancel()


async def take_too_long(server: LiveServer) -> None:
    """Render what is never ready, without a deadline."""
    app = replace(server.application, generator=lambda _: cast(PromptGenerator, HeldGenerator()))
    async with served(replace(server.settings, default_deadline=0.1), app) as live:
        await live.prompts.Render(RENDER)


async def outstay(server: LiveServer) -> None:
    """Keep a stream open when the server stops."""
    async with served(server.settings, server.application) as live:
        call = live.prompts.RenderStream()
        await call.write(pb.RenderStreamRequest(correlation_id="1", request=RENDER))
        await call.read()
        stopping = asyncio.create_task(live.server.stop())
        try:
            await call.read()
        finally:
            await stopping
