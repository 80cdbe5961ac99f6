"""How many SQL statements a render takes: two when cold, none when warm, one for a label."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pecia.v1 import bundle_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from support.server import LiveServer, live_server
from support.statements import counted_statements
from support.wire import inline_bundle, label_ref, payload, publish, version_ref

VERSION, LABEL = version_ref(), label_ref("production")


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server that has loaded nothing yet and records nothing, on a registry filled by another."""
    async with live_server(migrated_database_url) as publisher:
        for bundle_id in ("companion", "other"):
            await publish(publisher.registry, bundle_id=bundle_id)
        await publisher.registry.SetLabel(
            registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0")
        )
    async with live_server(migrated_database_url, audit_sink="null") as cold:
        yield cold


async def render(server: LiveServer, bundle: bundle_pb2.BundleRef) -> pb.RenderResponse:
    """Render a published bundle."""
    return await server.prompts.Render(pb.RenderRequest(bundle=bundle, payload=payload()))


async def statements_of(server: LiveServer, *bundles: bundle_pb2.BundleRef) -> list[int]:
    """Render one after the other, and return how many statements each took."""
    counts = []
    for bundle in bundles:
        with counted_statements(server.application.database) as statements:
            await render(server, bundle)
        counts.append(len(statements))
    return counts


async def test_a_version_takes_two_statements_cold_and_none_warm(server: LiveServer) -> None:
    """The bundle, and its four templates at once."""
    assert [2, 0, 0] == await statements_of(server, VERSION, VERSION, VERSION)


async def test_a_label_takes_two_statements_cold_and_one_warm(server: LiveServer) -> None:
    """The label is read afresh, joined with its bundle; then the templates, once."""
    assert [2, 1, 1] == await statements_of(server, LABEL, LABEL, LABEL)


async def test_a_label_and_its_version_share_what_was_loaded(server: LiveServer) -> None:
    """Whichever comes first loads the templates for both."""
    assert [2, 0, 1] == await statements_of(server, LABEL, VERSION, LABEL)


async def test_a_published_version_is_not_loaded_for_another(server: LiveServer) -> None:
    """Each bundle is loaded by itself."""
    assert [2, 2, 0] == await statements_of(server, VERSION, version_ref(bundle_id="other"), VERSION)


async def test_an_inline_render_takes_no_statement(server: LiveServer) -> None:
    """Its pieces come with the request."""
    with counted_statements(server.application.database) as statements:
        await server.prompts.Render(pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload()))
    assert [] == statements


async def test_a_stale_label_takes_no_statement(server: LiveServer) -> None:
    """Where labels may be stale, a remembered one is not read."""
    async with live_server(server.settings.database_url, audit_sink="null", label_staleness="3600") as lazy:
        assert [2, 0] == await statements_of(lazy, LABEL, LABEL)


async def test_concurrent_cold_renders_make_one_load(server: LiveServer) -> None:
    """Of a hundred renders at once one asks the database, and the others wait for its answer."""
    with counted_statements(server.application.database) as statements:
        answers = await asyncio.gather(*(render(server, VERSION) for _ in range(100)))
    assert 2 == len(statements)
    assert 1 == len({answer.prompt for answer in answers})


async def test_concurrent_cold_renders_of_a_label_load_its_templates_once(server: LiveServer) -> None:
    """However many reads of the label they share, one reads the templates."""
    with counted_statements(server.application.database) as statements:
        await asyncio.gather(*(render(server, LABEL) for _ in range(100)))
    assert 1 == len([statement for statement in statements if "FROM labels" not in statement])


async def test_a_cold_batch_makes_one_load(server: LiveServer) -> None:
    """All of its requests share what the first of them loaded."""
    request = pb.RenderRequest(bundle=VERSION, payload=payload())
    with counted_statements(server.application.database) as statements:
        await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=[request] * 256))
    assert 2 == len(statements)


async def test_a_failed_load_is_not_remembered(server: LiveServer) -> None:
    """A version that is published after it was asked for is found."""
    missing = version_ref("2.0.0")
    outcomes = []
    for _ in range(2):
        response = await server.prompts.RenderBatch(
            pb.RenderBatchRequest(requests=[pb.RenderRequest(bundle=missing, payload=payload())])
        )
        outcomes.append(response.outcomes[0].WhichOneof("outcome"))
        await publish(server.registry, semvers=("2.0.0",))
    assert ["error", "response"] == outcomes


async def test_caches_are_bounded_by_entries(server: LiveServer) -> None:
    """With room for one entry, two bundles in turn push each other out, and still render."""
    other = version_ref(bundle_id="other")
    async with live_server(server.settings.database_url, audit_sink="null", cache_entries="1") as small:
        assert [2, 0, 2, 2, 2] == await statements_of(small, VERSION, VERSION, other, VERSION, other)


async def test_caches_are_bounded_by_bytes(server: LiveServer) -> None:
    """With room for no byte nothing is kept, and everything renders."""
    async with live_server(server.settings.database_url, audit_sink="null", cache_bytes="0") as small:
        assert [2, 2, 2] == await statements_of(small, VERSION, VERSION, VERSION)
