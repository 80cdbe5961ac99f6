"""The one interceptor of the contract's services, which runs the stages around each call in their order."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import grpc
from grpc import aio

from pecia_service.access.model import ANONYMOUS
from pecia_service.server.context import CALLER, Context
from pecia_service.server.interceptors.authentication import Authentication
from pecia_service.server.interceptors.calls import Call, Metadata, RequestIds
from pecia_service.server.interceptors.deadlines import DefaultDeadline
from pecia_service.server.interceptors.errors import ErrorMapper
from pecia_service.server.interceptors.limits import SMALL_ANSWER_BYTES, AnswerBytes, InFlight
from pecia_service.server.interceptors.observation import CANCELLED, OK, Observation
from pecia_service.server.interceptors.open_calls import OpenCalls
from pecia_service.server.interceptors.requests import Reading, Requests, read_one
from pecia_service.server.interceptors.scopes import SCOPES, check_scope

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_GUARDED: Final = ("/pecia.v1.", "/grpc.channelz.")

_METADATA: ContextVar[Metadata | None] = ContextVar("metadata", default=None)


@dataclass(frozen=True, slots=True)
class Stages:
    """What a call goes through, in this order; errors of each are answered by `errors`.

    Without `authentication` everybody is the anonymous caller.
    """

    request_ids: RequestIds
    observation: Observation
    authentication: Authentication | None
    in_flight: InFlight
    answers: AnswerBytes
    deadline: DefaultDeadline
    stream_deadline: DefaultDeadline
    reading: Reading
    errors: ErrorMapper


class EdgeInterceptor(aio.ServerInterceptor):
    """Wraps each method once: the contract's, and channelz's, in all stages; others as `OpenCalls` says.

    To gRPC every wrapped method takes a stream, so that its first message is read only when the caller may
    call: what nobody has let in waits on the wire and takes neither memory nor time.
    """

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._open_calls = OpenCalls(stages.request_ids, stages.errors)
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped once for all calls."""
        # The handler is called next in this task, and would have gRPC read the metadata again.
        _METADATA.set(handler_call_details.invocation_metadata)
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        if method.startswith(_GUARDED):
            wrapped = _wrap(self._stages, handler, method)
        else:
            wrapped = self._open_calls.wrap(handler, method)
        self._wrapped[method] = wrapped
        return wrapped

    def stop(self) -> None:
        """Read no more from streams: they end with SERVER_STOPPING when what was read is answered."""
        self._stages.reading.stop()
        self._open_calls.stop()


def _wrap(stages: Stages, handler: Handler, method: str) -> Handler:
    # The stubs type a handler's functions as those of the synchronous server only.
    inner = cast("Any", handler)
    decode, encode = inner.request_deserializer, inner.response_serializer
    if inner.unary_unary is not None:
        unary = _Unary(stages, method, stages.deadline, inner.unary_unary, decode, encode=encode)
        return grpc.stream_unary_rpc_method_handler(cast("Any", unary.serve), None, None)
    if inner.unary_stream is not None:
        stream: _Method = _ServerStream(stages, method, stages.stream_deadline, inner.unary_stream, decode)
    else:
        stream = _Stream(stages, method, stages.stream_deadline, inner.stream_stream, decode)
    return grpc.stream_stream_rpc_method_handler(cast("Any", stream.serve_stream), None, encode)


