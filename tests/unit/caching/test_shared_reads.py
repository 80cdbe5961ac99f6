"""Shared reads: nobody gets what was read before asking, and whatever happens to one harms no other."""

import asyncio
import gc
import traceback
from collections import defaultdict
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from pecia_service.caching.shared_reads import SharedReads
from support.loads import settle

CALL: ContextVar[str] = ContextVar("call", default="none")


class ReadError(Exception):
    """What a read fails with here."""


class Register:
    """A value that is read as it is when a read begins, and answered when that read is let go."""

    def __init__(self) -> None:
        self.value: int | Exception = 0
        self.calls: list[str] = []
        self.cancelled = 0
        self._gates: list[asyncio.Event] = []
        self._begins: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def read(self) -> int:
        """Return the value, or raise it."""
        value = self.value
        self.calls.append(CALL.get())
        gate = asyncio.Event()
        self._begins[len(self._gates)].set()
        self._gates.append(gate)
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(value, Exception):
            raise value
        return value

    @property
    def reads(self) -> int:
        """How many reads have begun."""
        return len(self._gates)

    async def has_begun(self, number: int) -> None:
        """Wait until the read of a number, from 0, has begun."""
        await asyncio.wait_for(self._begins[number].wait(), 10)

    def release(self, number: int) -> None:
        """Let the read of a number, from 0, go on."""
        self._gates[number].set()

    async def let_go(self, number: int) -> None:
        """Let the read of a number, from 0, come to its end."""
        self.release(number)
        await settle()


class Bench:
    """Shared reads of one register."""

    def __init__(self, patience: float = 60.0) -> None:
        self.register = Register()
        self.shared: SharedReads[str, int] = SharedReads(patience)

    async def ask(self, count: int = 1, key: str = "a") -> list[asyncio.Task[int]]:
        """Have callers ask, and let them come as far as they come."""
        callers = [asyncio.create_task(self._get(key)) for _ in range(count)]
        await settle()
        return callers

    async def _get(self, key: str) -> int:
        return await self.shared.get(key, self.register.read)


async def cancel(*callers: asyncio.Task[int]) -> None:
    """Cancel callers, and wait until they are."""
    for caller in callers:
        caller.cancel()
    await settle()
    assert all(caller.cancelled() for caller in callers)


@pytest.fixture
def bench() -> Bench:
    """Give shared reads."""
    return Bench()


async def test_a_caller_alone_reads_by_itself(bench: Bench) -> None:
    """No task is made for it."""
    (caller,) = await bench.ask()
    tasks = asyncio.all_tasks()
    await bench.register.let_go(0)
    assert ({caller, asyncio.current_task()}, 0) == (tasks, await caller)


async def test_one_who_comes_during_a_read_gets_what_is_there_after_it_came(bench: Bench) -> None:
    """The read under way began before the change, and answers only who asked before it."""
    (before,) = await bench.ask()
    bench.register.value = 1
    (after,) = await bench.ask()
    await bench.register.let_go(0)
    await bench.register.let_go(1)
    assert (0, 1) == (await before, await after)


async def test_one_who_comes_during_a_shared_read_waits_for_the_next(bench: Bench) -> None:
    """A shared read may be as old as any."""
    await bench.ask()
    await bench.ask()
    await bench.register.let_go(0)
    bench.register.value = 1
    (late,) = await bench.ask()
    await bench.register.let_go(1)
    await bench.register.let_go(2)
    assert (1, 3) == (await late, bench.register.reads)


async def test_many_who_come_during_a_read_make_one_further_read(bench: Bench) -> None:
    """They share it, and it begins when the one under way has ended."""
    (first,) = await bench.ask()
    others = await bench.ask(100)
    reads = [bench.register.reads]
    bench.register.value = 7
    await bench.register.let_go(0)
    reads.append(bench.register.reads)
    await bench.register.let_go(1)
    assert ([1, 2], 2) == (reads, bench.register.reads)
    assert (0, {7}) == (await first, {await other for other in others})


async def test_keys_are_read_apart(bench: Bench) -> None:
    """A read of one key holds up no other."""
    callers = [*await bench.ask(key="a"), *await bench.ask(key="b")]
    assert (2, 2) == (bench.register.reads, len(bench.shared))
    await bench.register.let_go(1)
    assert [False, True] == [caller.done() for caller in callers]
    await bench.register.let_go(0)


async def test_nothing_is_kept(bench: Bench) -> None:
    """After the last caller there is no key, and the next one reads anew."""
    await bench.ask(3)
    await bench.register.let_go(0)
    busy = len(bench.shared)
    await bench.register.let_go(1)
    idle = len(bench.shared)
    await bench.ask()
    assert (1, 0, 3) == (busy, idle, bench.register.reads)


async def test_one_who_is_cancelled_while_it_reads_fails_nobody_else(bench: Bench) -> None:
    """The others' read begins at once."""
    (first,) = await bench.ask()
    others = await bench.ask(2)
    await cancel(first)
    await bench.register.let_go(1)
    assert ([0, 0], 2, 0) == ([await other for other in others], bench.register.reads, len(bench.shared))


async def test_one_of_many_who_is_cancelled_cancels_nobody_else(bench: Bench) -> None:
    """Neither before the shared read nor while it is under way."""
    await bench.ask()
    early, late, other = await bench.ask(3)
    await cancel(early)
    await bench.register.let_go(0)
    await cancel(late)
    await bench.register.let_go(1)
    assert (0, 0) == (await other, bench.register.cancelled)


async def test_a_read_that_nobody_waits_for_is_not_begun(bench: Bench) -> None:
    """All who came for it have left."""
    (first,) = await bench.ask()
    await cancel(*await bench.ask(2))
    await bench.register.let_go(0)
    assert (0, 1, 0) == (await first, bench.register.reads, len(bench.shared))


