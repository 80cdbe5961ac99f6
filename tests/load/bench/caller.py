"""A closed loop of callers over a few connections; every answer is checked."""

from __future__ import annotations

import itertools
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from load.bench.http2 import Connection

OK: Final = b"0"
_DEADLINE: Final = (b"grpc-timeout", b"20S")
_STALLED: Final = 30.0


class WrongAnswerError(Exception):
    """A server answered something else than it must: what was measured would mean nothing."""


@dataclass(frozen=True)
class Work:
    """What is called, over and over in turn, and how an answer to the request of that number is checked.

    A call makes so many `renders`; with `streamed` the requests go into one call of each caller, which has as
    many of them under way as it has `window`.
    """

    path: str
    requests: Sequence[bytes]
    check: Callable[[int, bytes], bool]
    renders: int = 1
    streamed: bool = False
    window: int = 1


@dataclass(frozen=True)
class Answered:
    """How many calls (of a stream: messages) were answered, and in how many seconds."""

    calls: int
    seconds: float


class Callers:
    """Callers of one piece of work; they keep their connections from one run to the next."""

    def __init__(self, target: str, work: Work, *, callers: int, connections: int) -> None:
        self._work = work
        self._path = work.path.encode()
        self._each = [
            callers // connections + (number < callers % connections) for number in range(connections)
        ]
        # A stream has as long as it runs: a deadline would end it.
        metadata = () if work.streamed else (_DEADLINE,)
        self._connections = [Connection(target, metadata) for _ in self._each]
        self._numbers = itertools.cycle(range(len(work.requests)))
        self._asked: dict[tuple[int, int], list[int]] = {}
        self._begun = 0

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def run(self, *, seconds: float = 0.0, calls: int = 0) -> Answered:
        """Make exactly so many calls, or call for so many seconds; what is under way then is waited for.

        Raises WrongAnswerError for an answer that fails its check, ConnectionLostError, and TimeoutError when
        the server falls silent.
        """
        self._begun = 0
        with selectors.DefaultSelector() as selector:
            for number, connection in enumerate(self._connections):
                selector.register(connection, selectors.EVENT_READ, number)
            begun = time.perf_counter()
            until = begun + seconds
            more = (lambda: self._begun < calls) if calls else (lambda: time.perf_counter() < until)
            return Answered(self._loop(selector, more), time.perf_counter() - begun)

    def _loop(self, selector: selectors.BaseSelector, more: Callable[[], bool]) -> int:
        for index, callers in enumerate(self._each):
            for _ in range(callers):
                if more():
                    self._begin(index)
            self._connections[index].flush()
        done = 0
        while self._asked:
            ready = selector.select(_STALLED)
            if not ready:
                raise TimeoutError(f"{self._work.path} answers nothing any more")
            for key, _ in ready:
                index = key.data
                connection = self._connections[index]
                for stream, message, status in connection.receive():
                    if message is not None:
                        self._check(index, stream, message)
                        done += 1
                    self._follow(index, stream, status, more)
                connection.flush()
        return done

    def _begin(self, index: int) -> None:
        """Begin a call of one caller."""
        connection, work = self._connections[index], self._work
        if not work.streamed:
            number = next(self._numbers)
            self._begun += 1
            self._asked[index, connection.call(self._path, work.requests[number])] = [number]
            return
        stream = connection.open(self._path)
        self._asked[index, stream] = []
        for _ in range(work.window):
            self._send(index, stream)

    def _send(self, index: int, stream: int) -> None:
        number = next(self._numbers)
        self._begun += 1
        self._asked[index, stream].append(number)
        self._connections[index].send(stream, self._work.requests[number])

    def _follow(self, index: int, stream: int, status: bytes | None, more: Callable[[], bool]) -> None:
        """Do what follows an answer or the end of a call: the next request, or nothing more."""
        asked = self._asked[index, stream]
        if status is not None:
            if status != OK or asked:
                raise WrongAnswerError(
                    f"{self._work.path} ended with status {status.decode()}; {len(asked)} requests unanswered"
                )
            del self._asked[index, stream]
            if not self._work.streamed and more():
                self._begin(index)
        elif self._work.streamed:
            if more():
                self._send(index, stream)
            elif not asked:
                self._connections[index].end(stream)

    def _check(self, index: int, stream: int, message: bytes) -> None:
        asked = self._asked[index, stream]
        # Answers of a stream come in any order, and say themselves which request is theirs.
        number = _number_of(message) if self._work.streamed else asked[0]
        if number not in asked or not self._work.check(number, message):
            raise WrongAnswerError(f"{self._work.path} answered {message[:200]!r}")
        asked.remove(number)


def ask(target: str, path: str, message: bytes) -> Iterator[bytes]:
    """Make one call, and give its messages as they come; raises WrongAnswerError when its end is not OK."""
    connection = Connection(target)
    try:
        connection.call(path.encode(), message)
        while True:
            connection.flush()
            for _, answer, status in connection.receive():
                if answer is not None:
                    yield answer
                elif status != OK:
                    raise WrongAnswerError(f"{path} ended with status {status!r}")
                else:
                    return
    finally:
        connection.close()


def _number_of(message: bytes) -> int:
    """Read the correlation id, which is the first field of an answer of a stream."""
    length = message[1]
    return int(message[2 : 2 + length])
