"""Tell how a stream of requests really ended, and whether all of it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc
from grpc import aio

from pecia_client.errors import PeciaError

_Value = TypeVar("_Value")
_Call: TypeAlias = "aio.StreamStreamCall[Any, Any]"

# What grpc.aio puts in the place of a call's status when a write of the client fails.
_FAILED_WRITE = (grpc.StatusCode.INTERNAL, "Internal error from Core")
# The server's status comes with the failed write or at once; this only keeps a caller from waiting for ever.
_PATIENCE = 1.0


@dataclass
class StreamTally:
    """Counts what went into a stream and what came out.

    `complete` once the caller's requests were all taken, and `failure` what they raised instead.
    """

    sent: int = 0
    answered: int = 0
    complete: bool = False
    failure: Exception | None = None

    def check(self) -> None:
        """Raise PeciaError (UNAVAILABLE) if a stream has ended well that has not answered everything.

        A server answers each request. But gRPC can lose one of a stream that it starts anew on another
        connection, and a proxy can end a stream in good order; nobody must take that for a whole answer.
        """
        unanswered = self.sent - self.answered
        if unanswered > 0 or not self.complete:
            raise PeciaError(
                grpc.StatusCode.UNAVAILABLE,
                f"the stream ended before {unanswered or 'all'} of its requests were answered; "
                "send those again",
            )


class StreamEnd:
    """Remembers the statuses of a call, of which grpc.aio itself keeps only the last.

    When a server ends a stream, a write that is under way fails, and grpc.aio then says INTERNAL, mostly
    after it got the server's status, and sometimes before. Everything that is told here was said by the call.
    """

    def __init__(self, call: _Call) -> None:
        """Watch a call that has just begun."""
        self._told: asyncio.Future[aio.AioRpcError] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._note)

    def _note(self, call: _Call) -> None:
        error = _status_now(call)
        if error is not None and not _is_failed_write(error) and not self._told.done():
            self._told.set_result(error)

    async def explain(self, error: aio.AioRpcError) -> aio.AioRpcError:
        """Return the server's own status in place of a failed write's, or `error` if there is no other.

        Its code can be OK: the server had nothing more to say.
        """
        if not _is_failed_write(error):
            return error
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._told
        except TimeoutError:
            return error


def _is_failed_write(error: aio.AioRpcError) -> bool:
    return (error.code(), error.details()) == _FAILED_WRITE and not error.trailing_metadata()


def _status_now(call: _Call) -> aio.AioRpcError | None:
    """Return the status of a call that has one; the next one may replace it before any task runs."""
    code, details = _result_now(call.code()), _result_now(call.details())
    trailing = _result_now(call.trailing_metadata())
    if code is None or trailing is None:
        return None
    return aio.AioRpcError(code, aio.Metadata(), trailing, details)


def _result_now(coroutine: Coroutine[Any, Any, _Value]) -> _Value | None:
    """Return what a coroutine gives without waiting, or None if it would wait."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        value: _Value = finished.value
        return value
    coroutine.close()
    return None