async def test_a_read_that_nobody_waits_for_any_more_is_cancelled(bench: Bench) -> None:
    """Those who came since wait for it no longer."""
    await bench.ask()
    gone = await bench.ask(2)
    await bench.register.let_go(0)
    (late,) = await bench.ask()
    await cancel(*gone)
    assert (1, 3) == (bench.register.cancelled, bench.register.reads)
    await bench.register.let_go(2)
    assert (0, 0) == (await late, len(bench.shared))


async def test_a_read_can_be_cancelled_before_its_first_step(bench: Bench) -> None:
    """Its only caller leaves at the moment when it begins; the key is free again."""
    (first,) = await bench.ask()
    (second,) = await bench.ask()
    # Both run in one turn of the loop: the first begins the read for the second, which leaves at once.
    await cancel(first, second)
    assert (1, 0) == (bench.register.reads, len(bench.shared))


async def test_one_who_leaves_when_the_answer_is_there_is_cancelled(bench: Bench) -> None:
    """The answer goes to those who stay."""
    await bench.ask()
    leaving, staying = await bench.ask(2)
    await bench.register.let_go(0)
    leaving.cancel()
    bench.register.release(1)
    await settle()
    assert (True, 0) == (leaving.cancelled(), await staying)


async def test_a_shared_read_that_is_stopped_cancels_who_waits(bench: Bench) -> None:
    """As when the loop ends: nobody waits for ever."""
    await bench.ask()
    known = asyncio.all_tasks()
    (waiting,) = await bench.ask()
    await bench.register.let_go(0)
    (read,) = asyncio.all_tasks() - known - {waiting}
    read.cancel()
    await settle()
    assert (True, 0) == (waiting.cancelled(), len(bench.shared))


async def test_an_error_goes_to_all_who_wait_for_the_read(bench: Bench) -> None:
    """It is not kept: who comes later has a read of its own."""
    (first,) = await bench.ask()
    bench.register.value = ReadError()
    others = await bench.ask(3)
    await bench.register.let_go(0)
    bench.register.value = 5
    (late,) = await bench.ask()
    await bench.register.let_go(1)
    await bench.register.let_go(2)
    outcomes = await asyncio.gather(*others, return_exceptions=True)
    assert (0, [ReadError] * 3, 5) == (await first, [type(each) for each in outcomes], await late)


async def test_an_error_of_one_alone_is_its_own(bench: Bench) -> None:
    """Those who came meanwhile get what the next read gives."""
    bench.register.value = ReadError()
    (first,) = await bench.ask()
    bench.register.value = 5
    (second,) = await bench.ask()
    await bench.register.let_go(0)
    await bench.register.let_go(1)
    assert ([ReadError], 5, 0) == ([type(first.exception())], await second, len(bench.shared))


async def test_a_shared_error_has_no_growing_traceback(bench: Bench) -> None:
    """Each who gets it sees the way that it took to that one."""
    await bench.ask()
    error = bench.register.value = ReadError()
    lengths: list[int] = []

    async def fail() -> None:
        try:
            await bench.shared.get("a", bench.register.read)
        except ReadError as caught:
            lengths.append(len(traceback.extract_tb(caught.__traceback__)))

    failing = [asyncio.create_task(fail()) for _ in range(20)]
    await settle()
    await bench.register.let_go(0)
    await bench.register.let_go(1)
    await asyncio.gather(*failing)
    assert ([lengths[0]] * 20, None) == (lengths, error.__context__)


async def test_an_error_that_nobody_waits_for_is_not_reported(bench: Bench) -> None:
    """Its last caller leaves just when it comes, and asyncio has nothing to say of it."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    await bench.ask()
    bench.register.value = ReadError()
    callers = await bench.ask(2)
    await bench.register.let_go(0)
    bench.register.release(1)
    for _ in range(3):
        # The read ends, its callers are answered, and leave without looking.
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
    await settle()
    del callers
    gc.collect()
    assert ([], 0) == (reported, len(bench.shared))


async def test_a_shared_read_belongs_to_no_call(bench: Bench) -> None:
    """What it logs must not bear the id of one of those who wait."""
    for call in ("first", "second", "third"):
        CALL.set(call)
        await bench.ask()
    await bench.register.let_go(0)
    await bench.register.let_go(1)
    assert ["first", "none"] == bench.register.calls


async def test_a_read_that_hangs_holds_others_up_for_a_while_only() -> None:
    """When their patience is over, they read beside it; who comes then waits for them, and not for it."""
    bench = Bench(patience=0.001)
    (first,) = await bench.ask()
    bench.register.value = 1
    others = await bench.ask(3)
    await bench.register.has_begun(1)
    bench.register.value = 2
    late = await bench.ask()
    await bench.register.has_begun(2)
    bench.register.release(1)
    bench.register.release(2)
    assert [1, 1, 1, 2] == await asyncio.gather(*others, *late)
    assert (3, 1, False) == (bench.register.reads, len(bench.shared), first.done())
    await bench.register.let_go(0)
    assert (0, 0) == (await first, len(bench.shared))


async def test_patience_ends_with_the_read_that_was_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What began because a read has ended must not have the next one begin too early."""
    loop, bench = asyncio.get_running_loop(), Bench()
    call_later, timers = loop.call_later, []

    def noted(delay: float, callback: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        timers.append(call_later(delay, callback, *arguments))
        return timers[-1]

    monkeypatch.setattr(loop, "call_later", noted)
    callers = [*await bench.ask(), *await bench.ask()]
    await bench.register.let_go(0)
    assert [True] == [timer.cancelled() for timer in timers]
    await bench.register.let_go(1)
    assert [0, 0] == await asyncio.gather(*callers)
