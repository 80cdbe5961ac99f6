"""Renders by label at the same time share reads of the label, and none gets what was read before it came."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from itertools import count

import pytest
from pecia.v1 import admin_service_pb2 as admin_pb
from pecia.v1 import error_reason_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia_service import bootstrap
from pecia_service.caching.shared_reads import SharedReads
from pecia_service.errors import NotFoundError
from pecia_service.registry.model import Bundle
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.sources.database import DatabaseLabelSource
from support.server import LiveServer, live_server
from support.statements import counted_statements
from support.wire import label_ref, payload, publish

CALLERS = 100
ITEMS = 10
REQUEST = pb.RenderRequest(bundle=label_ref("production"), payload=payload())


@pytest.fixture
async def server(migrated_database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveServer]:
    """Give a server without audit on a registry with a label, and with another version.

    A read that is held here counts as one that hangs only after far longer than all the callers take to come.
    """
    monkeypatch.setattr(bootstrap, "SharedReads", partial(SharedReads, patience=60.0))
    async with live_server(migrated_database_url, audit_sink="null") as live:
        await publish(live.registry, semvers=("1.0.0", "2.0.0"))
        await set_label(live, "1.0.0")
        yield live


async def set_label(server: LiveServer, semver: str) -> None:
    """Point the label to a version."""
    await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver=semver)
    )


class Held:
    """Holds the answer of the first read of a label until it is let go; tells when so many have asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, askers: int) -> None:
        self.has_read, self.all_asked, self.let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()
        asked, reads = count(1), count(1)
        read, resolve = DatabaseLabelSource.get_labelled, PromptGenerator.resolve_label

        async def held_read(source: DatabaseLabelSource, bundle_id: str, label: str) -> Bundle:
            number = next(reads)
            bundle = await read(source, bundle_id, label)
            if number == 1:
                self.has_read.set()
                await self.let_go.wait()
            return bundle

        async def counted_resolve(
            generator: PromptGenerator, bundle_id: str, label: str, field: str = "bundle"
        ) -> ResolvedBundle:
            if next(asked) == askers:
                self.all_asked.set()
            return await resolve(generator, bundle_id, label, field)

        monkeypatch.setattr(DatabaseLabelSource, "get_labelled", held_read)
        monkeypatch.setattr(PromptGenerator, "resolve_label", counted_resolve)


def reads_of_labels(statements: list[str]) -> int:
    """Count the statements that read a label."""
    return len([statement for statement in statements if "FROM labels" in statement])


async def render(server: LiveServer) -> str:
    """Render by label, and return the version that was used."""
    response = await server.prompts.Render(REQUEST)
    return response.receipt.semver


async def test_concurrent_renders_share_two_reads(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reads for itself, and all who come meanwhile share the next read."""
    held = Held(monkeypatch, askers=CALLERS)
    with counted_statements(server.application.database) as statements:
        renders = [asyncio.create_task(render(server)) for _ in range(CALLERS)]
        await held.all_asked.wait()
        held.let_go.set()
        versions = await asyncio.gather(*renders)
    assert (2, ["1.0.0"] * CALLERS) == (reads_of_labels(statements), versions)


async def test_concurrent_items_of_a_stream_share_two_reads(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come by the same way as renders of calls."""
    held = Held(monkeypatch, askers=ITEMS)
    with counted_statements(server.application.database) as statements:
        call = server.prompts.RenderStream(pb.RenderStreamRequest(request=REQUEST) for _ in range(ITEMS))
        await held.all_asked.wait()
        held.let_go.set()
        versions = [answer.outcome.response.receipt.semver async for answer in call]
    assert (2, ["1.0.0"] * ITEMS) == (reads_of_labels(statements), versions)


async def test_requests_of_a_batch_share_one_read_of_each_label(server: LiveServer) -> None:
    """All of them came before it; a label that is missing has no version to share."""
    await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="canary", semver="2.0.0")
    )
    labels = ["production", "canary", "production", "nowhere", "canary", "nowhere"]
    requests = [pb.RenderRequest(bundle=label_ref(label), payload=payload()) for label in labels]
    with counted_statements(server.application.database) as statements:
        batch = await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=requests))
    outcomes = [
        outcome.response.receipt.semver or error_reason_pb2.ErrorReason.Name(outcome.error.reason)
        for outcome in batch.outcomes
    ]
    missing = "ERROR_REASON_LABEL_NOT_FOUND"
    assert ["1.0.0", "2.0.0", "1.0.0", missing, "2.0.0", missing] == outcomes
    assert 4 == reads_of_labels(statements)


