"""Publishing over a channel: idempotent, immutable, and one winner among many."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import grpc
import pytest
from grpc import aio
from pecia.v1 import bundle_pb2, constraints_pb2, registry_service_pb2_grpc, template_pb2
from pecia.v1 import registry_service_pb2 as pb
from support.server import LiveServer, live_server
from support.statuses import failure_of, read_failure
from support.wire import bundle, publish, template, templates_of

CONSTRAINTS = constraints_pb2.Constraints(
    forbidden_tokens=["Sure", "AI", "sure"], max_paragraphs=2, no_emoji=True, assertiveness_level=0.5
)
Stub: TypeAlias = "registry_service_pb2_grpc.RegistryServiceAsyncStub"


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server on an empty registry."""
    async with live_server(migrated_database_url) as live:
        yield live


def publish_template(
    registry: Stub, definition: template_pb2.TemplateDefinition
) -> "aio.UnaryUnaryCall[pb.PublishTemplateRequest, pb.PublishTemplateResponse]":
    """Publish a template."""
    return registry.PublishTemplate(pb.PublishTemplateRequest(template=definition))


async def get_template(registry: Stub, template_id: str = "extra") -> template_pb2.Template:
    """Read version 1.0.0 of a template."""
    ref = template_pb2.TemplateRef(template_id=template_id, semver="1.0.0")
    return (await registry.GetTemplate(pb.GetTemplateRequest(template=ref))).template


async def test_a_template_is_stored_normalised(server: LiveServer) -> None:
    """What is answered, now and later, is the canonical form with its hashes."""
    definition = template(
        "extra", content="\ufeffCafe\u0301\r\nau lait\n\n", constraints=CONSTRAINTS, description="d", role=3
    )
    published = (await publish_template(server.registry, definition)).template
    content = "Caf\u00e9\nau lait"
    assert content == published.definition.content
    assert hashlib.sha256(content.encode()).hexdigest() == published.content_hash
    assert len(content.encode()) == published.content_bytes
    assert ["AI", "Sure"] == list(published.definition.constraints.forbidden_tokens)
    assert published == await get_template(server.registry)


async def test_publishing_a_template_again_changes_nothing(server: LiveServer) -> None:
    """The same definition, also when it is spelled otherwise, succeeds and keeps the first time."""
    first = await publish_template(server.registry, template("extra", content="Caf\u00e9\n"))
    again = await publish_template(server.registry, template("extra", content="Cafe\u0301"))
    assert (True, False) == (first.created, again.created)
    assert first.template == again.template


@pytest.mark.parametrize(
    "changed",
    [
        template("extra", content="other"),
        template("extra", role=template_pb2.ROLE_USER),
        template("extra", constraints=constraints_pb2.Constraints(no_emoji=True)),
        template("extra", adapter_version="2"),
        template("extra", description="other"),
    ],
    ids=["content", "role", "constraints", "adapter_version", "description"],
)
async def test_a_template_version_keeps_its_definition(
    server: LiveServer, changed: template_pb2.TemplateDefinition
) -> None:
    """Another definition of the version is refused with both hashes, whichever field it changes."""
    stored = (await publish_template(server.registry, template("extra"))).template
    failure = await failure_of(publish_template(server.registry, changed))
    assert (grpc.StatusCode.ALREADY_EXISTS, "TEMPLATE_ALREADY_EXISTS") == (failure.code, failure.reason)
    assert stored.definition_hash == failure.metadata["stored_hash"] != failure.metadata["given_hash"]
    assert stored == await get_template(server.registry)


async def test_a_bundle_version_keeps_its_definition(server: LiveServer) -> None:
    """The same definition again changes nothing; another one is refused with both hashes."""
    await publish(server.registry, tags=["a", "b"])
    request = pb.PublishBundleRequest(bundle=bundle(tags=[" a ", "b"]))
    again = await server.registry.PublishBundle(request)
    other = pb.PublishBundleRequest(bundle=bundle(tags=["b", "a"]))
    failure = await failure_of(server.registry.PublishBundle(other))
    assert not again.created
    assert (grpc.StatusCode.ALREADY_EXISTS, "BUNDLE_ALREADY_EXISTS") == (failure.code, failure.reason)
    assert again.bundle.definition_hash == failure.metadata["stored_hash"] != failure.metadata["given_hash"]


