"""A version that was published is found by whoever asks afterwards, whatever others are being told."""

import asyncio

import grpc
import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.errors import NotFoundError
from pecia_service.registry.model import Bundle
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.sources.database import DatabaseBundleSource
from support.server import LiveServer, live_server
from support.wire import payload, publish, version_ref


async def test_a_render_does_not_share_the_absence_that_was_read_before_a_publication(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publication was acknowledged while a read of another call was under way that found nothing."""
    found_nothing, let_go, second_asks = asyncio.Event(), asyncio.Event(), asyncio.Event()
    read, resolve = DatabaseBundleSource.get_bundle, PromptGenerator.resolve

    async def held_read(source: DatabaseBundleSource, bundle_id: str, semver: str) -> Bundle:
        try:
            return await read(source, bundle_id, semver)
        except NotFoundError:
            found_nothing.set()
            await let_go.wait()
            raise

    async def noted_resolve(
        generator: PromptGenerator, bundle_id: str, semver: str, field: str = "bundle"
    ) -> ResolvedBundle:
        if found_nothing.is_set():
            second_asks.set()
        return await resolve(generator, bundle_id, semver, field)

    async with live_server(migrated_database_url, audit_sink="null") as server:
        monkeypatch.setattr(DatabaseBundleSource, "get_bundle", held_read)
        monkeypatch.setattr(PromptGenerator, "resolve", noted_resolve)
        before = asyncio.create_task(_render(server))
        await found_nothing.wait()
        await publish(server.registry)
        after = asyncio.create_task(_render(server))
        await second_asks.wait()
        let_go.set()
        first, second = await asyncio.gather(before, after, return_exceptions=True)
    assert isinstance(first, aio.AioRpcError)
    assert (grpc.StatusCode.NOT_FOUND, "1.0.0") == (first.code(), second)


async def _render(server: LiveServer) -> str:
    """Render by version, and return the version that was used."""
    request = pb.RenderRequest(bundle=version_ref(), payload=payload())
    return (await server.prompts.Render(request)).receipt.semver
