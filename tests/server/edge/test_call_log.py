"""One line for each call that failed or was slow, with the names to find it by and nothing of its content."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.access.model import Caller, Scope
from pecia_service.errors import ErrorReason, PreconditionError, UnauthenticatedError
from structlog.typing import EventDict
from support.edge import KnownCallers, bearer, captured, edge
from support.statuses import failure_of

RENDER = "/pecia.v1.PromptService/Render"
SECRET = "mauve-elephant"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NAMED = (("x-request-id", "order-66"), ("traceparent", TRACEPARENT))
REQUEST = pb.RenderRequest(model_type=SECRET, payload={"task": SECRET})


@pytest.fixture
async def log() -> AsyncIterator[list[EventDict]]:
    """Give what is logged."""
    async with captured() as lines:
        yield lines


def calls(log: list[EventDict]) -> list[EventDict]:
    """Return the lines about calls, without how long they took."""
    return [
        {key: value for key, value in line.items() if key not in {"seconds", "event"}}
        for line in log
        if line["event"] == "call"
    ]


async def test_a_call_that_succeeds_in_time_has_no_line(log: list[EventDict]) -> None:
    """A busy server is a quiet one."""
    async with edge() as server:
        await server.prompts.Render(REQUEST)
        assert [] == calls(log)
        assert ([RENDER], [("Render", "OK")]) == (server.observer.begun, server.observer.ended)


async def test_a_failed_call_has_one_line(log: list[EventDict]) -> None:
    """With its names, its caller and why it failed."""
    async with edge(KnownCallers()) as server:
        server.servicer.error = PreconditionError(
            ErrorReason.PROMPT_TOO_LARGE, SECRET, metadata={"x": SECRET}
        )
        await failure_of(server.prompts.Render(REQUEST, metadata=(*NAMED, *bearer("ada"))))
    assert [
        {
            "log_level": "info",
            "method": RENDER,
            "status": "FAILED_PRECONDITION",
            "reason": "PROMPT_TOO_LARGE",
            "request_id": "order-66",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "tenant": "acme",
            "principal": "ada",
        }
    ] == calls(log)
    assert SECRET not in str(log)


async def test_a_stranger_is_logged_as_nobody(log: list[EventDict]) -> None:
    """Nothing in the line makes a call that was not let in look like some tenant's."""
    async with edge(KnownCallers()) as server:
        await failure_of(server.prompts.Render(REQUEST, metadata=bearer("carl")))
    (line,) = calls(log)
    assert "CREDENTIALS_INVALID" == line["reason"]
    assert not {"tenant", "principal"} & line.keys()


class Revoked(KnownCallers):
    """Knows every key, and that it was revoked."""

    async def authenticate_key(self, token: str) -> Caller:
        """Let nobody in."""
        metadata = {"kind": "key", "key_id": "0199"}
        raise UnauthenticatedError(ErrorReason.CREDENTIALS_REVOKED, "no", metadata=metadata)


async def test_who_uses_a_revoked_key_can_be_found(log: list[EventDict]) -> None:
    """By the key's id, and by the address that it comes from."""
    async with edge(Revoked()) as server:
        await failure_of(server.prompts.Render(REQUEST, metadata=bearer("ada")))
    (line,) = calls(log)
    assert ("CREDENTIALS_REVOKED", "0199") == (line["reason"], line["credential_id"])
    assert line["peer"].startswith("ipv4:127.0.0.1:")


async def test_who_may_not_do_something_can_be_found(log: list[EventDict]) -> None:
    """The caller is known; it may be used from many places."""
    reader = Caller("acme", "key:0199", frozenset({Scope.READ}))
    async with edge(KnownCallers({"eve": reader})) as server:
        await failure_of(server.prompts.Render(REQUEST, metadata=bearer("eve")))
    (line,) = calls(log)
    assert ("SCOPE_MISSING", "key:0199") == (line["reason"], line["principal"])
    assert line["peer"].startswith("ipv4:127.0.0.1:")


async def test_a_slow_call_has_one_line(log: list[EventDict]) -> None:
    """It was answered, but somebody had to wait."""
    async with edge(slow_request_seconds="0") as server:
        await server.prompts.Render(REQUEST, metadata=(("x-request-id", "order-66"),))
        (seconds,) = server.observer.seconds
    (line,) = [line for line in log if line["event"] == "call"]
    assert ("OK", round(seconds, 6), "order-66") == (line["status"], line["seconds"], line["request_id"])
    assert not {"reason", "trace_id"} & line.keys()
    assert SECRET not in str(log)


async def test_a_call_whose_client_leaves_is_cancelled(log: list[EventDict]) -> None:
    """The line is written when it leaves, not when its call would have been answered."""
    async with edge() as server:
        server.servicer.gate.close()
        call = server.prompts.Render(REQUEST)
        await server.servicer.gate.holds(1)
        call.cancel()
        await server.observer.has_ended(1)
        assert [("Render", "CANCELLED")] == server.observer.ended
    assert ["CANCELLED"] == [line["status"] for line in calls(log)]


async def test_lines_in_between_have_the_request_id(log: list[EventDict]) -> None:
    """Whatever is logged while a call is answered can be found by it; what is logged outside has none."""
    async with edge() as server:
        await server.prompts.Render(REQUEST, metadata=(("x-request-id", "first"),))
        await server.prompts.Render(REQUEST, metadata=(("x-request-id", "second"),))
        server.servicer.error = KeyError(SECRET)
        await failure_of(server.prompts.Render(REQUEST, metadata=(("x-request-id", "third"),)))
        server.servicer.lines.info("outside")
    assert [
        ("at work", "first"),
        ("at work", "second"),
        ("at work", "third"),
        ("request failed", "third"),
        ("call", "third"),
        ("outside", None),
    ] == [(line["event"], line.get("request_id")) for line in log]


@pytest.mark.parametrize("method", ["VerifyAudit", "RenderStream"])
async def test_streams_are_observed_to_their_end(log: list[EventDict], method: str) -> None:
    """An answer on the way is no end."""
    async with edge() as server:
        server.servicer.gate.close()
        if method == "VerifyAudit":
            call: Any = server.prompts.VerifyAudit(pb.VerifyAuditRequest())
        else:
            call = server.prompts.RenderStream(iter([pb.RenderStreamRequest()]))
        await server.servicer.gate.holds(1)
        before = list(server.observer.ended)
        server.servicer.gate.open()
        async for _ in call:
            pass
        assert grpc.StatusCode.OK == await call.code()
        await server.observer.has_ended(1)
        assert ([], [(method, "OK")]) == (before, server.observer.ended)
    assert [] == calls(log)
