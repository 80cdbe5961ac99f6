"""A gRPC server that takes several calls at a time, where grpc.aio takes one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from grpc import aio

# Not public: pyproject.toml bounds grpcio to the versions that this is known to work with.
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs leave it out


def make_server(
    *, interceptors: Sequence[aio.ServerInterceptor], options: Sequence[tuple[str, Any]], at_once: int
) -> aio.Server:
    """Make a server that asks gRPC's core for so many calls at once; 1 is grpc.aio's own way.

    The core hands over a call only to who has asked for one, by way of another thread. With one question at a
    time, each call waits for a turn of both threads, however many have come.
    """
    if at_once == 1:
        return aio.server(interceptors=interceptors, options=options)
    own = cygrpc.AioServer
    cygrpc.AioServer = partial(_SeveralAtOnce, at_once)
    try:
        return aio.server(interceptors=interceptors, options=options)
    finally:
        cygrpc.AioServer = own


class _SeveralAtOnce(cygrpc.AioServer):  # type: ignore[misc]  # it has no types
    """The server whose loop is given the next call that has come, and not the answer to one question.

    That loop asks for a future of the next call, waits for it, starts the call, and asks again. It ends when
    it sees that the server stops, and would forget what was not given to it by then.
    """

    def __init__(self, at_once: int, *arguments: object) -> None:
        super().__init__(*arguments)
        self._at_once = at_once
        self._asked: set[asyncio.Task[object]] = set()
        self._came: deque[asyncio.Task[object]] = deque()
        self._taker: asyncio.Future[object] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._all_taken = asyncio.Event()

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Future[object]:
        """Return a future of the next call, as the loop wants it; `method` is one that was registered."""
        if method is not None:
            future: asyncio.Future[object] = super()._make_request_call_future(method)
            return future
        while self._closing is None and len(self._asked) + len(self._came) < self._at_once:
            self._ask()
        if self._came:
            return self._came.popleft()
        self._taker = asyncio.get_running_loop().create_future()
        self._tell_whether_all_are_taken()
        return self._taker

    async def shutdown(self, grace: float | None) -> None:
        """Stop as grpc.aio does, and serve what has come by then; of methods that are found by name."""
        if self.is_running():
            if self._closing is None:
                # From here on the core takes no call: what it was asked for ends now, by a call or a failure.
                self._closing = asyncio.create_task(super()._start_shutting_down())
                self._tell_whether_all_are_taken()
            taken = asyncio.create_task(self._all_taken.wait())
            try:
                # If the loop has failed, it takes nothing any more.
                await asyncio.wait({taken, self._closing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                taken.cancel()
        await super().shutdown(grace)

    async def _start_shutting_down(self) -> None:
        """Let the loop see that the server stops, and wait for its end."""
        assert self._closing is not None
        if not self._closing.done():
            # What is asked now fails at once, which wakes the loop.
            self._ask()
        # Of what a loop has failed is told at the server's end; first its calls are to be cancelled.
        with suppress(Exception):
            await self._closing
        if self._asked:
            # The core's server goes next, and no question may come after that.
            await asyncio.wait(self._asked)

    def _ask(self) -> None:
        question: asyncio.Task[object] = super()._make_request_call_future(None)
        self._asked.add(question)
        question.add_done_callback(self._answered)

    def _answered(self, question: asyncio.Task[object]) -> None:
        self._asked.remove(question)
        if question.cancelled():
            # So is all else, since the event loop ends.
            return
        # If nobody looks at it, asyncio complains; and the loop may have ended.
        error = question.exception()
        taker, self._taker = self._taker, None
        if taker is None or taker.done():
            self._came.append(question)
        elif error is not None:
            taker.set_exception(error)
        else:
            taker.set_result(question.result())

    def _tell_whether_all_are_taken(self) -> None:
        if self._closing is not None and self._taker is not None and not (self._asked or self._came):
            self._all_taken.set()
