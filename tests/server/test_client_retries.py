"""What both clients try again, and what they do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from pecia.v1.prompt_service_pb2 import RenderResponse, VerifyAuditResponse
from pecia.v1.replay_pb2 import VerifySummary
from pecia_client import PeciaError, RetryPolicy, render_request
from pecia_service.errors import ErrorReason, UnavailableError
from support.drivers import Connect, Driver
from support.edge import Edge, edge
from support.scripted_peer import Refusal, ScriptedPeer

PAYLOAD: dict[str, object] = {"semantic_traits": {}, "activity_level": 0, "stress": 0, "task": "x"}
SOON = RetryPolicy(first_delay=0.01, longest_delay=0.01)
UNAVAILABLE = Refusal(grpc.StatusCode.UNAVAILABLE)
EXHAUSTED = Refusal(
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    details=(
        error_details_pb2.ErrorInfo(domain="pecia", reason="TOO_MANY_REQUESTS"),
        error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1)),
    ),
)
ANSWERS = [code for code in grpc.StatusCode if code not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)]


@pytest.fixture
async def server() -> AsyncIterator[Edge]:
    """Give the real edge over a service that a test can make fail; one call at a time."""
    async with edge(max_in_flight="1") as live:
        yield live


async def refused(driver: Driver) -> PeciaError:
    """Render, and return why that failed."""
    with pytest.raises(PeciaError) as caught:
        await driver.call("render", "b@1.0.0", payload=PAYLOAD)
    return caught.value


@pytest.mark.parametrize("attempts", [2, 5])
async def test_a_call_is_made_as_often_as_the_policy_says(
    attempts: int, peer: ScriptedPeer, connect: Connect
) -> None:
    """Also at gRPC's own limit."""
    peer.script = [UNAVAILABLE] * 9
    retry = RetryPolicy(attempts=attempts, first_delay=0.01, longest_delay=0.01)
    await refused(connect(retry=retry))
    assert attempts == len(peer.requests)


async def test_without_a_policy_a_call_is_made_once(peer: ScriptedPeer, connect: Connect) -> None:
    """What another attempt would have got is not asked for."""
    peer.script = [UNAVAILABLE, RenderResponse()]
    await refused(connect(retry=None))
    assert 1 == len(peer.requests)


@pytest.mark.parametrize("code", ANSWERS, ids=[code.name for code in ANSWERS])
async def test_no_other_status_is_retried(
    code: grpc.StatusCode, peer: ScriptedPeer, connect: Connect
) -> None:
    """They are answers: the same request would get the same one, or must be thought over."""
    peer.script = [Refusal(code), RenderResponse()]
    error = await refused(connect(retry=SOON))
    assert (code, 1) == (error.code, len(peer.requests))


async def test_exhaustion_tells_when_to_come_back(peer: ScriptedPeer, connect: Connect) -> None:
    """It is the program's to decide, and the error says after how long."""
    peer.script = [EXHAUSTED, RenderResponse()]
    error = await refused(connect(retry=SOON))
    assert ("TOO_MANY_REQUESTS", 1.0, 1) == (error.reason, error.retry_after, len(peer.requests))


async def test_exhaustion_is_retried_when_asked(peer: ScriptedPeer, connect: Connect) -> None:
    """The policy can say that it is worth another attempt."""
    peer.script = [EXHAUSTED, UNAVAILABLE, RenderResponse(prompt="p")]
    retry = RetryPolicy(first_delay=0.01, longest_delay=0.01, exhausted=True)
    answer = await connect(retry=retry).call("render", "b@1.0.0", payload=PAYLOAD)
    assert RenderResponse(prompt="p") == answer


async def test_the_deadline_holds_for_all_attempts(peer: ScriptedPeer, connect: Connect) -> None:
    """A call ends in its time, also when the next attempt were later."""
    peer.script = [UNAVAILABLE, RenderResponse()]
    retry = RetryPolicy(first_delay=3000, longest_delay=3000)
    # Enough for a first attempt, with its connection, on any machine.
    error = await refused(connect(retry=retry, timeout=2))
    assert (grpc.StatusCode.DEADLINE_EXCEEDED, 1) == (error.code, len(peer.requests))


async def test_a_stream_is_retried_before_it_answers(peer: ScriptedPeer, connect: Connect) -> None:
    """Nobody has seen anything of the first attempt."""
    answer = VerifyAuditResponse(summary=VerifySummary(checked=2))
    peer.script = [UNAVAILABLE, answer]
    assert [answer] == await connect(retry=SOON).collect("verify_audit")


async def test_a_stream_that_has_answered_is_not_retried(peer: ScriptedPeer, connect: Connect) -> None:
    """Its answers would come twice."""
    peer.script = [VerifyAuditResponse(), UNAVAILABLE, VerifyAuditResponse()]
    with pytest.raises(PeciaError, match="UNAVAILABLE"):
        await connect(retry=SOON).collect("verify_audit")
    assert 1 == len(peer.requests)


async def test_a_render_stream_is_not_retried(peer: ScriptedPeer, connect: Connect) -> None:
    """Who gives its requests knows which of them to send again."""
    peer.script = [UNAVAILABLE]
    pair = ("1", render_request("b@1.0.0", payload=PAYLOAD))
    with pytest.raises(PeciaError, match="UNAVAILABLE"):
        await connect(retry=SOON).collect("render_stream", [pair])
    assert 1 == len(peer.requests)


async def test_a_real_servers_refusal_is_retried(server: Edge, connect: Connect) -> None:
    """The edge's UNAVAILABLE, with its details, is one that gRPC retries."""
    server.servicer.error = UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "away", retry_after=0.5)
    error = await refused(connect(to=server.target, retry=SOON))
    await server.observer.has_ended(4)
    assert [("Render", "UNAVAILABLE")] * 4 == server.observer.ended
    assert ("STORAGE_UNAVAILABLE", 0.5) == (error.reason, error.retry_after)


async def test_a_real_servers_limit_is_overcome_when_asked(server: Edge, connect: Connect) -> None:
    """A call that found no room is let in when there is room again."""
    server.servicer.gate.close()
    driver = connect(to=server.target, retry=RetryPolicy(first_delay=0.05, multiplier=1, exhausted=True))
    first = asyncio.create_task(driver.call("render", "b@1.0.0", payload=PAYLOAD))
    await server.servicer.gate.holds(1)
    second = asyncio.create_task(driver.call("render", "b@1.0.0", payload=PAYLOAD))
    await server.observer.has_ended(1)
    server.servicer.gate.open()
    assert [RenderResponse(), RenderResponse()] == [await first, await second]
    assert ("Render", "RESOURCE_EXHAUSTED") == server.observer.ended[0]
