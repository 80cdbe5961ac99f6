"""Reads that concurrent callers share, although each caller's answer is read after it asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeAlias, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Read: TypeAlias = Callable[[], Coroutine[Any, Any, V]]


class SharedReads(Generic[K, V]):
    """Reads what may change at any time, seldom more than once at a time for each key; for one event loop.

    A read that is under way may have seen its value before a change that was made known before a caller asks.
    So that caller waits until it has ended, and shares the next with all who come until then; after
    `patience` seconds the next begins beside it: one that hangs holds nobody up for long who came later. Each
    caller's answer comes from a read that began after it asked: that is as linearizable as if each read by
    itself. Nothing is kept: neither values nor errors, and no key without a read.

    A caller who finds nothing under way reads by itself. A shared read is a task of its own, in an empty
    context, since it belongs to no single call; it is cancelled when nobody waits for it any more.
    """

    def __init__(self, patience: float = 0.25) -> None:
        self._patience = patience
        self._lines: dict[K, _Line[V]] = {}

    async def get(self, key: K, read: Read[V]) -> V:
        """Return what a read of the key gives that begins from now on; raises what it raises.

        Whoever asks for the same key at once must give a `read` that does the same.
        """
        line = self._lines.get(key)
        if line is not None:
            if line.waiting is None:
                line.waiting = _Waiting(read)
                line.patience = asyncio.get_running_loop().call_later(
                    self._patience, self._begin_next, key, line
                )
            return await line.waiting.wait()
        line = self._lines[key] = _Line()
        try:
            return await read()
        finally:
            self._ended(key, line)

    def __len__(self) -> int:
        """Return how many keys are being read."""
        return len(self._lines)

    def _ended(self, key: K, line: _Line[V]) -> None:
        line.under_way -= 1
        self._begin_next(key, line)
        if not line.under_way:
            del self._lines[key]

    def _begin_next(self, key: K, line: _Line[V]) -> None:
        """Begin to read for those who came while another read was under way."""
        if line.patience is not None:
            line.patience.cancel()
        waiting, line.waiting, line.patience = line.waiting, None, None
        if waiting is not None and waiting.begin(lambda: self._ended(key, line)):
            line.under_way += 1


class _Line(Generic[V]):
    """The reads of one key: how many are under way, and who waits for the next, which begins soon anyway."""

    def __init__(self) -> None:
        self.under_way = 1
        self.waiting: _Waiting[V] | None = None
        self.patience: asyncio.TimerHandle | None = None


class _Waiting(Generic[V]):
    """Those who wait for one read, which may not have begun yet."""

    def __init__(self, read: Read[V]) -> None:
        self._read = read
        self._answers: dict[asyncio.Future[V], None] = {}
        self._task: asyncio.Task[V] | None = None

    async def wait(self) -> V:
        """Return what the read gives; raises what it raises, to each with the traceback of the read alone."""
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._answers[answer] = None
        try:
            return await answer
        finally:
            del self._answers[answer]
            if self._task is not None and not self._answers:
                self._task.cancel()

    def begin(self, ended: Callable[[], None]) -> bool:
        """Read, unless nobody waits any more; when the read is over call `ended`, and then answer."""
        if not self._answers:
            return False
        self._task = asyncio.create_task(self._read(), context=Context())
        # A task that is cancelled before its first step never runs: only a callback is sure to.
        self._task.add_done_callback(lambda task: self._end(task, ended))
        return True

    def _end(self, task: asyncio.Task[V], ended: Callable[[], None]) -> None:
        self._task = None
        ended()
        error = None if task.cancelled() else task.exception()
        for answer in self._answers:
            if answer.done():
                continue
            if task.cancelled():
                answer.cancel()
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())
