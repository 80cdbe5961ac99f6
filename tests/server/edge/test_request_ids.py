"""What a call is known by comes back to its client, however the call ends."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.errors import ErrorReason, PreconditionError
from pecia_service.ids import uuid7_time_ms
from support.edge import Edge, KnownCallers, captured, edge
from support.statuses import read_failure

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUESTS = [pb.RenderStreamRequest(correlation_id="1")]

Metadata = Sequence[tuple[str, str]]


@pytest.fixture
async def server() -> AsyncIterator[Edge]:
    """Give a server that answers everything."""
    async with edge() as live:
        yield live


async def unary(server: Edge, metadata: Metadata = ()) -> Any:
    """Call a method with one answer, and return the call."""
    call = server.prompts.Render(pb.RenderRequest(), metadata=metadata)
    await call.code()
    return call


async def drained(call: Any) -> Any:
    """Read all answers of a call, which its status comes after, and return it."""
    with suppress(aio.AioRpcError):
        async for _ in call:
            pass
    return call


async def server_stream(server: Edge, metadata: Metadata = ()) -> Any:
    """Call a method with several answers, and return the call."""
    return await drained(server.prompts.VerifyAudit(pb.VerifyAuditRequest(), metadata=metadata))


async def stream(server: Edge, metadata: Metadata = ()) -> Any:
    """Call a method that takes several, and return the call."""
    return await drained(server.prompts.RenderStream(iter(REQUESTS), metadata=metadata))


async def trailing(call: Any) -> dict[str, str]:
    """Return the trailing metadata but for the status's details."""
    return {key: value for key, value in await call.trailing_metadata() if key != "grpc-status-details-bin"}


KINDS = pytest.mark.parametrize("call", [unary, server_stream, stream])
ERRORS = pytest.mark.parametrize(
    "error", [None, PreconditionError(ErrorReason.PROMPT_TOO_LARGE, "less"), ValueError()], ids=type
)


@KINDS
@ERRORS
async def test_names_come_back(server: Edge, call: Any, error: Exception | None) -> None:
    """Request id and traceparent of the client, on successes, errors and faults alike."""
    server.servicer.error = error
    given = (("x-request-id", "order-66/a"), ("traceparent", TRACEPARENT))
    assert dict(given) == await trailing(await call(server, given))


@KINDS
@pytest.mark.parametrize(
    "error", [PreconditionError(ErrorReason.PROMPT_TOO_LARGE, "less"), ValueError()], ids=type
)
async def test_who_fails_without_a_request_id_gets_one(server: Edge, call: Any, error: Exception) -> None:
    """A new UUIDv7 for each call, and no traceparent, which is the client's to make."""
    server.servicer.error = error
    answers = [await trailing(await call(server)) for _ in range(3)]
    ids = {answer["x-request-id"] for answer in answers}
    assert (3, {("x-request-id",)}) == (len(ids), {tuple(answer) for answer in answers})
    assert None not in {uuid7_time_ms(request_id) for request_id in ids}


@KINDS
async def test_who_succeeds_learns_the_id_of_what_was_logged(server: Edge, call: Any) -> None:
    """The server's own id, which the line was written under."""
    async with captured() as lines:
        answer = await trailing(await call(server))
    assert {"x-request-id": lines[0]["request_id"]} == answer


async def test_an_id_is_made_only_for_those_of_whom_something_is_told() -> None:
    """A busy server has better things to do."""
    async with edge() as quiet:
        quiet.servicer.says = False
        assert {} == await trailing(await unary(quiet))


@pytest.mark.parametrize("text", ["a", "A9._:/+=@-", "x" * 128])
async def test_request_ids_that_are_taken(server: Edge, text: str) -> None:
    """1 to 128 characters that no log and no header stumbles over."""
    assert text == (await trailing(await unary(server, (("x-request-id", text),))))["x-request-id"]


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", 'a"b', "a\\b", "{}", "a,b", "<a>"])
async def test_request_ids_that_are_not_taken(server: Edge, text: str) -> None:
    """The call goes on under an id of the server's own."""
    answer = await trailing(await unary(server, (("x-request-id", text),)))
    assert uuid7_time_ms(answer["x-request-id"]) is not None


@pytest.mark.parametrize(
    "text",
    [
        TRACEPARENT.upper(),
        TRACEPARENT[:-1],
        TRACEPARENT + "0",
        TRACEPARENT + "-00",
        "ff" + TRACEPARENT[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "00-trace-parent-01",
        "",
    ],
)
async def test_traceparents_that_are_none(server: Edge, text: str) -> None:
    """What W3C Trace Context does not allow is ignored."""
    assert ["x-request-id"] == list(await trailing(await unary(server, (("traceparent", text),))))


async def test_a_fault_tells_the_request_id_in_its_details(server: Edge) -> None:
    """So that whoever reads the error finds the line in the log."""
    server.servicer.error = KeyError("x")
    with pytest.raises(aio.AioRpcError) as caught:
        await server.prompts.Render(pb.RenderRequest(), metadata=(("x-request-id", "order-66"),))
    assert {"method": "/pecia.v1.PromptService/Render", "request_id": "order-66"} == read_failure(
        caught.value
    ).metadata


async def test_who_is_not_let_in_gets_its_names_back_too() -> None:
    """Errors of the first stages are answered as those of the last."""
    async with edge(KnownCallers()) as server:
        call = await unary(server, (("x-request-id", "order-66"), ("traceparent", TRACEPARENT)))
    assert {"x-request-id": "order-66", "traceparent": TRACEPARENT} == await trailing(call)


@pytest.mark.parametrize("key", ["x-request-id", "traceparent"])
async def test_binary_metadata_of_that_name_is_no_name(server: Edge, key: str) -> None:
    """Keys that end in -bin are others."""
    call = server.prompts.Render(pb.RenderRequest(), metadata=((f"{key}-bin", b"\xff\x00"),))
    await call
    assert ["x-request-id"] == list(await trailing(call))
