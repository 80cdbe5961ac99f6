"""Both clients against a scripted peer over a real channel: retries, deadlines, errors, pages, streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from pecia.v1.admin_service_pb2 import (
    DESCRIPTOR as ADMIN,
)
from pecia.v1.prompt_service_pb2 import (
    DESCRIPTOR as PROMPTS,
)
from pecia.v1.prompt_service_pb2 import (
    RenderRequest,
    RenderResponse,
    VerifyAuditResponse,
)
from pecia.v1.registry_service_pb2 import (
    DESCRIPTOR as REGISTRY,
)
from pecia.v1.registry_service_pb2 import (
    ListLabelsRequest,
    ListLabelsResponse,
    SetLabelRequest,
    SetLabelResponse,
)
from pecia.v1.replay_pb2 import VerifyProgress, VerifySummary
from pecia_client import (
    AsyncClient,
    Client,
    PeciaError,
    bundle_definition,
    payload_from_mapping,
    render_request,
    template_definition,
)
from pecia_client.messages import Label
from support.drivers import AsyncDriver, BlockingDriver, Connect
from support.scripted_peer import EmptyAnswers, Refusal, ScriptedPeer, serve

PAYLOAD: dict[str, object] = {"semantic_traits": {}, "activity_level": 0, "stress": 0, "task": "x"}
SLOTS = {"system": "s@1.0.0", "personality": "p@1.0.0", "activity": "a@1.0.0", "task": "t@1.0.0"}
UNAVAILABLE = Refusal(
    grpc.StatusCode.UNAVAILABLE,
    details=(
        error_details_pb2.ErrorInfo(domain="pecia", reason="STORAGE_UNAVAILABLE"),
        error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1)),
    ),
)


async def test_a_call_carries_request_and_response(peer: ScriptedPeer, connect: Connect) -> None:
    """What the builder makes arrives, and what the server answers comes back."""
    peer.script = [RenderResponse(prompt="p")]
    answer = await connect().call("render", "b@production", payload=PAYLOAD)
    assert answer == RenderResponse(prompt="p")
    assert peer.requests == [render_request("b@production", payload=PAYLOAD)]


async def test_an_answer_beyond_4_mib_is_accepted(peer: ScriptedPeer, connect: Connect) -> None:
    """The receive limit covers the largest prompt twice."""
    peer.script = [RenderResponse(prompt="x" * (8 * 1024 * 1024))]
    answer = await connect().call("render", "b@1.0.0", payload=PAYLOAD)
    assert answer == RenderResponse(prompt="x" * (8 * 1024 * 1024))


async def test_an_unavailable_server_is_tried_again(peer: ScriptedPeer, connect: Connect) -> None:
    """Two refusals are overcome without the caller's notice."""
    peer.script = [UNAVAILABLE, UNAVAILABLE, RenderResponse(prompt="p")]
    assert await connect().call("render", "b@1.0.0", payload=PAYLOAD) == RenderResponse(prompt="p")


async def test_retries_end_after_four_attempts(peer: ScriptedPeer, connect: Connect) -> None:
    """The fourth refusal is the caller's, with its details."""
    peer.script = [UNAVAILABLE] * 5
    with pytest.raises(PeciaError) as caught:
        await connect().call("render", "b@1.0.0", payload=PAYLOAD)
    expected = (4, grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE", 1.0)
    assert expected == (len(peer.requests), caught.value.code, caught.value.reason, caught.value.retry_after)


async def test_bad_input_is_not_tried_again(peer: ScriptedPeer, connect: Connect) -> None:
    """Another attempt would get the same answer."""
    violation = error_details_pb2.BadRequest.FieldViolation(field="payload.stress", description="is missing")
    details = (
        error_details_pb2.ErrorInfo(
            domain="pecia", reason="PAYLOAD_INVALID", metadata={"field": "payload.stress"}
        ),
        error_details_pb2.BadRequest(field_violations=[violation]),
    )
    peer.script = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "bad payload", details), RenderResponse()]
    with pytest.raises(PeciaError, match="bad payload") as caught:
        await connect().call("render", "b@1.0.0", payload=PAYLOAD)
    assert len(peer.requests) == 1
    assert (caught.value.reason, caught.value.metadata) == ("PAYLOAD_INVALID", {"field": "payload.stress"})
    assert caught.value.violations == [("payload.stress", "is missing")]


