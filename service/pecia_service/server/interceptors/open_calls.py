"""Health and reflection, which anybody may call: how much of them the server holds at once is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, TypeAlias, cast

import grpc

from pecia_service.errors import Error, ErrorReason, ResourceExhaustedError
from pecia_service.server.context import Context
from pecia_service.server.interceptors.calls import RequestIds
from pecia_service.server.interceptors.errors import ErrorMapper
from pecia_service.server.interceptors.requests import decoded, malformed, no_message, stopping

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

MAX_WAITING: Final = 16
"""How many calls may wait for a message at once: part of it, up to the largest request, is in memory."""

MAX_REQUEST_BYTES: Final = 4_096
"""The largest request: it holds one name, and a watch keeps it for as long as it lasts."""

_RETRY_AFTER: Final = 1.0


class OpenCalls:
    """Wraps methods that need no credential and count towards no limit of calls in flight.

    Clients send their request at once, or, to reflection, one after the other. When more than `max_waiting`
    calls wait for one, the oldest gives way, so that those who send nothing, or half a message, keep neither
    memory nor others away.
    """

    def __init__(self, request_ids: RequestIds, errors: ErrorMapper, max_waiting: int = MAX_WAITING) -> None:
        self._request_ids = request_ids
        self._errors = errors
        self._max_waiting = max_waiting
        self._waiting: dict[asyncio.Task[Any], None] = {}
        self._stopped = False

    def stop(self) -> None:
        """Wait for no more messages: calls that do end with SERVER_STOPPING."""
        self._stopped = True
        waiting, self._waiting = self._waiting, {}
        for task in waiting:
            task.cancel()

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Return a method's handler with the bounds."""
        # The stubs type a handler's functions as those of the synchronous server only.
        inner = cast("Any", handler)
        decode, encode = inner.request_deserializer, inner.response_serializer

        async def unary(_messages: object, context: Context) -> object:
            async def answer() -> object:
                return await inner.unary_unary(await self._one(context, method, decode), context)

            return await self._mapped(answer, method, context)

        async def stream(_messages: object, context: Context) -> AsyncIterator[object]:
            async def answer() -> None:
                if inner.unary_stream is not None:
                    responses = inner.unary_stream(await self._one(context, method, decode), context)
                else:
                    responses = inner.stream_stream(self._each(context, method, decode), context)
                async with aclosing(responses):
                    async for response in responses:
                        await context.write(response)

            await self._mapped(answer, method, context)
            nothing: tuple[object, ...] = ()
            for message in nothing:
                yield message

        if inner.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(cast("Any", unary), None, encode)
        return grpc.stream_stream_rpc_method_handler(cast("Any", stream), None, encode)

    async def _mapped(self, answer: Callable[[], Awaitable[object]], method: str, context: Context) -> object:
        try:
            return await answer()
        except Error as error:
            await self._errors.abort(error, self._request_ids.begin(method, context), context)

    async def _one(self, context: Context, method: str, decode: Callable[[bytes], object]) -> object:
        raw = await self._read(context, method)
        if raw is None:
            # A client that has left sends nothing more either: its cancellation comes next.
            await asyncio.sleep(0)
            raise no_message(method)
        return decoded(raw, decode, method)

    async def _each(
        self, context: Context, method: str, decode: Callable[[bytes], object]
    ) -> AsyncIterator[object]:
        while (raw := await self._read(context, method)) is not None:
            yield decoded(raw, decode, method)

    async def _read(self, context: Context, method: str) -> bytes | None:
        """Return the next message, None at the end of the stream."""
        if self._stopped:
            raise stopping(method)
        task = asyncio.current_task()
        assert task is not None
        if len(self._waiting) >= self._max_waiting:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.cancel()
        self._waiting[task] = None
        try:
            raw = await context.read()
        except asyncio.CancelledError:
            # Who waits no more was told so by `stop` or a newer call; the client may have left as well.
            if task in self._waiting or task.uncancel():
                raise
            raise (stopping(method) if self._stopped else self._gave_way()) from None
        finally:
            self._waiting.pop(task, None)
        if not isinstance(raw, bytes):
            return None
        if len(raw) > MAX_REQUEST_BYTES:
            raise malformed(f"a request of this method has at most {MAX_REQUEST_BYTES} bytes", method)
        return raw

    def _gave_way(self) -> ResourceExhaustedError:
        return ResourceExhaustedError(
            ErrorReason.TOO_MANY_REQUESTS,
            "other calls of health or reflection came while this one sent nothing; call again",
            metadata={"limit": str(self._max_waiting)},
            retry_after=_RETRY_AFTER,
        )
