"""The interceptor over a real channel: whatever goes wrong in a call becomes one status with its details."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
import structlog
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1.prompt_service_pb2_grpc import (
    PromptServiceServicer,
    PromptServiceStub,
    add_PromptServiceServicer_to_server,
)
from pecia_service.errors import (
    Error,
    ErrorReason,
    FieldViolation,
    InvalidInputError,
    PreconditionError,
    UnavailableError,
)
from pecia_service.server.context import Context
from pecia_service.server.interceptors.assembly import edge_interceptor
from pecia_service.settings import Settings
from structlog.typing import EventDict
from support.raw import nested, number
from support.statuses import Failure, failure_of, read_failure

if TYPE_CHECKING:
    from pecia.v1.prompt_service_pb2_grpc import PromptServiceAsyncStub

RENDER = "/pecia.v1.PromptService/Render"
VERIFY = "/pecia.v1.PromptService/VerifyAudit"
STREAM = "/pecia.v1.PromptService/RenderStream"
SECRET = "my-secret-prompt"


class Servicer(PromptServiceServicer):
    """Answers as often as told, and then raises what it is told to raise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.answers = 0
        self.requests: list[object] = []
        self.hangs = False
        self.closed = asyncio.Event()

    async def Render(self, request: pb.RenderRequest, context: Context) -> pb.RenderResponse:  # noqa: N802
        """Answer one request."""
        self.requests.append(request)
        if request.model_type == "abort":
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
        if self.error is not None:
            raise self.error
        return pb.RenderResponse(prompt=request.model_type)

    async def VerifyAudit(  # noqa: N802
        self, request: pb.VerifyAuditRequest, context: Context
    ) -> AsyncIterator[pb.VerifyAuditResponse]:
        """Answer one request by several."""
        self.requests.append(request)
        try:
            for _ in range(self.answers):
                yield pb.VerifyAuditResponse()
            if self.hangs:
                await asyncio.get_running_loop().create_future()
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()

    async def RenderStream(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.RenderStreamRequest], context: Context
    ) -> AsyncIterator[pb.RenderStreamResponse]:
        """Answer each of several requests."""
        try:
            async for request in request_iterator:
                self.requests.append(request)
                if self.error is not None:
                    raise self.error
                yield pb.RenderStreamResponse(correlation_id=request.correlation_id)
        finally:
            self.closed.set()


class Elsewhere(grpc.GenericRpcHandler):
    """A service that is not of the contract, and fails."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Give the one method that it has."""
        if handler_call_details.method != "/elsewhere.Service/Fail":
            return None

        async def fail(_request: bytes, _context: object) -> bytes:
            raise ValueError("of elsewhere")

        return grpc.unary_unary_rpc_method_handler(fail)


@pytest.fixture
def servicer() -> Servicer:
    """Give the servicer that the server has."""
    return Servicer()  # type: ignore[abstract]  # these methods are enough


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    """Give what is logged."""
    with structlog.testing.capture_logs() as events:
        yield events


def faults(log: list[EventDict]) -> list[EventDict]:
    """Return the lines about faults of the server."""
    return [event for event in log if event["log_level"] == "error"]