async def test_versions_differ_by_build_metadata(server: LiveServer) -> None:
    """1.0.0 and 1.0.0+b are two versions."""
    contents = {"1.0.0": "plain", "1.0.0+b": "built"}
    for semver, content in contents.items():
        await publish_template(server.registry, template("extra", semver, content))
    assert "plain" == (await get_template(server.registry)).definition.content


async def test_a_bundle_needs_its_templates(server: LiveServer) -> None:
    """A bundle whose template is missing is refused, and can be published when it is there."""
    definitions = templates_of()
    for definition in definitions[:3]:
        await publish_template(server.registry, definition)
    request = pb.PublishBundleRequest(bundle=bundle())
    failure = await failure_of(server.registry.PublishBundle(request))
    await publish_template(server.registry, definitions[3])
    published = await server.registry.PublishBundle(request)
    assert "TEMPLATE_REFERENCE_MISSING" == failure.reason
    assert published.created


@asynccontextmanager
async def ten_publishers(database_url: str) -> AsyncIterator[list[Stub]]:
    """Give ten stubs, each with a connection of its own, to two servers on one database."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(live_server(database_url)) for _ in range(2)]
        options = [("grpc.use_local_subchannel_pool", 1)]
        stubs = []
        for number in range(10):
            channel = aio.insecure_channel(servers[number % 2].target, options)
            stubs.append(
                registry_service_pb2_grpc.RegistryServiceStub(await stack.enter_async_context(channel))
            )
        yield stubs


async def race(stubs: Sequence[Stub], call: Callable[[Stub, int], Awaitable[object]], reason: str) -> int:
    """Let all publish at once; assert that one wins and that the others learn its hash and their own.

    Returns the winner's number.
    """
    answers = await asyncio.gather(
        *(call(stub, number) for number, stub in enumerate(stubs)), return_exceptions=True
    )
    failures = [read_failure(answer) for answer in answers if isinstance(answer, aio.AioRpcError)]
    winners = [number for number, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    assert (1, 9) == (len(winners), len(failures))
    assert {(grpc.StatusCode.ALREADY_EXISTS, reason)} == {
        (failure.code, failure.reason) for failure in failures
    }
    stored = {failure.metadata["stored_hash"] for failure in failures}
    given = {failure.metadata["given_hash"] for failure in failures}
    assert (1, 9, 10) == (len(stored), len(given), len(stored | given))
    return winners[0]


async def test_one_of_ten_concurrent_publishers_of_a_template_wins(migrated_database_url: str) -> None:
    """The others are told both hashes, and the winner's content is what stays."""
    async with ten_publishers(migrated_database_url) as stubs:
        winner = await race(
            stubs,
            lambda stub, number: publish_template(stub, template("extra", content=f"by {number}")),
            "TEMPLATE_ALREADY_EXISTS",
        )
        assert f"by {winner}" == (await get_template(stubs[0])).definition.content


async def test_one_of_ten_concurrent_publishers_of_a_bundle_wins(migrated_database_url: str) -> None:
    """The others are told both hashes, and the winner's description is what stays."""
    async with ten_publishers(migrated_database_url) as stubs:
        await publish(stubs[0], semvers=())
        winner = await race(
            stubs,
            lambda stub, number: stub.PublishBundle(
                pb.PublishBundleRequest(bundle=bundle(description=f"by {number}"))
            ),
            "BUNDLE_ALREADY_EXISTS",
        )
        ref = bundle_pb2.BundleRef(bundle_id="companion", semver="1.0.0")
        got = await stubs[0].GetBundle(pb.GetBundleRequest(bundle=ref))
        assert f"by {winner}" == got.bundle.definition.description


async def test_concurrent_publishers_of_one_definition_all_succeed(migrated_database_url: str) -> None:
    """Exactly one of them created it."""
    async with ten_publishers(migrated_database_url) as stubs:
        answers = await asyncio.gather(*(publish_template(stub, template("extra")) for stub in stubs))
    assert [False] * 9 + [True] == sorted(answer.created for answer in answers)
