"""Records that are taken together when a turn of the event loop is over."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial

import pytest
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.null import NullAuditSink
from pecia_service.audit.sinks.turns import Turns, _Taking
from pecia_service.errors import ErrorReason, UnavailableError
from support.audit import record_render

CALL = ContextVar("CALL", default="none")


class ScriptedSink(NullAuditSink):
    """Notes what it is given, and in which call; raises or returns what a test says of a record."""

    keeps_records = True

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.script: dict[str, Callable[[], Awaitable[None] | None]] = {}

    def record(self, record: AuditRecord) -> Awaitable[None] | None:  # type: ignore[override]  # of all sinks
        """Note the record, and do what the script says."""
        self.taken.append((record.render_id, CALL.get()))
        return self.script[record.render_id]() if record.render_id in self.script else None


RECORDS = [record_render(index) for index in range(3)]
IDS = [record.render_id for record in RECORDS]


async def test_the_records_of_a_turn_are_taken_in_their_order_when_it_is_over() -> None:
    """None before; who waits goes on only then, and who waits for none has them taken all the same."""
    sink = ScriptedSink()
    turns = Turns(sink)
    first, *_ = [turns.take(lambda record=record: record) for record in RECORDS]  # type: ignore[misc]  # bound now
    before = list(sink.taken)
    await first
    assert ([], IDS) == (before, [render_id for render_id, _ in sink.taken])


async def test_a_later_turn_takes_its_own() -> None:
    """What was taken is not taken again."""
    sink = ScriptedSink()
    turns = Turns(sink)
    for record in RECORDS:
        await turns.take(lambda record=record: record)  # type: ignore[misc]  # bound now
    assert IDS == [render_id for render_id, _ in sink.taken]


async def test_what_fails_is_raised_where_its_render_waits() -> None:
    """The others of the turn are taken."""

    def refuse() -> None:
        raise UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "no room")

    sink = ScriptedSink()
    sink.script[IDS[0]] = refuse
    turns = Turns(sink)
    refused, taken = turns.take(lambda: RECORDS[0]), turns.take(lambda: RECORDS[1])
    with pytest.raises(UnavailableError, match="no room"):
        await refused
    await taken
    assert IDS[:2] == [render_id for render_id, _ in sink.taken]


async def test_a_fault_of_one_record_is_only_its_own() -> None:
    """A record that can't be made is raised as it is."""

    def fail() -> AuditRecord:
        raise ValueError("not made")

    sink = ScriptedSink()
    turns = Turns(sink)
    failed, taken = turns.take(fail), turns.take(lambda: RECORDS[1])
    with pytest.raises(ValueError, match="not made"):
        await failed
    await taken
    assert [IDS[1]] == [render_id for render_id, _ in sink.taken]


async def test_what_the_sink_waits_for_is_waited_for() -> None:
    """A promise beyond the turn holds up its own render only."""
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    sink = ScriptedSink()
    sink.script[IDS[0]] = lambda: durable
    turns = Turns(sink)
    waits = asyncio.ensure_future(turns.take(lambda: RECORDS[0]))
    await turns.take(lambda: RECORDS[1])
    await asyncio.sleep(0)
    before = waits.done()
    durable.set_result(None)
    await waits
    assert before is False


async def test_who_is_cancelled_cancels_nobody_else() -> None:
    """Its record is taken, and the others of the turn go on."""
    sink = ScriptedSink()
    turns = Turns(sink)

    async def wait(record: AuditRecord) -> str:
        await turns.take(lambda: record)
        return record.render_id

    tasks = [asyncio.create_task(wait(record)) for record in RECORDS]
    asyncio.get_running_loop().call_soon(tasks[1].cancel)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert (IDS[0], IDS[2]) == (ended[0], ended[2])
    assert isinstance(ended[1], asyncio.CancelledError)
    assert IDS == [render_id for render_id, _ in sink.taken]


async def test_each_record_is_taken_as_part_of_its_call() -> None:
    """What is logged of it then bears that call's id."""
    sink = ScriptedSink()
    turns = Turns(sink)

    async def call(number: int) -> None:
        CALL.set(f"call {number}")
        await turns.take(lambda: RECORDS[number])

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(call(number))
    assert [(render_id, f"call {number}") for number, render_id in enumerate(IDS)] == sink.taken


@pytest.mark.parametrize("waits", [False, True])
async def test_a_sink_says_whether_a_turn_is_enough(waits: bool) -> None:
    """So that a stream knows whether to wait for a record before the next answer."""
    sink = ScriptedSink()
    sink.waits = waits
    recorded = Turns(sink).take(lambda: RECORDS[0])
    await recorded
    assert recorded.at_once is not waits


class Text:
    """Stands for what a render would keep in memory."""


def make_of(text: Text) -> AuditRecord:
    """Make a record of a text."""
    return RECORDS[0]


async def test_a_record_that_was_taken_keeps_no_texts() -> None:
    """Who renders many holds what it waits for until the last."""
    turns, text = Turns(ScriptedSink()), Text()
    kept = weakref.ref(text)
    recorded = turns.take(partial(make_of, text))
    del text
    assert kept() is not None
    await asyncio.sleep(0)
    assert None is kept()
    await recorded


def takings() -> list[_Taking]:
    """Return what is being taken, or was and is not gone; other tests may have left some."""
    return [each for each in gc.get_objects() if isinstance(each, _Taking)]


async def test_a_refusal_leaves_no_cycle() -> None:
    """Full spools refuse many renders, and garbage is collected rarely."""

    def refuse() -> None:
        raise UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "no room")

    sink, text = ScriptedSink(), Text()
    sink.script[IDS[0]] = refuse
    kept, before = weakref.ref(text), takings()
    gc.disable()
    try:
        recorded = Turns(sink).take(partial(make_of, text))
        del text
        with pytest.raises(UnavailableError):
            await recorded
        del recorded
        cycles = [each for each in takings() if not any(each is other for other in before)]
    finally:
        gc.enable()
    assert (None, []) == (kept(), cycles)