async def test_labels_of_two_bundles_are_not_mixed_up_in_a_batch(server: LiveServer) -> None:
    """A label of the same name points elsewhere in another bundle."""
    await publish(server.registry, bundle_id="other", semvers=("3.0.0",))
    await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="other", label="production", semver="3.0.0")
    )
    requests = [
        pb.RenderRequest(bundle=label_ref("production", bundle_id=bundle_id), payload=payload())
        for bundle_id in ("companion", "other", "companion", "other")
    ]
    batch = await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=requests))
    receipts = [outcome.response.receipt for outcome in batch.outcomes]
    assert [("companion", "1.0.0"), ("other", "3.0.0")] * 2 == [
        (receipt.bundle_id, receipt.semver) for receipt in receipts
    ]


async def test_what_is_erased_during_a_batch_is_not_rendered_by_its_rest(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch keeps which version a label points to, and not its texts."""
    await publish(server.registry, bundle_id="other", semvers=("3.0.0",))
    await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="other", label="production", semver="3.0.0")
    )
    has_come, let_go = asyncio.Event(), asyncio.Event()
    read = DatabaseLabelSource.get_labelled

    async def held_read(source: DatabaseLabelSource, bundle_id: str, label: str) -> Bundle:
        if bundle_id == "other":
            has_come.set()
            await let_go.wait()
        return await read(source, bundle_id, label)

    monkeypatch.setattr(DatabaseLabelSource, "get_labelled", held_read)
    other = pb.RenderRequest(bundle=label_ref("production", bundle_id="other"), payload=payload())
    request = pb.RenderBatchRequest(requests=[REQUEST, other, REQUEST])
    batch = asyncio.ensure_future(server.prompts.RenderBatch(request))
    await has_come.wait()
    bundle = (await server.registry.GetBundle(registry_pb.GetBundleRequest(bundle=REQUEST.bundle))).bundle
    await server.admin.EraseTemplate(
        admin_pb.EraseTemplateRequest(template=bundle.definition.slots.system, reason="asked for")
    )
    let_go.set()
    first, _, last = (await batch).outcomes
    assert first.response.prompt
    assert error_reason_pb2.ERROR_REASON_TEMPLATE_ERASED == last.error.reason


async def test_the_next_batch_reads_labels_anew(server: LiveServer) -> None:
    """What one has read is not kept for another."""
    request = pb.RenderBatchRequest(requests=[REQUEST] * 2)
    versions = []
    for semver in ("1.0.0", "2.0.0"):
        await set_label(server, semver)
        batch = await server.prompts.RenderBatch(request)
        versions.append([outcome.response.receipt.semver for outcome in batch.outcomes])
    assert [["1.0.0"] * 2, ["2.0.0"] * 2] == versions


async def test_a_render_that_comes_after_a_move_does_not_share_what_was_read_before(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move was acknowledged, while the read of another call was still under way."""
    held = Held(monkeypatch, askers=2)
    before = asyncio.create_task(render(server))
    await held.has_read.wait()
    await set_label(server, "2.0.0")
    after = asyncio.create_task(render(server))
    await held.all_asked.wait()
    held.let_go.set()
    assert ["1.0.0", "2.0.0"] == [await before, await after]


async def test_tenants_do_not_share_reads(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label of the same name in another tenant is another label."""
    held = Held(monkeypatch, askers=3)
    first = asyncio.create_task(render(server))
    await held.has_read.wait()
    mine, theirs = (
        asyncio.create_task(server.application.generator(tenant).resolve_label("companion", "production"))
        for tenant in ("default", "other")
    )
    await held.all_asked.wait()
    held.let_go.set()
    with pytest.raises(NotFoundError):
        await theirs
    assert ["1.0.0", "1.0.0"] == [await first, (await mine).bundle.semver]