async def test_a_server_that_is_not_there_is_unavailable(connect: Connect) -> None:
    """A refused connection is a PeciaError without a reason of Pecia's."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(PeciaError) as caught:
            await connect(to=target).call("render", "b@1.0.0", payload=PAYLOAD)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "")


async def test_a_call_has_the_clients_deadline(peer: ScriptedPeer, connect: Connect) -> None:
    """The default reaches the server, so that it can give up too."""
    peer.script = [RenderResponse()]
    await connect(timeout=70.0).call("render", "b@1.0.0", payload=PAYLOAD)
    assert 10.0 < (peer.remaining[0] or 0) < 80.0


async def test_a_call_can_have_its_own_deadline(peer: ScriptedPeer, connect: Connect) -> None:
    """The call's timeout replaces the client's."""
    peer.script = [RenderResponse()]
    await connect(timeout=70.0).call("render", "b@1.0.0", payload=PAYLOAD, timeout=700.0)
    assert 80.0 < (peer.remaining[0] or 0) < 710.0


async def test_a_client_without_timeout_waits_for_ever(peer: ScriptedPeer, connect: Connect) -> None:
    """None switches the default off."""
    peer.script = [RenderResponse()]
    await connect(timeout=None).call("render", "b@1.0.0", payload=PAYLOAD)
    assert peer.remaining == [None]


async def test_a_stream_has_a_deadline_only_when_asked(peer: ScriptedPeer, connect: Connect) -> None:
    """A verification may take hours."""
    driver = connect(timeout=70.0)
    await driver.collect("verify_audit")
    await driver.collect("verify_audit", timeout=700.0)
    assert peer.remaining[0] is None
    assert 80.0 < (peer.remaining[1] or 0) < 710.0


async def test_a_deadline_that_passes_is_an_error(peer: ScriptedPeer, connect: Connect) -> None:
    """A server that does not answer ends in DEADLINE_EXCEEDED."""
    peer.script = ["hang"]
    with pytest.raises(PeciaError) as caught:
        await connect(timeout=0.2).call("render", "b@1.0.0", payload=PAYLOAD)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_list_follows_its_pages(peer: ScriptedPeer, connect: Connect) -> None:
    """All items come in order, and each token is sent back with the same arguments."""
    peer.script = [
        ListLabelsResponse(labels=[Label(label="a"), Label(label="b")], next_page_token="t1"),
        ListLabelsResponse(next_page_token="t2"),
        ListLabelsResponse(labels=[Label(label="c")]),
    ]
    labels = await connect().collect("list_labels", "companion", page_size=2)
    assert labels == [Label(label="a"), Label(label="b"), Label(label="c")]
    assert peer.requests == [
        ListLabelsRequest(bundle_id="companion", page_size=2, page_token=token) for token in ("", "t1", "t2")
    ]


async def test_a_page_that_fails_is_an_error(peer: ScriptedPeer, connect: Connect) -> None:
    """A list does not end silently in its middle."""
    peer.script = [ListLabelsResponse(next_page_token="t"), Refusal(grpc.StatusCode.INVALID_ARGUMENT)]
    with pytest.raises(PeciaError, match="INVALID_ARGUMENT"):
        await connect().collect("list_labels")


async def test_a_retried_mutation_keeps_its_request_id(peer: ScriptedPeer, connect: Connect) -> None:
    """The server can tell a retry from a second call."""
    peer.script = [UNAVAILABLE, SetLabelResponse(label=Label(semver="1.0.0"))]
    driver = connect(new_request_id=iter(["id-1", "id-2"]).__next__)
    await driver.call("set_label", "companion", "production", "1.0.0")
    request = SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0", request_id="id-1")
    assert peer.requests == [request, request]


async def test_a_given_request_id_and_etag_are_sent(peer: ScriptedPeer, connect: Connect) -> None:
    """An empty etag is a demand and differs from none."""
    peer.script = [SetLabelResponse()]
    await connect().call("set_label", "companion", "production", "1.0.0", etag="", request_id="mine")
    request = peer.requests[0]
    assert isinstance(request, SetLabelRequest)
    assert (request.HasField("etag"), request.request_id) == (True, "mine")


async def test_a_stream_gives_all_events(peer: ScriptedPeer, connect: Connect) -> None:
    """Events come in the order in which the server sent them."""
    events = [
        VerifyAuditResponse(progress=VerifyProgress(checked=1, total=2)),
        VerifyAuditResponse(summary=VerifySummary(checked=2)),
    ]
    peer.script = [*events]
    assert await connect().collect("verify_audit") == events


async def test_a_stream_that_fails_is_an_error(peer: ScriptedPeer, connect: Connect) -> None:
    """A verification that broke off must not look complete."""
    peer.script = [VerifyAuditResponse(), Refusal(grpc.StatusCode.INTERNAL)]
    with pytest.raises(PeciaError, match="INTERNAL"):
        await connect().collect("verify_audit")


async def test_a_stream_that_is_given_up_is_cancelled(peer: ScriptedPeer, connect: Connect) -> None:
    """The server stops working for a caller who left."""
    peer.script = [VerifyAuditResponse(progress=VerifyProgress(checked=1)), "hang"]
    first = await connect().first("verify_audit")
    await asyncio.wait_for(peer.cancelled.wait(), 30)
    assert first == VerifyAuditResponse(progress=VerifyProgress(checked=1))


def pairs(count: int) -> Iterator[tuple[str, RenderRequest]]:
    """Give requests whose task is their correlation id."""
    for index in range(count):
        payload = payload_from_mapping(PAYLOAD | {"task": str(index)})
        yield str(index), render_request("b@1.0.0", payload=payload)


async def test_a_render_stream_answers_each_request(connect: Connect) -> None:
    """Each answer carries the correlation id of its request."""
    answers = await connect().collect("render_stream", pairs(50))
    seen = {(each.correlation_id, each.outcome.response.prompt) for each in answers}  # type: ignore[attr-defined]  # drivers answer objects
    assert seen == {(str(index), str(index)) for index in range(50)}


async def test_a_render_stream_raises_what_its_requests_raise(connect: Connect) -> None:
    """A fault in the caller's generator is not hidden behind a cancelled call."""

    def failing() -> Iterator[tuple[str, RenderRequest]]:
        yield from pairs(1)
        raise LookupError("no such payload")

    with pytest.raises(LookupError, match="no such payload"):
        await connect().collect("render_stream", failing())


