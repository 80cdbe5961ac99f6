"""Running the requests of one stream side by side, bounded, and answering each when it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pecia_service.errors import Error

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Finishing(Generic[Response]):
    """An answer that is ready when this turn of the event loop is over; `finish` gives it."""

    finish: Callable[[], Awaitable[Response]]


async def run_stream(
    requests: AsyncIterator[Request],
    handle: Callable[[Request], Response | Coroutine[Any, Any, Response] | Finishing[Response]],
    in_flight: int,
) -> AsyncGenerator[Response, None]:
    """Yield the answer of each request as it is ready, in any order.

    What `handle` returns is the answer, one that is finishing, or a coroutine of it: only that takes a task.
    At most `in_flight` requests are read and not yet taken as answers. An error of reading ends the stream
    when what is under way has been answered; an error of `handle` ends it when what is ready has been taken.
    """
    answers: asyncio.Queue[Response | Finishing[Response] | None] = asyncio.Queue()
    slots = asyncio.Semaphore(in_flight)

    def put(task: asyncio.Task[Response]) -> None:
        if not task.cancelled() and task.exception() is None:
            answers.put_nowait(task.result())

    async def read() -> None:
        failure: Error | None = None
        async with asyncio.TaskGroup() as group:
            try:
                # The slot comes first: a request that was read and waits for one would be one too many.
                await slots.acquire()
                async for request in requests:
                    answered = handle(request)
                    if isinstance(answered, Coroutine):
                        # A task of its own, and not of another that awaits it: it may end before it begins.
                        group.create_task(answered).add_done_callback(put)
                    else:
                        answers.put_nowait(answered)
                    await slots.acquire()
            except Error as error:
                failure = error
        if failure is not None:
            raise failure

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: answers.put_nowait(None))
    try:
        while (answer := await answers.get()) is not None:
            yield await answer.finish() if isinstance(answer, Finishing) else answer
            slots.release()
        try:
            await reader
        except ExceptionGroup as group:
            # Others that failed in the same moment add nothing to the first.
            raise group.exceptions[0] from None
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
