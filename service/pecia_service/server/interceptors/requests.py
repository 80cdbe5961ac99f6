"""The innermost stage: from bytes to the messages that a servicer takes, for as long as the server reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeAlias, TypeVar

from google.protobuf.message import DecodeError

from pecia_service.errors import ErrorReason, InvalidInputError, UnavailableError
from pecia_service.server.context import Context

Request = TypeVar("Request")
Decode: TypeAlias = Callable[[bytes], Request]

_RETRY_AFTER: Final = 0.1
# How long to wait for what tells the end of a stream from the end of its client, or of the server.
_LAST_SECONDS: Final = 0.1
_TURNS: Final = 3


class Reading:
    """Reads the messages of streams until the server stops."""

    def __init__(self) -> None:
        self._stopped = False
        self._readers: set[asyncio.Task[Any]] = set()

    def stop(self) -> None:
        """Read nothing more: who waits for a message of a stream gets UnavailableError (SERVER_STOPPING)."""
        self._stopped = True
        for task in self._readers:
            task.cancel()

    async def read(self, context: Context, method: str) -> object:
        """Return the next message, or grpc.aio.EOF; raises UnavailableError (SERVER_STOPPING)."""
        if self._stopped:
            return await _read_end(context, method)
        task = asyncio.current_task()
        assert task is not None
        self._readers.add(task)
        try:
            return await context.read()
        except asyncio.CancelledError:
            # `stop` has cancelled it; the client may have done so as well.
            if self._stopped and not task.uncancel():
                raise stopping(method) from None
            raise
        finally:
            self._readers.discard(task)


class Requests(Generic[Request]):
    """The messages of one stream, decoded."""

    def __init__(self, reading: Reading, context: Context, decode: Decode[Request], method: str) -> None:
        self._reading = reading
        self._context = context
        self._decode = decode
        self._method = method

    def __aiter__(self) -> AsyncIterator[Request]:
        return self

    async def __anext__(self) -> Request:
        raw = await self._reading.read(self._context, self._method)
        if not isinstance(raw, bytes):
            # A client that has left is to be cancelled before its stream looks as if it had ended in order.
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            raise StopAsyncIteration
        return decoded(raw, self._decode, self._method)


async def read_one(context: Context, decode: Decode[Request], method: str) -> Request:
    """Return the one message of a call; raises InvalidInputError (REQUEST_MALFORMED) if there is none."""
    raw = await context.read()
    if not isinstance(raw, bytes):
        # To gRPC a client that has left has ended its stream, too; that it is gone comes right behind.
        await asyncio.sleep(_LAST_SECONDS)
        raise no_message(method)
    return decoded(raw, decode, method)


async def _read_end(context: Context, method: str) -> object:
    """Return grpc.aio.EOF if the client has ended its stream; raises UnavailableError (SERVER_STOPPING)."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_SECONDS):
            last = await context.read()
            if not isinstance(last, bytes):
                return last
    raise stopping(method)


def decoded(raw: bytes, decode: Decode[Request], method: str) -> Request:
    """Return the message; raises InvalidInputError (REQUEST_MALFORMED)."""
    try:
        return decode(raw)
    except DecodeError:
        raise malformed(
            "the bytes are not this method's request: check its message type, UTF-8 in strings, and nesting "
            "of at most 100 messages",
            method,
        ) from None


def no_message(method: str) -> InvalidInputError:
    """Make the error for a call whose client sent nothing."""
    return malformed("the call has no message, or one that is too large", method)


def malformed(message: str, method: str) -> InvalidInputError:
    """Make the error for a message that is no request of the method."""
    return InvalidInputError(ErrorReason.REQUEST_MALFORMED, message, metadata={"method": method})


def stopping(method: str) -> UnavailableError:
    """Make the error for who would wait for another message of a stream."""
    return UnavailableError(
        ErrorReason.SERVER_STOPPING,
        "the server is stopping and reads no more from this stream; open it anew",
        metadata={"method": method},
        retry_after=_RETRY_AFTER,
    )