class _Method(ABC):
    """One method with its stages around it."""

    def __init__(
        self,
        stages: Stages,
        method: str,
        deadline: DefaultDeadline,
        behaviour: Callable[[Any, Context], Any],
        decode: Callable[[bytes], Any],
    ) -> None:
        self._stages = stages
        self._name = method
        self._scope = SCOPES[method]
        self._deadline = deadline
        self._behaviour = behaviour
        self._decode = decode

    async def serve(self, _messages: AsyncIterator[bytes], context: Context) -> object:
        """Answer one call, whatever becomes of it."""
        stages = self._stages
        call = stages.request_ids.begin(self._name, context, _METADATA.get())
        started = stages.observation.start(self._name)
        try:
            response = await self._admit(call, context)
        except asyncio.CancelledError:
            stages.observation.finish(call, started, CANCELLED)
            raise
        except aio.BaseError as error:
            # The servicer ended the call by itself, or nobody is left to be answered.
            aborted = isinstance(error, aio.AbortError)
            stages.observation.finish(call, started, context.code().name if aborted else CANCELLED)
            raise
        except Exception as error:  # noqa: BLE001 - each becomes a status
            failure = stages.errors.judge(error, self._name)
            # A status may wait for a client that reads nothing; what the call held is free by now.
            stages.observation.finish(call, started, failure.kind.name, failure, context.peer)
            await stages.errors.abort(failure, call, context)
        else:
            stages.observation.finish(call, started, _status_of(context))
            stages.request_ids.end(call, context)
            return response

    async def serve_stream(self, messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[object]:
        """Answer one call by messages, which are written, not yielded.

        A generator that waits in a yield learns that its client has left when garbage is collected; one that
        waits for a write learns it at once.
        """
        await self.serve(messages, context)
        nothing: tuple[object, ...] = ()
        for message in nothing:
            yield message

    async def _admit(self, call: Call, context: Context) -> object:
        stages = self._stages
        if stages.authentication is None:
            caller = ANONYMOUS
        else:
            caller = await stages.authentication.identify(call, context)
        call.caller = caller
        CALLER.set(caller)
        check_scope(caller, self._name, self._scope)
        stages.in_flight.enter(caller)
        task = asyncio.current_task()
        assert task is not None
        # Not when there is an answer, but when it has left: until its client reads it, it stays in memory.
        task.add_done_callback(lambda _: stages.in_flight.leave(caller))
        if context.time_remaining() is not None:
            return await self._answer(context)
        self._deadline.begin(task)
        try:
            return await self._answer(context)
        except asyncio.CancelledError:
            self._deadline.check(task)
            raise
        finally:
            self._deadline.end(task)

    @abstractmethod
    async def _answer(self, context: Context) -> object:
        """Read what is asked, and answer it."""


class _Unary(_Method):
    """A method with one answer, which is encoded here: what waits for its client is held once, as bytes."""

    def __init__(
        self,
        stages: Stages,
        method: str,
        deadline: DefaultDeadline,
        behaviour: Callable[[Any, Context], Any],
        decode: Callable[[bytes], Any],
        *,
        encode: Callable[[Any], bytes],
    ) -> None:
        super().__init__(stages, method, deadline, behaviour, decode)
        self._encode = encode

    async def _answer(self, context: Context) -> bytes:
        request = await read_one(context, self._decode, self._name)
        response = await self._behaviour(request, context)
        if _status_of(context) != OK:
            # Channelz fails by the status alone, and gRPC sends no answer beside it.
            return b""
        answer = self._encode(response)
        if len(answer) > SMALL_ANSWER_BYTES:
            task = asyncio.current_task()
            assert task is not None
            self._stages.answers.hold(len(answer), task)
        return answer


class _ServerStream(_Method):
    """A method that answers one request by several messages."""

    async def _answer(self, context: Context) -> None:
        request = await read_one(context, self._decode, self._name)
        await _write(self._behaviour(request, context), context)


class _Stream(_Method):
    """A method that takes several messages and answers several."""

    async def _answer(self, context: Context) -> None:
        requests = Requests(self._stages.reading, context, self._decode, self._name)
        await _write(self._behaviour(requests, context), context)


def _status_of(context: Context) -> str:
    """Return the name of the status that the servicer has set, and OK if it set none."""
    # The stubs do not know that there is none unless one was set.
    code = cast("grpc.StatusCode | None", context.code())
    return OK if code is None else code.name


async def _write(responses: AsyncGenerator[object, None], context: Context) -> None:
    # Whoever leaves early ends the servicer's work here and now, not when garbage is collected.
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)
