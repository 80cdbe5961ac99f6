"""RenderStream over a channel: correlated answers, bounded work, and ends that leave nothing running."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest
from grpc import aio
from pecia.v1 import error_reason_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.model import ResolvedBundle
from support.server import LiveServer, live_server, served
from support.statuses import read_failure
from support.wire import payload, publish, version_ref

SECONDS = 30.0
IN_FLIGHT = 3
METHOD = "/pecia.v1.PromptService/RenderStream"


class GatedGenerator:
    """A generator whose renders wait at a gate; it counts those that wait."""

    def __init__(self, generator: PromptGenerator) -> None:
        self._generator = generator
        self.gate = asyncio.Event()
        self.full = asyncio.Event()
        self.waiting = 0
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def held(self, *_: object) -> None:
        """Have nothing at hand."""

    async def resolve(self, bundle_id: str, semver: str, field: str) -> ResolvedBundle:
        """Return a bundle when the gate is open."""
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self.waiting == IN_FLIGHT:
            self.full.set()
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        return await self._generator.resolve(bundle_id, semver, field)


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server with a bundle."""
    async with live_server(migrated_database_url, stream_in_flight=str(IN_FLIGHT)) as live:
        await publish(live.registry)
        yield live


@asynccontextmanager
async def gated(server: LiveServer) -> AsyncIterator[tuple[LiveServer, GatedGenerator]]:
    """Serve the same application with a gate before each render."""
    generator = GatedGenerator(server.application.generator("default"))
    app = replace(server.application, generator=lambda _: cast(PromptGenerator, generator))
    async with served(server.settings, app) as live:
        yield live, generator


def message(number: int, **fields: Any) -> pb.RenderStreamRequest:
    """Make a request whose correlation id and task are its number."""
    request = {"bundle": version_ref(), "payload": payload(task=f"task {number}"), **fields}
    return pb.RenderStreamRequest(correlation_id=str(number), request=pb.RenderRequest(**request))


def kind(outcome: pb.RenderOutcome) -> str:
    """Return the outcome's reason, or "" for a success."""
    if outcome.WhichOneof("outcome") == "response":
        return ""
    return error_reason_pb2.ErrorReason.Name(outcome.error.reason).removeprefix("ERROR_REASON_")


async def stream(
    server: LiveServer, messages: Iterable[pb.RenderStreamRequest]
) -> dict[str, pb.RenderOutcome]:
    """Send all messages, and return the outcomes by correlation id."""
    answers = [answer async for answer in server.prompts.RenderStream(iter(messages))]
    outcomes = {answer.correlation_id: answer.outcome for answer in answers}
    assert len(outcomes) == len(answers)
    return outcomes


async def test_answers_carry_the_correlation_id_of_their_request(server: LiveServer) -> None:
    """Each of many requests is answered once, with its own prompt."""
    outcomes = await stream(server, (message(number) for number in range(100)))
    tasks = {key: outcome.response.prompt.rpartition("\n\n")[2] for key, outcome in outcomes.items()}
    assert {str(number): f"Do this: task {number}" for number in range(100)} == tasks


async def test_a_stream_without_requests_has_no_answers(server: LiveServer) -> None:
    """It ends in order."""
    assert {} == await stream(server, ())


async def test_what_fails_does_not_end_the_stream(server: LiveServer) -> None:
    """Each error is the outcome of its request; those after it are answered."""
    messages = [
        message(0),
        message(1, bundle=version_ref("9.0.0")),
        message(2, payload=payload(stress=7)),
        pb.RenderStreamRequest(correlation_id="3"),
        pb.RenderStreamRequest(correlation_id="4" * 129, request=message(4).request),
        message(5),
    ]
    outcomes = await stream(server, messages)
    assert {
        "0": "",
        "1": "BUNDLE_NOT_FOUND",
        "2": "PAYLOAD_INVALID",
        "3": "PAYLOAD_INVALID",
        "4" * 128: "SIZE_EXCEEDED",
        "5": "",
    } == {key: kind(outcome) for key, outcome in outcomes.items()}


async def test_answers_come_while_requests_still_do(server: LiveServer) -> None:
    """A client may wait for an answer before it sends the next request."""
    call = server.prompts.RenderStream()
    for number in range(3):
        await call.write(message(number))
        answer = await call.read()
        assert isinstance(answer, pb.RenderStreamResponse)
        assert str(number) == answer.correlation_id
    await call.done_writing()
    assert aio.EOF is await call.read()


async def test_renders_in_flight_are_bounded(server: LiveServer) -> None:
    """However many requests were sent, no more than the setting are under way at once."""
    async with gated(server) as (live, generator):
        answers = asyncio.create_task(stream(live, (message(number) for number in range(50))))
        await asyncio.wait_for(generator.full.wait(), SECONDS)
        # Each round trip on the same connection gives a server that reads on the time to do so.
        for _ in range(20):
            await live.prompts.ListAuditRecords(pb.ListAuditRecordsRequest())
        generator.gate.set()
        assert 50 == len(await answers)
    assert IN_FLIGHT == generator.most


async def test_bytes_that_are_no_request_end_the_stream(server: LiveServer) -> None:
    """What was asked before is answered first; then the stream fails."""
    method: Any = server.channel.stream_stream(METHOD)
    call = method(iter([message(0).SerializeToString(), b"\x0a\x01\xff"]))
    answer = pb.RenderStreamResponse.FromString(await call.read())
    with pytest.raises(aio.AioRpcError) as caught:
        await call.read()
    failure = read_failure(caught.value)
    assert "0" == answer.correlation_id
    assert (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED") == (failure.code, failure.reason)
    assert {"method": METHOD} == failure.metadata


async def test_unknown_fields_of_a_payload_are_an_outcome(server: LiveServer) -> None:
    """A smuggled field fails its request only."""
    smuggling = message(0)
    smuggling.request.payload.MergeFromString(b"\x48\x01")
    outcomes = await stream(server, [smuggling, message(1)])
    assert {"0": "PAYLOAD_UNKNOWN_FIELDS", "1": ""} == {key: kind(item) for key, item in outcomes.items()}


@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_client_that_goes_away_leaves_nothing_running(server: LiveServer, half_closed: bool) -> None:
    """Cancelled with renders in flight, the stream's tasks all end, and nothing is recorded."""
    async with gated(server) as (live, generator):
        call = live.prompts.RenderStream()
        for number in range(IN_FLIGHT):
            await call.write(message(number))
        if half_closed:
            await call.done_writing()
        await asyncio.wait_for(generator.full.wait(), SECONDS)
        working = {
            task
            for task in asyncio.all_tasks()
            if re.search("run_stream|stream_answer", repr(task.get_coro()))
        }
        assert IN_FLIGHT + 1 == len(working)
        call.cancel()
        _, left = await asyncio.wait(working, timeout=SECONDS)
    assert (set(), 0) == (left, generator.waiting)
    assert await server.application.sink.flush(10)
    assert not (await server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest())).records


async def test_a_server_that_stops_answers_what_is_under_way(server: LiveServer) -> None:
    """Within the grace the renders in flight are finished, and their answers arrive."""
    async with gated(server) as (live, generator):
        answers = asyncio.create_task(stream(live, (message(number) for number in range(IN_FLIGHT))))
        await asyncio.wait_for(generator.full.wait(), SECONDS)
        stopping = asyncio.create_task(live.server.stop())
        generator.gate.set()
        assert {str(number) for number in range(IN_FLIGHT)} == set(await answers)
        await stopping
