"""RenderBatch over a channel: outcomes in order, each its own, within the room of one response."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast
from unittest.mock import ANY

import grpc
import pytest
from pecia.v1 import error_reason_pb2, payload_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.rendering.generator import PromptGenerator, Rendered
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.server import prompts
from pecia_service.server.convert.outcomes import write_rendered
from support.server import LiveServer, live_server, served
from support.wire import inline_bundle, payload, publish, version_ref

SECRET = "mauve-elephant"
MEBIBYTE = 1024 * 1024


class BrokenGenerator:
    """A generator that fails as nobody expects for version 6.6.6, and else does what the real one does."""

    def __init__(self, generator: PromptGenerator) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def held(self, *_: object) -> None:
        """Have nothing at hand."""

    async def resolve(self, bundle_id: str, semver: str, field: str) -> ResolvedBundle:
        """Return a bundle, unless it is the one."""
        if semver == "6.6.6":
            raise RuntimeError(SECRET)
        return await self._generator.resolve(bundle_id, semver, field)


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server with a bundle, and little room in a response."""
    async with live_server(migrated_database_url, max_response_bytes=str(8 * MEBIBYTE)) as live:
        await publish(live.registry)
        yield live


def request(task: str = "Plan the day.", **fields: Any) -> pb.RenderRequest:
    """Make one request of a batch."""
    return pb.RenderRequest(**{"bundle": version_ref(), "payload": payload(task=task), **fields})


async def render_batch(server: LiveServer, *requests: pb.RenderRequest) -> list[pb.RenderOutcome]:
    """Render a batch, and return its outcomes."""
    return list((await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=requests))).outcomes)


def kind(outcome: pb.RenderOutcome) -> str:
    """Return the outcome's reason, or "" for a success."""
    if outcome.WhichOneof("outcome") == "response":
        return ""
    return error_reason_pb2.ErrorReason.Name(outcome.error.reason).removeprefix("ERROR_REASON_")


async def recorded(server: LiveServer) -> set[str]:
    """Return the ids of all renders that were recorded."""
    assert await server.application.sink.flush(10)
    listed = await server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest(page_size=200))
    return {record.receipt.render_id for record in listed.records}


async def test_outcomes_are_in_the_order_of_the_requests(server: LiveServer) -> None:
    """A batch of 256 gives 256 outcomes, each of its own payload and with a record of its own."""
    outcomes = await render_batch(server, *(request(f"task {number}") for number in range(256)))
    prompts = [outcome.response.prompt.rpartition("\n\n")[2] for outcome in outcomes]
    assert [f"Do this: task {number}" for number in range(256)] == prompts
    assert 256 == len({outcome.response.receipt.render_id for outcome in outcomes})


async def test_each_request_has_an_outcome_of_its_own(server: LiveServer) -> None:
    """Those that fail leave the others alone, and only those that succeed are recorded."""
    outcomes = await render_batch(
        server,
        request(),
        request(bundle=version_ref("9.0.0")),
        request(payload=payload(stress=2)),
        request(inline_bundle=inline_bundle({"task": "{{semantic_traits.x}}"}), bundle=None),
        request(inline_bundle=inline_bundle(), bundle=None),
        request(validate_only=True),
        pb.RenderRequest(),
    )
    reasons = ["", "BUNDLE_NOT_FOUND", "PAYLOAD_INVALID", "PLACEHOLDER_UNRESOLVED", "", "", "PAYLOAD_INVALID"]
    assert reasons == [kind(outcome) for outcome in outcomes]
    assert {outcomes[index].response.receipt.render_id for index in (0, 4)} == await recorded(server)


async def test_an_error_is_told_as_render_would_tell_it(server: LiveServer) -> None:
    """Code, metadata and fields are those of the status."""
    not_found, invalid = await render_batch(
        server, request(bundle=version_ref("9.0.0")), request(payload=payload_pb2.DerivedPayload(stress=2))
    )
    assert grpc.StatusCode.NOT_FOUND.value[0] == not_found.error.code
    assert {"bundle_id": "companion", "semver": "9.0.0"} == dict(not_found.error.metadata)
    assert grpc.StatusCode.INVALID_ARGUMENT.value[0] == invalid.error.code
    fields = ["semantic_traits", "activity_level", "stress", "task"]
    assert [f"payload.{field}" for field in fields] == [item.field for item in invalid.error.field_violations]


async def test_at_most_eight_fields_are_named_in_an_outcome(server: LiveServer) -> None:
    """An outcome names fewer bad fields than a status, since there may be 256 of them."""
    bundle = inline_bundle()
    for definition in bundle.templates:
        definition.content = "{{"
        definition.semver = "x"
        definition.template_id = ""
    (outcome,) = await render_batch(server, request(inline_bundle=bundle, bundle=None))
    assert 8 == len(outcome.error.field_violations)


async def test_a_fault_is_one_outcome(server: LiveServer) -> None:
    """What nobody expects fails its request only, and nothing of it is told."""
    app = server.application
    broken = replace(
        app, generator=lambda tenant: cast(PromptGenerator, BrokenGenerator(app.generator(tenant)))
    )
    async with served(server.settings, broken) as live:
        outcomes = await render_batch(live, request(), request(bundle=version_ref("6.6.6")), request())
    assert ["", "INTERNAL_FAULT", ""] == [kind(outcome) for outcome in outcomes]
    told = dict(outcomes[1].error.metadata)
    assert {"method": "/pecia.v1.PromptService/Render", "request_id": ANY} == told
    assert SECRET not in str(outcomes[1])


async def test_what_has_no_room_is_an_outcome_and_is_not_recorded(server: LiveServer) -> None:
    """Prompts that do not fit into one response are SIZE_EXCEEDED; a smaller one after them still fits."""
    large = request("x" * 65_536, inline_bundle=inline_bundle({"task": "{{task}}" * 26}), bundle=None)
    outcomes = await render_batch(server, large, large, large, large, request())
    assert ["", "", "SIZE_EXCEEDED", "SIZE_EXCEEDED", ""] == [kind(outcome) for outcome in outcomes]
    metadata = outcomes[2].error.metadata
    assert ("requests", str(8 * MEBIBYTE)) == (metadata["field"], metadata["limit"])
    assert int(metadata["size"]) > 2 * 26 * 65_536
    answered = {outcomes[index].response.receipt.render_id for index in (0, 1, 4)}
    assert answered == await recorded(server)


async def test_what_has_no_room_is_not_kept_with_what_has(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response never holds more than it may answer: what a message once had takes its memory to the end."""
    written: list[int] = []

    def write(rendered: Rendered, message: pb.RenderResponse) -> None:
        write_rendered(rendered, message)
        written.append(message.ByteSize())

    monkeypatch.setattr(prompts, "write_rendered", write)
    large = request("x" * 65_536, inline_bundle=inline_bundle({"task": "{{task}}" * 26}), bundle=None)
    outcomes = await render_batch(server, *([large] * 9))
    assert (2, 9) == (len(written), len(outcomes))
    assert sum(written) <= 8 * MEBIBYTE


async def test_every_outcome_may_be_an_error(server: LiveServer) -> None:
    """A batch whose requests all fail at length still fits into one response."""
    failing = request(bundle=version_ref("9.0.0"), payload=payload({"k" * 60_000: [{"\0": 1}]}))
    outcomes = await render_batch(server, *([failing] * 256))
    assert {"TEXT_INVALID"} == {kind(outcome) for outcome in outcomes}