@pytest.fixture
async def channel(servicer: Servicer, log: list[EventDict]) -> AsyncIterator[aio.Channel]:
    """Give a channel to a server with the interceptor."""
    server = aio.server(interceptors=[edge_interceptor(Settings.load({}), None)])
    add_PromptServiceServicer_to_server(servicer, server)
    server.add_generic_rpc_handlers((Elsewhere(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.fixture
def stub(channel: aio.Channel) -> PromptServiceAsyncStub:
    """Give a stub for the service."""
    return PromptServiceStub(channel)


async def call_unary(channel: aio.Channel, *requests: bytes) -> list[bytes]:
    """Call the unary method with the last of the requests."""
    method: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(RENDER)
    return [await method(requests[-1])]


async def call_server_stream(channel: aio.Channel, *requests: bytes) -> list[bytes]:
    """Call the method that answers by several with the last of the requests."""
    method: aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(VERIFY)
    return [response async for response in method(requests[-1])]


async def call_bidi(channel: aio.Channel, *requests: bytes) -> list[bytes]:
    """Call the method that takes several with all requests."""
    method: aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
    return [response async for response in method(iter(requests))]


@dataclass(frozen=True)
class Kind:
    """A way to call, and the method that it calls."""

    method: str
    call: Callable[..., Awaitable[list[bytes]]]


UNARY = pytest.param(Kind(RENDER, call_unary), id="unary")
SERVER_STREAM = pytest.param(Kind(VERIFY, call_server_stream), id="server stream")
BIDI = pytest.param(Kind(STREAM, call_bidi), id="bidirectional")


async def gather(answers: AsyncIterator[object], into: list[object]) -> None:
    """Keep the answers of a call, also of one that fails in the end."""
    async for answer in answers:
        into.append(answer)  # noqa: PERF401 - what came before an error must stay


def deep(levels: int) -> bytes:
    """Write a field 1 in which messages of a Value and a ListValue nest."""
    data = number(4, 1)
    while levels > 0:
        data = nested(6, nested(1, data))
        levels -= 2
    return data


def traits_with(value: bytes) -> bytes:
    """Write a payload with one trait."""
    return nested(1, nested(1, nested(1, b"a"), nested(2, value)))


MALFORMED = {
    "half a tag": b"\xff",
    "half a length": b"\x0a\x05a",
    "field number 0": b"\x00\x00",
    "wire type 7": b"\x0f",
    "open group": b"\x7b",
    "endless number": b"\x08" + b"\xff" * 11,
}


@pytest.mark.parametrize("kind", [UNARY, SERVER_STREAM, BIDI])
@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_bytes(
    channel: aio.Channel, servicer: Servicer, log: list[EventDict], kind: Kind, raw: bytes
) -> None:
    """Bytes that are no message are INVALID_ARGUMENT, reach no servicer, and are no fault."""
    failure = await failure_of(kind.call(channel, raw))
    assert (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED", "pecia", {"method": kind.method}) == (
        failure.code,
        failure.reason,
        failure.domain,
        failure.metadata,
    )
    assert ([], []) == (servicer.requests, faults(log))


BAD_UTF8 = [
    pytest.param(Kind(RENDER, call_unary), nested(4, b"\xff"), id="unary"),
    pytest.param(Kind(RENDER, call_unary), nested(4, b"\xed\xa0\x80"), id="unary, a surrogate"),
    pytest.param(Kind(RENDER, call_unary), nested(3, nested(4, b"a\x80")), id="unary, inside"),
    pytest.param(
        Kind(RENDER, call_unary), nested(3, nested(1, nested(1, nested(1, b"\xc0\x80")))), id="unary, a key"
    ),
    pytest.param(Kind(VERIFY, call_server_stream), nested(1, nested(3, b"\xff")), id="server stream"),
    pytest.param(Kind(STREAM, call_bidi), nested(1, b"\xff"), id="bidirectional"),
]


@pytest.mark.parametrize(("kind", "raw"), BAD_UTF8)
async def test_bad_utf8(channel: aio.Channel, servicer: Servicer, kind: Kind, raw: bytes) -> None:
    """Text that is not UTF-8 is INVALID_ARGUMENT, wherever it stands."""
    failure = await failure_of(kind.call(channel, raw))
    assert (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED", {"method": kind.method}) == (
        failure.code,
        failure.reason,
        failure.metadata,
    )
    assert [] == servicer.requests


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        pytest.param(Kind(RENDER, call_unary), lambda value: nested(3, traits_with(value)), id="unary"),
        pytest.param(
            Kind(STREAM, call_bidi),
            lambda value: nested(2, nested(3, traits_with(value))),
            id="bidirectional",
        ),
    ],
)
async def test_nesting(
    channel: aio.Channel, servicer: Servicer, kind: Kind, wrap: Callable[[bytes], bytes]
) -> None:
    """Messages that nest too deeply are INVALID_ARGUMENT; what is less deep reaches the servicer."""
    await kind.call(channel, wrap(deep(90)))
    assert 1 == len(servicer.requests)
    for levels in (110, 10_000):
        failure = await failure_of(kind.call(channel, wrap(deep(levels))))
        assert (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED") == (failure.code, failure.reason)
    assert 1 == len(servicer.requests)


async def test_malformed_in_the_middle_of_a_stream(channel: aio.Channel, servicer: Servicer) -> None:
    """What came before is answered; the malformed message ends the stream."""
    good = pb.RenderStreamRequest(correlation_id="a").SerializeToString()
    method: aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
    answers: list[object] = []
    with pytest.raises(aio.AioRpcError) as caught:
        await gather(aiter(method(iter([good, good, b"\xff", good]))), answers)
    assert (2, "REQUEST_MALFORMED", 2) == (
        len(answers),
        read_failure(caught.value).reason,
        len(servicer.requests),
    )


DOMAIN_ERRORS = [
    InvalidInputError(
        ErrorReason.SIZE_EXCEEDED,
        "payload.task: has 70000 bytes; at most 65536 are allowed",
        metadata={"field": "payload.task", "size": "70000", "limit": "65536"},
        violations=[FieldViolation("payload.task", "has 70000 bytes; at most 65536 are allowed")],
    ),
    PreconditionError(ErrorReason.PROMPT_TOO_LARGE, "Less.", metadata={"size": "2", "limit": "1"}),
    UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "Gr\u00fc\u00dfe \U0001f600\nLater.", retry_after=2.5),
]


def expected_failure(error: Error) -> Failure:
    """Return what a client must be told of a domain error."""
    return Failure(
        grpc.StatusCode[error.kind.name],
        error.message,
        error.reason.name,
        "pecia",
        error.metadata,
        [(violation.field, violation.description) for violation in error.violations],
        error.retry_after,
    )


@pytest.mark.parametrize("kind", [UNARY, SERVER_STREAM, BIDI])
@pytest.mark.parametrize("error", DOMAIN_ERRORS, ids=lambda error: error.reason.name)
async def test_domain_errors(
    channel: aio.Channel, servicer: Servicer, log: list[EventDict], kind: Kind, error: Error
) -> None:
    """A domain error keeps status, message, reason, metadata, violations and delay, and is no fault."""
    servicer.error = error
    assert expected_failure(error) == await failure_of(kind.call(channel, b""))
    assert [] == faults(log)


@pytest.mark.parametrize("kind", [UNARY, SERVER_STREAM, BIDI])
@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), KeyError(SECRET), NotImplementedError(SECRET), ExceptionGroup(SECRET, [OSError()])],
    ids=lambda error: type(error).__name__,
)
async def test_faults(
    channel: aio.Channel, servicer: Servicer, log: list[EventDict], kind: Kind, error: Exception
) -> None:
    """Anything else is INTERNAL, tells nothing but method and request id, and is logged with all it has."""
    servicer.error = error
    with pytest.raises(aio.AioRpcError) as caught:
        await kind.call(channel, b"")
    expected = Failure(
        grpc.StatusCode.INTERNAL,
        "the server failed; its log has the details",
        "INTERNAL_FAULT",
        "pecia",
        {"method": kind.method, "request_id": dict(caught.value.trailing_metadata())["x-request-id"]},
    )
    assert expected == read_failure(caught.value)
    told = f"{caught.value!r} {caught.value.trailing_metadata()} {caught.value.debug_error_string()}"
    assert [False, False] == [SECRET in told, type(error).__name__ in told]
    assert [("request failed", "error", kind.method, error)] == [
        (event["event"], event["log_level"], event["method"], event["exc_info"]) for event in faults(log)
    ]


