"""Streams: bounded in flight, answered as soon as ready, and ended without leaving anything behind."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.server.render_stream import Finishing, run_stream

MALFORMED = InvalidInputError(ErrorReason.REQUEST_MALFORMED, "bytes")


class Peer:
    """Sends numbers, counts what is read of them, and decides when each is answered."""

    def __init__(self, *requests: int | Exception, hangs: bool = False) -> None:
        self.read: list[int] = []
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.reading_cancelled = False
        self._requests = requests
        self._hangs = hangs
        self._gates: dict[int, asyncio.Future[None]] = {}

    async def requests(self) -> AsyncIterator[int]:
        """Give the requests, raise where one is an error, and hang at the end if told so."""
        for request in self._requests:
            if isinstance(request, Exception):
                raise request
            self.read.append(request)
            yield request
        if self._hangs:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.reading_cancelled = True
                raise

    async def handle(self, request: int) -> str:
        """Answer a request once it is told to."""
        self.begun.append(request)
        try:
            await self._gate(request)
        except asyncio.CancelledError:
            self.cancelled.append(request)
            raise
        return f"answer {request}"

    def finish(self, request: int, error: Exception | None = None) -> None:
        """Let one request be answered, or fail."""
        if error is None:
            self._gate(request).set_result(None)
        else:
            self._gate(request).set_exception(error)

    def _gate(self, request: int) -> asyncio.Future[None]:
        if request not in self._gates:
            self._gates[request] = asyncio.get_running_loop().create_future()
        return self._gates[request]


def stream(peer: Peer, in_flight: int) -> AsyncGenerator[str, None]:
    """Run a peer's stream."""
    return run_stream(peer.requests(), peer.handle, in_flight)


def finishing(peer: Peer, in_flight: int) -> AsyncGenerator[str, None]:
    """Run a peer's stream, all of whose answers are finishing."""

    def handle(request: int) -> Finishing[str]:
        return Finishing(partial(peer.handle, request))

    return run_stream(peer.requests(), handle, in_flight)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def other_tasks() -> set[asyncio.Task[object]]:
    """Return the tasks that run beside the test."""
    return asyncio.all_tasks() - {cast("asyncio.Task[object]", asyncio.current_task())}


async def ask(answers: AsyncGenerator[str, None]) -> asyncio.Task[str]:
    """Begin to wait for an answer."""
    task = asyncio.ensure_future(anext(answers))
    await settle()
    return task


async def test_answers_every_request() -> None:
    """As many answers as requests, and then the end."""
    peer = Peer(1, 2, 3)
    for request in (1, 2, 3):
        peer.finish(request)
    assert ["answer 1", "answer 2", "answer 3"] == sorted([answer async for answer in stream(peer, 2)])
    assert set() == other_tasks()


async def test_no_requests_no_answers() -> None:
    """A stream that is closed at once ends at once."""
    assert [] == [answer async for answer in stream(Peer(), 2)]


async def test_answers_as_they_are_ready() -> None:
    """A slow request does not hold up the answers of those behind it."""
    peer = Peer(1, 2, 3)
    answers = stream(peer, 3)
    found = []
    waiting = await ask(answers)
    for request in (3, 1, 2):
        peer.finish(request)
        found.append(await waiting)
        waiting = await ask(answers)
    assert ["answer 3", "answer 1", "answer 2"] == found
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_reads_no_more_than_may_be_in_flight() -> None:
    """With all slots taken nothing further is read; each answer that is taken lets one more in."""
    peer = Peer(*range(10))
    answers = stream(peer, 3)
    waiting = await ask(answers)
    read = [list(peer.read)]
    for request in (1, 0):
        peer.finish(request)
        await waiting
        read.append(list(peer.read))
        waiting = await ask(answers)
        read.append(list(peer.read))
    waiting.cancel()
    await settle()
    assert [[0, 1, 2], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3, 4]] == read


async def test_answers_that_nobody_takes_hold_their_slots() -> None:
    """A consumer that does not read keeps answers from piling up."""
    peer = Peer(*range(100))
    for request in range(100):
        peer.finish(request)
    answers = stream(peer, 4)
    await anext(answers)
    await settle()
    assert 4 == len(peer.read)
    await answers.aclose()


