"""Both offline renderers behind one interface, and a registry that lies to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from google.protobuf.message import Message
from grpc import aio
from pecia.v1 import registry_service_pb2 as pb
from pecia.v1.registry_service_pb2_grpc import (
    RegistryServiceServicer,
    RegistryServiceStub,
    add_RegistryServiceServicer_to_server,
)
from pecia_client import AsyncClient, Client, RetryPolicy
from pecia_client.messages import DerivedPayload
from pecia_client.offline import AsyncOfflineRenderer, BundleCache, OfflineRender, OfflineRenderer

SOON = RetryPolicy(attempts=2, first_delay=0.01, longest_delay=0.01)

Payload = Mapping[str, object] | DerivedPayload


class Offline(Protocol):
    """Renders offline; closes its client."""

    async def render(self, bundle: str, payload: Payload, model_type: str = "") -> OfflineRender:
        """Render one prompt."""

    async def prefetch(self, *bundles: str) -> None:
        """Fetch ahead."""

    async def close(self) -> None:
        """Close the client."""


class AsyncOffline:
    """Drives AsyncOfflineRenderer."""

    def __init__(self, target: str, cache: BundleCache | None = None, **kwargs: int) -> None:
        self.client = AsyncClient(target, retry=SOON)
        self.renderer = AsyncOfflineRenderer(self.client, cache, **kwargs)

    async def render(self, bundle: str, payload: Payload, model_type: str = "") -> OfflineRender:
        """Render one prompt."""
        return await self.renderer.render(bundle, payload=payload, model_type=model_type)

    async def prefetch(self, *bundles: str) -> None:
        """Fetch ahead."""
        await self.renderer.prefetch(*bundles)

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()


class BlockingOffline:
    """Drives OfflineRenderer in threads, while the server runs on the loop."""

    def __init__(self, target: str, cache: BundleCache | None = None, **kwargs: int) -> None:
        self.client = Client(target, retry=SOON)
        self.renderer = OfflineRenderer(self.client, cache, **kwargs)

    async def render(self, bundle: str, payload: Payload, model_type: str = "") -> OfflineRender:
        """Render one prompt."""
        return await asyncio.to_thread(self.renderer.render, bundle, payload=payload, model_type=model_type)

    async def prefetch(self, *bundles: str) -> None:
        """Fetch ahead."""
        await asyncio.to_thread(self.renderer.prefetch, *bundles)

    async def close(self) -> None:
        """Close the client."""
        self.client.close()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


class GoBetween(RegistryServiceServicer):
    """Hands on what a real registry answers to GetBundle and GetTemplate, changed as a test wants.

    `reached` is set when a template is asked for, and its answer waits for `gate`.
    """

    def __init__(self, channel: aio.Channel) -> None:
        self._registry = RegistryServiceStub(channel)
        self.change_bundle: Callable[[pb.GetBundleResponse], None] = lambda _: None
        self.change_template: Callable[[pb.GetTemplateResponse], None] = lambda _: None
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def GetBundle(  # noqa: N802 - the name of the RPC
        self, request: pb.GetBundleRequest, context: aio.ServicerContext[Message, Message]
    ) -> pb.GetBundleResponse:
        """Answer a bundle."""
        response = await self._registry.GetBundle(request)
        self.change_bundle(response)
        return response

    async def GetTemplate(  # noqa: N802 - the name of the RPC
        self, request: pb.GetTemplateRequest, context: aio.ServicerContext[Message, Message]
    ) -> pb.GetTemplateResponse:
        """Answer a template."""
        self.reached.set()
        await self.gate.wait()
        response = await self._registry.GetTemplate(request)
        self.change_template(response)
        return response


@asynccontextmanager
async def go_between(target: str) -> AsyncIterator[tuple[GoBetween, str]]:
    """Serve a go-between of a server, and give it with its own target."""
    async with aio.insecure_channel(target) as channel:
        between = GoBetween(channel)  # type: ignore[abstract]  # the generated base answers the other RPCs
        server = aio.server()
        add_RegistryServiceServicer_to_server(between, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield between, f"127.0.0.1:{port}"
        finally:
            between.gate.set()
            await server.stop(None)