@pytest.mark.parametrize(
    "error", [*DOMAIN_ERRORS, ValueError(SECRET)], ids=lambda error: type(error).__name__
)
async def test_errors_in_the_middle_of_an_answer(
    stub: PromptServiceAsyncStub, servicer: Servicer, error: Exception
) -> None:
    """What was answered before the error arrives, and then the error with its details."""
    servicer.error = error
    servicer.answers = 3
    answers: list[object] = []
    with pytest.raises(aio.AioRpcError) as caught:
        await gather(aiter(stub.VerifyAudit(pb.VerifyAuditRequest())), answers)
    expected = error.reason.name if isinstance(error, Error) else "INTERNAL_FAULT"
    assert (3, expected) == (len(answers), read_failure(caught.value).reason)


async def test_calls_that_succeed(stub: PromptServiceAsyncStub, servicer: Servicer) -> None:
    """Where nothing goes wrong, messages arrive decoded and answers encoded."""
    servicer.answers = 2
    response = await stub.Render(pb.RenderRequest(model_type="m"))
    assert ("m", [pb.RenderRequest(model_type="m")]) == (response.prompt, servicer.requests)
    assert [pb.VerifyAuditResponse()] * 2 == [
        answer async for answer in stub.VerifyAudit(pb.VerifyAuditRequest())
    ]
    requests = [pb.RenderStreamRequest(correlation_id=name) for name in "ab"]
    answers = [answer.correlation_id async for answer in stub.RenderStream(iter(requests))]
    assert ["a", "b"] == answers