async def test_one_at_a_time() -> None:
    """With one slot, requests are answered in the order in which they came."""
    peer = Peer(*range(5))
    for request in range(5):
        peer.finish(request)
    assert [f"answer {number}" for number in range(5)] == [answer async for answer in stream(peer, 1)]


async def test_a_reading_error_waits_for_what_is_under_way() -> None:
    """What was read before the error is answered, then the error ends the stream."""
    peer = Peer(1, 2, MALFORMED, 3)
    answers = stream(peer, 5)
    waiting = await ask(answers)
    assert [1, 2] == peer.begun
    peer.finish(2)
    found = [await waiting]
    waiting = await ask(answers)
    assert not waiting.done()
    peer.finish(1)
    found.append(await waiting)
    with pytest.raises(InvalidInputError) as caught:
        await anext(answers)
    assert (["answer 2", "answer 1"], MALFORMED, [1, 2]) == (found, caught.value, peer.begun)
    assert set() == other_tasks()


async def test_a_reading_error_at_once() -> None:
    """An error before the first request ends the stream."""
    with pytest.raises(InvalidInputError) as caught:
        await anext(stream(Peer(MALFORMED), 5))
    assert MALFORMED is caught.value


async def test_a_fault_of_reading() -> None:
    """An error that is none of the domain's cancels what is under way, and comes out as it is."""
    fault = asyncio.Event()
    peer = Peer(1)

    async def requests() -> AsyncIterator[int]:
        async for request in peer.requests():
            yield request
        await fault.wait()
        raise ZeroDivisionError

    answers: AsyncGenerator[str, None] = run_stream(requests(), peer.handle, 5)
    waiting = await ask(answers)
    fault.set()
    with pytest.raises(ZeroDivisionError):
        await waiting
    assert ([1], set()) == (peer.cancelled, other_tasks())


@pytest.mark.filterwarnings("error::RuntimeWarning")
async def test_a_fault_of_reading_before_an_answer_was_begun() -> None:
    """What was to be answered ends before it begins, and nothing is left that nobody awaits."""
    peer = Peer(1, ZeroDivisionError("x"))
    with pytest.raises(ZeroDivisionError):
        await anext(stream(peer, 5))
    gc.collect()
    assert ([1], [], set()) == (peer.read, peer.begun, other_tasks())


@pytest.mark.parametrize("error", [MALFORMED, ZeroDivisionError("x")], ids=["domain", "fault"])
async def test_a_handling_error_ends_the_stream(error: Exception) -> None:
    """The error comes out as it is, the others are cancelled, and nothing further is read."""
    peer = Peer(1, 2, 3, hangs=True)
    answers = stream(peer, 5)
    waiting = await ask(answers)
    peer.finish(2, error)
    with pytest.raises(type(error)) as caught:
        await waiting
    assert (error, [1, 3], True) == (caught.value, sorted(peer.cancelled), peer.reading_cancelled)
    assert set() == other_tasks()


async def test_answers_before_a_handling_error_are_given() -> None:
    """What is ready when another request fails is answered first."""
    peer = Peer(1, 2, hangs=True)
    answers = stream(peer, 5)
    waiting = await ask(answers)
    peer.finish(1)
    peer.finish(2, ZeroDivisionError("x"))
    assert "answer 1" == await waiting
    with pytest.raises(ZeroDivisionError):
        await anext(answers)


async def test_two_handling_errors_in_one_moment() -> None:
    """One of them comes out, alone."""
    peer = Peer(1, 2)
    waiting = await ask(stream(peer, 5))
    peer.finish(1, ZeroDivisionError("1"))
    peer.finish(2, ZeroDivisionError("2"))
    with pytest.raises(ZeroDivisionError):
        await waiting


async def test_closing_early_cancels_everything() -> None:
    """A consumer that goes away cancels reading and handling, and leaves no task."""
    peer = Peer(1, 2, 3, hangs=True)
    answers = stream(peer, 5)
    waiting = await ask(answers)
    peer.finish(2)
    await waiting
    await answers.aclose()
    assert ([1, 3], True, set()) == (sorted(peer.cancelled), peer.reading_cancelled, other_tasks())


