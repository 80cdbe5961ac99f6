"""The one place where requests are decoded and errors become statuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, cast

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc import aio

from pecia_service.errors import Error, ErrorReason, InvalidInputError
from pecia_service.server.status import STATUS_CODES, internal_fault, to_status

_CONTRACT: Final = "/pecia.v1."
_DETAILS_KEY: Final = "grpc-status-details-bin"

Request = TypeVar("Request")
Response = TypeVar("Response")
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Decode: TypeAlias = Callable[[bytes], Any]


class ErrorMappingInterceptor(aio.ServerInterceptor):
    """Maps domain errors, undecodable requests and faults to statuses, for the services of the contract.

    Handlers get decoded messages; gRPC itself hands over the raw bytes, so that bytes which can't be decoded
    are an error like any other.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger("pecia.server")
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped once for all calls."""
        method = handler_call_details.method
        if not method.startswith(_CONTRACT):
            return await continuation(handler_call_details)
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            wrapped = self._wrapped[method] = self._wrap(handler, method)
        return wrapped

    def _wrap(self, handler: Handler, method: str) -> Handler:
        # The stubs type a handler's functions as those of the synchronous server only.
        inner = cast("Any", handler)
        decode: Decode = inner.request_deserializer
        encode = inner.response_serializer
        if inner.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._unary_unary(inner.unary_unary, decode, method), None, encode
            )
        if inner.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._unary_stream(inner.unary_stream, decode, method), None, encode
            )
        return grpc.stream_stream_rpc_method_handler(
            self._stream_stream(inner.stream_stream, decode, method), None, encode
        )

    def _unary_unary(
        self, behaviour: Callable[[Any, Context], Awaitable[Response]], decode: Decode, method: str
    ) -> Callable[[bytes, Context], Awaitable[Response]]:
        async def call(raw: bytes, context: Context) -> Response:
            try:
                return await behaviour(_decoded(raw, decode, method), context)
            except Exception as error:  # noqa: BLE001 - each becomes a status
                await self._abort(error, context, method)

        return call

    def _unary_stream(
        self, behaviour: Callable[[Any, Context], AsyncIterator[Response]], decode: Decode, method: str
    ) -> Callable[[bytes, Context], AsyncIterator[Response]]:
        async def call(raw: bytes, context: Context) -> AsyncIterator[Response]:
            try:
                async with aclosing(behaviour(_decoded(raw, decode, method), context)) as responses:  # type: ignore[type-var]  # servicers are async generators
                    async for response in responses:
                        yield response
            except Exception as error:  # noqa: BLE001 - each becomes a status
                await self._abort(error, context, method)

        return call

    def _stream_stream(
        self,
        behaviour: Callable[[AsyncIterator[Any], Context], AsyncIterator[Response]],
        decode: Decode,
        method: str,
    ) -> Callable[[AsyncIterator[bytes], Context], AsyncIterator[Response]]:
        async def decoded(raw_requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
            async for raw in raw_requests:
                yield _decoded(raw, decode, method)

        async def call(raw_requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Response]:
            try:
                async with aclosing(behaviour(decoded(raw_requests), context)) as responses:  # type: ignore[type-var]  # servicers are async generators
                    async for response in responses:
                        yield response
            except Exception as error:  # noqa: BLE001 - each becomes a status
                await self._abort(error, context, method)

        return call

    async def _abort(self, error: Exception, context: Context, method: str) -> NoReturn:
        if isinstance(error, aio.AbortError):
            raise error
        if not isinstance(error, Error):
            self._log.error("request failed", method=method, exc_info=error)
            error = internal_fault(method)
        status = to_status(error)
        await context.abort(
            STATUS_CODES[error.kind], status.message, ((_DETAILS_KEY, status.SerializeToString()),)
        )


def _decoded(raw: bytes, decode: Callable[[bytes], Request], method: str) -> Request:
    try:
        return decode(raw)
    except DecodeError:
        raise InvalidInputError(
            ErrorReason.REQUEST_MALFORMED,
            "the bytes are not this method's request: check its message type, UTF-8 in strings, and nesting "
            "of at most 100 messages",
            metadata={"method": method},
        ) from None