async def test_a_server_goes_on_after_errors(stub: PromptServiceAsyncStub, servicer: Servicer) -> None:
    """A fault of one call is none of the next one's business."""
    servicer.error = ValueError(SECRET)
    await failure_of(stub.Render(pb.RenderRequest()))
    servicer.error = None
    assert "m" == (await stub.Render(pb.RenderRequest(model_type="m"))).prompt


async def test_a_status_of_the_servicers_own(stub: PromptServiceAsyncStub, log: list[EventDict]) -> None:
    """A servicer that aborts by itself is left alone."""
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.Render(pb.RenderRequest(model_type="abort"))
    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "enough", []) == (
        caught.value.code(),
        caught.value.details(),
        faults(log),
    )


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u20ac", "\U0001f600", "%", "\n"], ids=ascii)
async def test_the_largest_status_arrives(
    stub: PromptServiceAsyncStub, servicer: Servicer, character: str
) -> None:
    """A client gets reason and details even of an error with the longest and widest texts."""
    text = character * 10_000
    keys = ("field", "size", "limit", "bundle_id", "template_id", "semver")
    servicer.error = InvalidInputError(
        ErrorReason.TEXT_INVALID,
        text,
        metadata=dict.fromkeys(keys, text),
        violations=[FieldViolation(text, text)] * 100,
    )
    for _ in range(5):
        failure = await failure_of(stub.Render(pb.RenderRequest()))
        assert (grpc.StatusCode.INVALID_ARGUMENT, "TEXT_INVALID") == (failure.code, failure.reason)
        assert (sorted(keys), True) == (sorted(failure.metadata), len(failure.violations) > 0)


async def test_a_client_that_goes_away(
    stub: PromptServiceAsyncStub, servicer: Servicer, log: list[EventDict]
) -> None:
    """A cancelled call ends the servicer's work, and is no fault."""
    servicer.answers, servicer.hangs = 1, True
    call = stub.VerifyAudit(pb.VerifyAuditRequest())
    await call.read()
    call.cancel()
    async with asyncio.timeout(10):
        await servicer.closed.wait()
    assert [] == faults(log)


async def test_methods_that_do_not_exist(channel: aio.Channel) -> None:
    """A method that the contract does not have is UNIMPLEMENTED."""
    method: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/pecia.v1.PromptService/Nothing")
    with pytest.raises(aio.AioRpcError) as caught:
        await method(b"")
    assert grpc.StatusCode.UNIMPLEMENTED is caught.value.code()


async def test_other_services_are_left_alone(channel: aio.Channel) -> None:
    """What is not of the contract is none of the interceptor's business."""
    method: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/elsewhere.Service/Fail")
    with pytest.raises(aio.AioRpcError) as caught:
        await method(b"")
    assert grpc.StatusCode.UNKNOWN is caught.value.code()
