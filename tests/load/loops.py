"""Callers: each makes one call after the other until there is none left to make."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import grpc
from grpc import aio
from load import checks
from load.calls import Request, StreamedRequest
from load.recorder import Recorder
from load.schedule import Schedule, clock
from pecia.v1.prompt_service_pb2 import RenderStreamRequest

PAUSE_SECONDS: Final = 0.01
"""A caller whose call failed waits so long: a server that refuses everything is not asked in a spin."""

Metadata = tuple[tuple[str, str], ...]
UnaryCall = aio.UnaryUnaryMultiCallable[bytes, bytes]
StreamCall = aio.StreamStreamMultiCallable[bytes, bytes]


async def make_calls(
    call: UnaryCall,
    requests: Sequence[Request],
    schedule: Schedule,
    recorder: Recorder,
    *,
    timeout: float,  # noqa: ASYNC109 - the deadline goes to the server with the call
    metadata: Metadata,
) -> None:
    """Make unary calls, each after the answer to the one before, until the schedule is empty."""
    while (ticket := schedule.take()) is not None:
        number, due = ticket
        if (delay := due - clock()) > 0:
            await asyncio.sleep(delay)
        request = requests[number % len(requests)]
        recorder.begun(due, clock())
        try:
            reply = await call(request.message, timeout=timeout, metadata=metadata)
            now = clock()
            failure = request.check(reply)
        except aio.AioRpcError as error:
            now = clock()
            failure = checks.status_label(error)
        except asyncio.CancelledError:
            recorder.unfinished(due, clock())
            raise
        recorder.ended(due, now, failure)
        if failure is not None:
            await asyncio.sleep(PAUSE_SECONDS)


class StreamCaller:
    """Keeps up to `window` requests in flight on a stream, and opens another when it ends."""

    def __init__(
        self,
        call: StreamCall,
        requests: Sequence[StreamedRequest],
        schedule: Schedule,
        recorder: Recorder,
        *,
        window: int,
        timeout: float,
        metadata: Metadata,
    ) -> None:
        self._call = call
        self._requests = requests
        self._schedule = schedule
        self._recorder = recorder
        self._window = window
        self._timeout = timeout
        self._metadata = metadata
        self._pending: dict[str, float] = {}
        self._room = asyncio.Event()
        self._done = False

    async def run(self) -> None:
        """Make calls until the schedule is empty and everything is answered."""
        try:
            while not self._done:
                await self._stream()
        except asyncio.CancelledError:
            now = clock()
            for due in self._pending.values():
                self._recorder.unfinished(due, now)
            raise

    async def _stream(self) -> None:
        # A stream lives as long as the run; the deadline only ends one that the run has lost.
        stream = self._call(timeout=self._timeout, metadata=self._metadata)
        sender = asyncio.create_task(self._send(stream))
        try:
            failure = await self._receive(stream)
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender
            stream.cancel()
        self._fail_pending(failure)
        if not self._done:
            await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, stream: aio.StreamStreamCall[bytes, bytes]) -> None:
        while True:
            while len(self._pending) >= self._window:
                self._room.clear()
                await self._room.wait()
            ticket = self._schedule.take()
            if ticket is None:
                self._done = True
                await stream.done_writing()
                return
            number, due = ticket
            self._pending[str(number)] = due
            if (delay := due - clock()) > 0:
                await asyncio.sleep(delay)
            self._recorder.begun(due, clock())
            request = self._requests[number % len(self._requests)]
            # Fields of a message may come one after the other: the request was serialised once for all.
            name = RenderStreamRequest(correlation_id=str(number)).SerializeToString()
            try:
                await stream.write(name + request.message)
            except (aio.AioRpcError, asyncio.InvalidStateError):
                # The stream has ended; whoever reads it learns why.
                return

    async def _receive(self, stream: aio.StreamStreamCall[bytes, bytes]) -> str:
        """Take answers until the stream ends; return what those that are missing are to be counted as."""
        try:
            while (reply := await stream.read()) is not aio.EOF:
                assert isinstance(reply, bytes)
                self._take(reply)
                self._room.set()
        except aio.AioRpcError as error:
            return checks.status_label(error)
        code: grpc.StatusCode = await stream.code()
        return f"{checks.WRONG} missing" if code is grpc.StatusCode.OK else code.name

    def _take(self, reply: bytes) -> None:
        now = clock()
        answer = checks.streamed(reply)
        due = self._pending.pop(answer.correlation_id, None) if answer is not None else None
        if answer is None or due is None:
            # It answers nothing that was asked, so it is counted as of now.
            self._recorder.ended(now, now, checks.UNREADABLE if answer is None else checks.NO_PAIR)
            return
        request = self._requests[int(answer.correlation_id) % len(self._requests)]
        self._recorder.ended(due, now, checks.outcome(answer.outcome, request.expected))

    def _fail_pending(self, failure: str) -> None:
        now = clock()
        for due in self._pending.values():
            self._recorder.ended(due, now, failure)
        self._pending.clear()