async def test_a_cancelled_consumer_cancels_everything() -> None:
    """A consumer that is cancelled while it waits does the same."""
    peer = Peer(1, 2, hangs=True)
    waiting = await ask(stream(peer, 5))
    waiting.cancel()
    await settle()
    assert (True, [1, 2], True, set()) == (
        waiting.cancelled(),
        sorted(peer.cancelled),
        peer.reading_cancelled,
        other_tasks(),
    )


async def test_closing_with_all_slots_taken() -> None:
    """Closing ends a reader that waits for a slot, too."""
    peer = Peer(*range(10))
    answers = stream(peer, 2)
    waiting = await ask(answers)
    peer.finish(0)
    await waiting
    await answers.aclose()
    assert ([0, 1], set()) == (peer.read, other_tasks())


async def test_closing_after_an_error_that_was_not_taken() -> None:
    """An error that the consumer never came to see does not come out of closing, nor from asyncio."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    peer = Peer(1, 2)
    answers = stream(peer, 5)
    waiting = await ask(answers)
    peer.finish(1)
    await waiting
    peer.finish(2, ZeroDivisionError("x"))
    await settle()
    await answers.aclose()
    assert ([], set()) == (complaints, other_tasks())


@given(
    st.integers(0, 30).flatmap(lambda count: st.permutations(range(count))),
    st.integers(1, 8),
    st.integers(0, 5),
)
def test_never_more_in_flight_than_allowed(order: list[int], in_flight: int, pauses: int) -> None:
    """Whatever is answered when, the bound holds, and every request is answered once."""

    async def run() -> tuple[list[str], int]:
        read, taken, most = 0, 0, 0

        async def requests() -> AsyncIterator[int]:
            nonlocal read, most
            for request in range(len(order)):
                read += 1
                most = max(most, read - taken)
                yield request

        async def handle(request: int) -> str:
            for _ in range(order[request]):
                await asyncio.sleep(0)
            return f"answer {request}"

        found = []
        answers: AsyncGenerator[str, None] = run_stream(requests(), handle, in_flight)
        async for answer in answers:
            found.append(answer)
            for _ in range(pauses):
                await asyncio.sleep(0)
            taken += 1
        return found, most

    found, most = asyncio.run(run())
    assert sorted(f"answer {request}" for request in range(len(order))) == sorted(found)
    assert min(in_flight, len(order)) == most


async def test_what_is_answered_at_once_takes_no_task() -> None:
    """An answer that nobody has to wait for is given by the reader itself."""
    tasks: list[int] = []

    def handle(request: int) -> str:
        tasks.append(len(asyncio.all_tasks()))
        return f"answer {request}"

    before = len(asyncio.all_tasks())
    answers = [answer async for answer in run_stream(Peer(1, 2, 3).requests(), handle, 2)]
    assert (["answer 1", "answer 2", "answer 3"], [before + 1] * 3) == (answers, tasks)


async def test_an_answer_that_is_finishing_is_given_when_it_is_finished() -> None:
    """Without a task: those after it wait as well, and come in their order."""
    peer = Peer(1, 2)
    answers = finishing(peer, 2)
    waiting = await ask(answers)
    peer.finish(2)
    await settle()
    before = waiting.done()
    peer.finish(1)
    assert (False, "answer 1", ["answer 2"]) == (before, await waiting, [each async for each in answers])
    assert set() == other_tasks()


async def test_an_answer_that_fails_to_finish_ends_the_stream() -> None:
    """With its error, and nothing is left running."""
    peer = Peer(1, 2, hangs=True)
    answers = finishing(peer, 4)
    waiting = await ask(answers)
    peer.finish(1, ValueError("not finished"))
    with pytest.raises(ValueError, match="not finished"):
        await waiting
    assert (True, set()) == (peer.reading_cancelled, other_tasks())


async def test_a_stream_that_is_closed_forgets_what_is_finishing() -> None:
    """What nobody takes any more is not begun."""
    peer = Peer(1, 2, hangs=True)
    answers = finishing(peer, 4)
    peer.finish(1)
    first = await anext(answers)
    await settle()
    await answers.aclose()
    assert ("answer 1", [1], set()) == (first, peer.begun, other_tasks())
