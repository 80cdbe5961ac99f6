"""The spool under faults and deaths at any call of the system: what was taken without an error arrives."""

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.spool import segment as segment_module
from pecia_service.audit.spool.segment import Segment
from structlog.testing import capture_logs
from support.audit import record_render
from support.audit_sinks import away
from support.spools import PATIENCE, SpoolBench, abandon

_TURNS = 20


class KilledError(BaseException):
    """The process ends here; nothing that it would do later is done."""


class Disk:
    """The calls of the system that change segments; they fail once, or the process dies, when told to.

    `before` says for a death whether the call was still done, and for a write how much of it.
    """

    def __init__(self) -> None:
        self.dead = False
        self._fault: tuple[int, str] | None = None

    def fail(self, calls: int, kind: str) -> None:
        """Let the call after so many others fail (full, broken), or be the last (killed before, after it)."""
        self._fault = (calls, kind)

    def heal(self) -> None:
        """Let the next process find a disk that works."""
        self.dead, self._fault = False, None

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do a call of the system, or what became of it."""
        if self.dead:
            raise KilledError
        if self._fault is None:
            return work(*arguments)
        calls, kind = self._fault
        self._fault = (calls - 1, kind)
        if calls:
            return work(*arguments)
        self._fault = None
        match kind:
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "broken":
                # The rest of a write in pieces, and the cut that would mend it, fail too.
                self._fault = (0, "full")
                if work is os.write:
                    return os.write(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case "killed after":
                work(*arguments)
            case "killed within" if work is os.write:
                os.write(arguments[0], arguments[1][: len(arguments[1]) // 2])
        self.dead = True
        raise KilledError

    def write(self, descriptor: int, data: bytes) -> int:
        """Write a frame or a header."""
        written: int = self.call(os.write, descriptor, data)
        return written

    def system(self) -> SimpleNamespace:
        """Return what segments are given in place of `os`."""
        calls = {"pwrite": partial(self.call, os.pwrite), "ftruncate": partial(self.call, os.ftruncate)}
        return SimpleNamespace(**{**vars(os), **calls})


class Shop:
    """One process after the other over one folder and one database."""

    def __init__(self, root: Path, options: dict[str, int]) -> None:
        self.disk = Disk()
        self.down = False
        self.taken: list[str] = []
        self.rows: dict[str, int] = {}
        self.made = 0
        self._root = root
        self._options = options
        self._remove = Segment.remove
        self.it = self._begin()

    def _begin(self) -> SpoolBench:
        bench = SpoolBench(self._root, store=self, write=self.disk.write, **self._options)
        bench.sink.start()
        return bench

    async def insert_many(self, records: Sequence[AuditRecord]) -> None:
        """Take a batch as a database does."""
        await asyncio.sleep(0)
        if self.disk.dead:
            raise KilledError
        if self.down:
            raise away()
        for record in records:
            self.rows[record.render_id] = self.rows.get(record.render_id, 0) + 1

    def take(self, count: int) -> None:
        """Render; what is neither dropped nor fails is acknowledged."""
        for _ in range(count):
            record = record_render(self.made)
            self.made += 1
            dropped = self.it.sink.status().dropped
            self.it.sink.record(record)
            if self.it.sink.status().dropped == dropped:
                self.taken.append(record.render_id)

    async def turn(self) -> None:
        """Let all be delivered that can be, or die on the way."""
        if self.down:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            return
        flushed = asyncio.ensure_future(self.it.sink.flush(PATIENCE))
        await asyncio.wait({flushed, *self.it.sink._tasks}, return_when=asyncio.FIRST_COMPLETED)
        flushed.cancel()
        await asyncio.wait({flushed})

    async def crash(self) -> None:
        """End the process without a word, and begin the next."""
        self.disk.dead = True
        tasks = self.it.sink._tasks
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        ended = [None if task.cancelled() else task.exception() for task in tasks]
        assert all(error is None or isinstance(error, KilledError) for error in ended), ended
        for held in self.it.log._segments:
            held.close()
        for folder in self.it.sink._adoptions._folders.values():
            os.close(folder._lock)
        abandon(self.it.folder)
        self.disk.heal()
        self.it = self._begin()

    async def stop(self) -> None:
        """End the process in order, with no time left, and begin the next."""
        await self.it.sink.aclose(0)
        self.disk.heal()
        self.it = self._begin()

    async def play(self, scene: tuple[Any, ...]) -> None:
        """Do one thing; whoever is killed by it is followed by another."""
        try:
            match scene:
                case ("take", int(count)):
                    self.take(count)
                case ("turn",):
                    await self.turn()
                case ("down", bool(down)):
                    self.down = down
                case ("fault", int(calls), str(kind)):
                    self.disk.fail(calls, kind)
                case ("crash",):
                    await self.crash()
                case ("stop",):
                    await self.stop()
        except KilledError:
            pass
        if self.disk.dead:
            await self.crash()

    def remove(self, segment: Segment) -> None:
        """Delete a file, unless the process is dead."""
        if self.disk.dead:
            raise KilledError
        self._remove(segment)


KINDS = ("full", "broken", "killed before", "killed within", "killed after")
SCENES = st.one_of(
    st.tuples(st.just("take"), st.integers(1, 6)),
    st.tuples(st.just("turn")),
    st.tuples(st.just("down"), st.booleans()),
    st.tuples(st.just("fault"), st.integers(0, 5), st.sampled_from(KINDS)),
    st.tuples(st.just("crash")),
    st.tuples(st.just("stop")),
)
SMALL = {"max_records": 3, "segment_bytes": 6_000, "batch_size": 2}


async def _play(scenes: Sequence[tuple[Any, ...]], options: dict[str, int]) -> tuple[Shop, int]:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder), options)
        with (
            patch.object(segment_module, "os", shop.disk.system()),
            patch.object(Segment, "remove", lambda segment: shop.remove(segment)),  # noqa: PLW0108 - a function, which binds
            # Nothing here is about power cuts, and a disk takes its time.
            patch.object(os, "fsync", lambda _: None),
            capture_logs(),
        ):
            for scene in scenes:
                await shop.play(scene)
            shop.down = False
            # What one process could not read or note any more is the next one's.
            for _ in range(2):
                await shop.crash()
                assert await shop.it.sink.flush(PATIENCE)
            left = shop.it.sink.status().spooled_bytes
            await shop.it.sink.aclose(PATIENCE)
        return shop, left


@settings(max_examples=60, deadline=None)
@given(
    scenes=st.lists(SCENES, max_size=14),
    options=st.sampled_from([SMALL, {**SMALL, "max_records": 50}, {**SMALL, "segment_bytes": 1}]),
)
@example(
    scenes=[("take", 2), ("fault", 2, "full"), ("turn",), ("down", True), ("take", 3), ("crash",)],
    options={"max_records": 50, "segment_bytes": 1_000_000, "batch_size": 2},
)
def test_whatever_was_taken_arrives(scenes: list[tuple[Any, ...]], options: dict[str, int]) -> None:
    """Whichever calls failed, and wherever processes ended; and only what was rendered arrives."""
    shop, left = asyncio.run(_play(scenes, options))
    made = {record_render(number).render_id for number in range(shop.made)}
    assert (set(), set(), 0) == (set(shop.taken) - shop.rows.keys(), shop.rows.keys() - made, left)


@settings(max_examples=20, deadline=None)
@given(
    scenes=st.lists(st.one_of(SCENES.filter(lambda scene: scene[0] in ("take", "turn", "down"))), max_size=14)
)
def test_without_faults_everything_arrives_once(scenes: list[tuple[Any, ...]]) -> None:
    """Also what was read back from files, and what the next process delivers after an outage."""
    shop, _ = asyncio.run(_play(scenes, SMALL))
    assert dict.fromkeys(shop.taken, 1) == shop.rows