async def test_a_render_stream_that_fails_is_an_error(peer: ScriptedPeer, connect: Connect) -> None:
    """The end of the stream by the server's refusal is a PeciaError."""
    peer.script = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "malformed")]
    with pytest.raises(PeciaError, match="malformed"):
        await connect().collect("render_stream", pairs(1))


async def test_a_render_stream_takes_an_async_iterable(peer: ScriptedPeer) -> None:
    """On asyncio, requests may come from something that is awaited."""

    async def requests() -> AsyncIterator[tuple[str, RenderRequest]]:
        for pair in pairs(3):
            yield pair

    server, target = await serve(peer)
    async with AsyncClient(target) as client:
        seen = {answer.correlation_id async for answer in client.render_stream(requests())}
    await server.stop(None)
    assert seen == {"0", "1", "2"}


async def test_cancelling_the_task_cancels_a_render_stream(peer: ScriptedPeer) -> None:
    """A caller's own cancellation stays one."""
    server, target = await serve(peer)
    started = asyncio.Event()

    async def requests() -> AsyncIterator[tuple[str, RenderRequest]]:
        started.set()
        await asyncio.Event().wait()
        yield next(pairs(1))

    async with AsyncClient(target) as client:
        stream = client.render_stream(requests())

        async def consume() -> None:
            async for _ in stream:
                pass

        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await server.stop(None)


CALLS: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {
    "publish_template": ((template_definition("t", "1.0.0", "x", role="user"),), {}),
    "get_template": (("t@1.0.0",), {}),
    "list_templates": ((), {}),
    "publish_bundle": ((bundle_definition("b", "1.0.0", SLOTS),), {}),
    "get_bundle": (("b@1.0.0",), {}),
    "list_bundles": ((), {}),
    "diff_bundles": (("b@1.0.0", "b@1.1.0"), {}),
    "set_label": (("b", "production", "1.0.0"), {}),
    "roll_back_label": (("b", "production", "etag"), {}),
    "delete_label": (("b", "production"), {}),
    "list_labels": ((), {}),
    "list_label_events": (("b",), {}),
    "render": (("b@1.0.0",), {"payload": PAYLOAD}),
    "render_batch": (([render_request("b@1.0.0", payload=PAYLOAD)],), {}),
    "render_stream": (([],), {}),
    "replay": ((), {"render_id": "id"}),
    "verify_audit": ((), {}),
    "get_audit_record": (("id",), {}),
    "list_audit_records": ((), {}),
    "redact_audit_record": (("id",), {}),
    "prune_audit_records": ((datetime(2026, 1, 1, tzinfo=UTC),), {}),
    "check_output": (("text", "b@1.0.0"), {}),
    "erase_template": (("t@1.0.0", "why"), {}),
    "list_template_erasures": ((), {}),
}
RPCS = [
    method.name
    for service in (
        REGISTRY.services_by_name["RegistryService"],
        PROMPTS.services_by_name["PromptService"],
        ADMIN.services_by_name["AdminService"],
    )
    for method in service.methods
]
ITERATED = ("list_", "render_stream", "verify_", "prune_")


@pytest.mark.parametrize("driver_type", [AsyncDriver, BlockingDriver])
@pytest.mark.parametrize("rpc", RPCS)
async def test_every_rpc_has_a_method(rpc: str, driver_type: type[AsyncDriver | BlockingDriver]) -> None:
    """The method named like an RPC in snake_case calls that RPC."""
    name = "".join(f"_{char.lower()}" if char.isupper() else char for char in rpc).lstrip("_")
    args, kwargs = CALLS[name]
    answers = EmptyAnswers()
    server, target = await serve(answers)
    driver = driver_type(target)
    await (driver.collect if name.startswith(ITERATED) else driver.call)(name, *args, **kwargs)
    await driver.close()
    await server.stop(None)
    assert answers.methods == [rpc]


async def test_clients_close_with_their_context() -> None:
    """After `with` and `async with` the channel is closed."""
    server, target = await serve(EmptyAnswers())
    async with AsyncClient(target) as client:
        await client.get_bundle("b@1.0.0")
    with pytest.raises(Exception, match="Channel is closed"):
        await client.get_bundle("b@1.0.0")
    with Client(target) as blocking:
        await asyncio.to_thread(blocking.get_bundle, "b@1.0.0")
    with pytest.raises(ValueError, match="closed channel"):
        blocking.get_bundle("b@1.0.0")
    await server.stop(None)
