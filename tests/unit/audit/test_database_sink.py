"""The background sink: bounds, batches, retries, and what it does with records that can't be kept."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from pecia_service.audit.ports import SinkStatus
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.database import DatabaseAuditSink
from structlog.testing import capture_logs
from support.audit import record_render
from support.audit_sinks import ManualTime, ScriptedStore, away

# Long enough for any machine: a test that reaches it fails.
PATIENCE = 30.0

SECRET = "nobody may read this"


def records(count: int, start: int = 0) -> list[AuditRecord]:
    """Make records with ids of their own."""
    return [record_render(number) for number in range(start, start + count)]


def ids(made: list[AuditRecord]) -> list[str]:
    """Return their ids."""
    return [record.render_id for record in made]


class Bench:
    """A sink with its stand-ins."""

    def __init__(self, **bounds: float) -> None:
        self.store = ScriptedStore()
        self.time = ManualTime()
        whole = {name: int(value) for name, value in bounds.items() if name.startswith(("max_", "batch_"))}
        seconds = {name: value for name, value in bounds.items() if name not in whole}
        self.sink = DatabaseAuditSink(
            self.store,
            monotonic=self.time.monotonic,
            sleep=self.time.sleep,
            **whole,  # type: ignore[arg-type] # names are those of the bounds
            **seconds,  # type: ignore[arg-type] # names are those of the bounds
        )

    def take(self, made: list[AuditRecord]) -> list[str]:
        """Record all and return their ids."""
        for record in made:
            self.sink.record(record)
        return ids(made)


@asynccontextmanager
async def bench(**bounds: float) -> AsyncIterator[Bench]:
    """Start a sink, and close it at the end."""
    made = Bench(**bounds)
    made.sink.start()
    try:
        yield made
    finally:
        made.store.gate.set()
        await made.sink.aclose(PATIENCE)


def status(**fields: int) -> SinkStatus:
    """Make the status of a sink that is well."""
    return SinkStatus(
        queued=0,
        queued_bytes=0,
        written=fields.get("written", 0),
        dropped=fields.get("dropped", 0),
        failing=False,
    )


async def test_records_are_written_in_order() -> None:
    """What arrives first is written first."""
    async with bench(batch_size=3) as it:
        expected = it.take(records(10))
        assert await it.sink.flush(PATIENCE)
        assert it.store.written == expected


async def test_records_that_arrive_together_make_one_batch() -> None:
    """Few statements carry many records."""
    async with bench() as it:
        expected = it.take(records(5))
        await it.sink.flush(PATIENCE)
        assert it.store.batches == [expected]


async def test_a_batch_has_a_largest_size() -> None:
    """More records than a batch holds make several."""
    async with bench(batch_size=4) as it:
        it.take(records(10))
        await it.sink.flush(PATIENCE)
        assert [len(batch) for batch in it.store.batches] == [4, 4, 2]


async def test_a_small_batch_lingers_for_more() -> None:
    """A record waits a moment, so that those that follow travel with it."""
    async with bench(linger=0.5) as it:
        it.time.endless = 0.5
        it.take(records(1))
        await it.time.fell_asleep.wait()
        assert (it.time.sleeps, it.store.attempts) == ([0.5], 0)


async def test_a_full_batch_does_not_linger() -> None:
    """When a batch is full before its time, it goes at once."""
    async with bench(batch_size=3) as it:
        it.time.endless = 0
        first = it.take(records(1))
        await it.time.fell_asleep.wait()
        rest = it.take(records(2, start=1))
        await it.store.kept.wait()
        assert it.store.batches == [first + rest]


async def test_a_queue_that_was_empty_wakes_the_writer_again() -> None:
    """The writer sleeps without polling and goes on when there is work."""
    async with bench() as it:
        first = it.take(records(1))
        await it.sink.flush(PATIENCE)
        second = it.take(records(1, start=1))
        await it.sink.flush(PATIENCE)
        assert it.store.batches == [first, second]


async def test_the_status_counts_what_was_written() -> None:
    """After a flush nothing is queued and nothing weighs."""
    async with bench() as it:
        it.take(records(3))
        await it.sink.flush(PATIENCE)
        assert it.sink.status() == status(written=3)


async def test_a_record_is_held_until_it_is_written() -> None:
    """A record on its way is known, also while it is being written."""
    async with bench() as it:
        it.store.gate.clear()
        [render_id] = it.take(records(1))
        await it.store.entered.wait()
        before = it.sink.holds(render_id)
        it.store.gate.set()
        await it.sink.flush(PATIENCE)
        assert (before, it.sink.holds(render_id)) == (True, False)


async def test_a_record_that_is_queued_already_is_taken_once() -> None:
    """Handing the same record over again changes nothing."""
    async with bench() as it:
        [record] = records(1)
        it.take([record, record])
        await it.sink.flush(PATIENCE)
        assert it.store.batches == [[record.render_id]]


async def test_beyond_its_records_the_queue_drops_the_newest() -> None:
    """A full queue keeps what it has, and counts what it drops."""
    it = Bench(max_records=3)
    expected = it.take(records(5))[:3]
    dropped = it.sink.status().dropped
    it.sink.start()
    await it.sink.aclose(PATIENCE)
    assert (it.store.written, dropped) == (expected, 2)


async def test_beyond_its_bytes_the_queue_drops_the_newest() -> None:
    """What records weigh is bounded too."""
    made = records(3)
    it = Bench(max_bytes=made[0].weight + made[1].weight)
    it.take(made)
    assert (it.sink.status().queued, it.sink.status().dropped) == (2, 1)


async def test_what_is_written_makes_room() -> None:
    """Records and bytes of what was written can be used again."""
    made = records(6)
    async with bench(max_records=2, max_bytes=3 * made[0].weight) as it:
        for pair in (made[:2], made[2:4], made[4:]):
            it.take(pair)
            await it.sink.flush(PATIENCE)
        assert it.sink.status() == status(written=6)


async def test_records_that_are_being_written_count_as_queued() -> None:
    """The bound is on all that is in memory."""
    async with bench(max_records=2) as it:
        it.store.gate.clear()
        it.take(records(2))
        await it.store.entered.wait()
        it.take(records(1, start=2))
        assert (it.sink.status().queued, it.sink.status().dropped) == (2, 1)


async def test_dropping_is_logged_ever_more_rarely() -> None:
    """A full queue says so at the first, tenth and hundredth record, and once when there is room again."""
    with capture_logs() as logs:
        async with bench(max_records=1) as it:
            it.take(records(121))
            await it.sink.flush(PATIENCE)
            it.take(records(1, start=121))
    events = [(entry["event"], entry.get("count"), entry["dropped"]) for entry in logs]
    assert events == [
        ("audit_records_not_taken", 1, 1),
        ("audit_records_not_taken", 10, 10),
        ("audit_records_not_taken", 100, 100),
        ("audit_records_taken_again", None, 120),
    ]


async def test_a_full_queue_is_failing_until_there_is_room() -> None:
    """The status says that records are being dropped."""
    async with bench(max_records=1) as it:
        it.take(records(2))
        before = it.sink.status().failing
        await it.sink.flush(PATIENCE)
        it.take(records(1, start=2))
        assert [before, it.sink.status().failing] == [True, False]


async def test_an_outage_is_waited_out() -> None:
    """While the database is away a batch is tried again, with pauses that double up to a bound."""
    async with bench(linger=0, first_pause=1, longest_pause=4) as it:
        it.store.failures = [away() for _ in range(5)]
        expected = it.take(records(2))
        await it.store.kept.wait()
        assert (it.store.batches, it.time.sleeps) == ([expected], [0, 1, 2, 4, 4, 4])


async def test_an_outage_is_logged_once_and_its_end_too() -> None:
    """One line says that the store is away, another that it is back."""
    with capture_logs() as logs:
        async with bench() as it:
            it.store.failures = [away() for _ in range(3)]
            it.take(records(1))
            await it.sink.flush(PATIENCE)
    assert [entry["event"] for entry in logs] == ["audit_store_unavailable", "audit_store_recovered"]


async def test_the_status_is_failing_during_an_outage() -> None:
    """An outage shows until something was written again."""
    async with bench(first_pause=1) as it:
        it.store.failures = [away()]
        it.time.endless = 1
        it.take(records(1))
        await it.time.fell_asleep.wait()
        during = it.sink.status().failing
        await it.sink.flush(PATIENCE)
        assert [during, it.sink.status().failing] == [True, False]


async def test_after_its_time_a_batch_is_dropped_and_counted() -> None:
    """An outage that lasts longer than the bound costs the batch, not the service."""
    with capture_logs() as logs:
        async with bench(retry_seconds=10, first_pause=1, longest_pause=4) as it:
            it.store.down = True
            it.take(records(3))
            assert await it.sink.flush(PATIENCE)
            assert (it.sink.status().dropped, it.sink.status().queued, it.store.attempts) == (3, 0, 4)
    assert [entry["reason"] for entry in logs if entry["event"] == "audit_records_dropped"] == [
        "store unavailable"
    ]


async def test_after_a_dropped_batch_the_next_is_tried() -> None:
    """The bound is for each batch."""
    async with bench(batch_size=2, retry_seconds=1, first_pause=1) as it:
        it.store.failures = [away(), away()]
        expected = it.take(records(4))[2:]
        await it.sink.flush(PATIENCE)
        assert (it.store.written, it.sink.status()) == (expected, status(written=2, dropped=2))


async def test_one_bad_record_does_not_block_the_others() -> None:
    """A batch that the database refuses is written record by record; only the bad one is dropped."""
    async with bench() as it:
        made = records(5)
        it.store.poison = {made[2].render_id}
        it.take(made)
        await it.sink.flush(PATIENCE)
        assert (it.store.written, it.sink.status()) == (
            ids(made[:2] + made[3:]),
            status(written=4, dropped=1),
        )


async def test_a_refused_record_is_logged_without_its_content() -> None:
    """The log names the render and the kind of error; an error's text may hold the statement's values."""
    with capture_logs() as logs:
        async with bench() as it:
            [record] = records(1)
            it.store.poison = {record.render_id}
            it.take([record])
            await it.sink.flush(PATIENCE)
    assert logs == [
        {
            "event": "audit_record_refused",
            "render_id": record.render_id,
            "error": "ValueError",
            "log_level": "error",
        },
        {"event": "audit_records_dropped", "reason": "refused", "count": 1, "log_level": "error"},
    ]


async def test_an_outage_while_records_are_set_apart_is_waited_out() -> None:
    """A record by itself is retried like a batch."""
    async with bench() as it:
        made = records(3)
        it.store.poison = {made[0].render_id}
        it.store.failures = [ValueError(), away(), away()]
        it.take(made)
        await it.sink.flush(PATIENCE)
        assert it.store.written == ids(made[1:])


async def test_flush_of_an_empty_queue_answers_at_once() -> None:
    """There is nothing to wait for."""
    assert await Bench().sink.flush(0)


async def test_flush_gives_up_after_its_time() -> None:
    """What is not written in time is told, and stays queued."""
    async with bench() as it:
        it.store.gate.clear()
        it.take(records(1))
        assert (await it.sink.flush(0), it.sink.status().queued) == (False, 1)


async def test_flush_waits_for_what_is_queued_now_and_no_longer() -> None:
    """Records that arrive while flushing don't prolong it."""
    async with bench(batch_size=1) as it:
        it.store.gate.clear()
        it.take(records(1))
        flushing = asyncio.create_task(it.sink.flush(PATIENCE))
        await it.store.entered.wait()
        it.take(records(1, start=1))
        it.store.gate.set()
        assert await flushing
        assert len(it.store.batches) <= 2


async def test_flush_cuts_a_pause_short() -> None:
    """Who waits learns soon whether the database is back."""
    async with bench(first_pause=1000, retry_seconds=5000) as it:
        it.store.failures = [away()]
        it.time.endless = 1000
        expected = it.take(records(1))
        await it.time.fell_asleep.wait()
        assert await it.sink.flush(PATIENCE)
        assert it.store.written == expected


async def test_closing_writes_the_rest() -> None:
    """What is queued when the service stops is written within the grace."""
    it = Bench()
    it.sink.start()
    expected = it.take(records(3))
    await it.sink.aclose(PATIENCE)
    assert it.store.written == expected


async def test_closing_drops_what_its_time_does_not_suffice_for() -> None:
    """After the grace the rest is counted as dropped, with a log line."""
    it = Bench()
    it.store.down = True
    it.sink.start()
    it.take(records(3))
    with capture_logs() as logs:
        await it.sink.aclose(0)
    assert it.sink.status().dropped == 3
    assert logs[-1] == {
        "event": "audit_records_dropped",
        "reason": "closed",
        "count": 3,
        "log_level": "error",
    }


async def test_closing_ends_a_write_that_hangs() -> None:
    """A store that never answers does not keep the service from stopping."""
    it = Bench()
    it.store.gate.clear()
    it.sink.start()
    it.take(records(1))
    await it.store.entered.wait()
    await it.sink.aclose(0)
    assert it.sink.status().dropped == 1


async def test_closing_twice_is_harmless() -> None:
    """The second time there is nothing left to do."""
    it = Bench()
    it.sink.start()
    it.take(records(1))
    await it.sink.aclose(PATIENCE)
    await it.sink.aclose(PATIENCE)
    assert it.sink.status() == status(written=1)


async def test_closing_what_never_started_drops_what_it_has() -> None:
    """Without a writer nothing can be written."""
    it = Bench()
    it.take(records(2))
    await it.sink.aclose(PATIENCE)
    assert it.sink.status() == status(dropped=2)


async def test_a_closed_sink_takes_no_more() -> None:
    """A render that ends after the close is counted, and recording does not raise."""
    it = Bench()
    it.sink.start()
    await it.sink.aclose(PATIENCE)
    with capture_logs() as logs:
        it.take(records(2))
    assert it.sink.status().dropped == 2
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("audit_records_not_taken", "closed")]


async def test_a_cancelled_close_still_stops_the_writer() -> None:
    """Whoever stops waiting leaves no task behind."""
    it = Bench()
    it.store.gate.clear()
    it.sink.start()
    it.take(records(1))
    await it.store.entered.wait()
    closing = asyncio.create_task(it.sink.aclose(PATIENCE))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "audit-writer"] == []


async def test_the_logs_hold_no_text_of_a_prompt() -> None:
    """Whatever goes wrong, what was rendered does not leave by the log."""
    record = record_render(pieces=None)
    troubles: list[Callable[[Bench], None]] = [
        lambda it: it.store.failures.append(ValueError(SECRET)),
        lambda it: it.store.failures.append(away()),
    ]
    with capture_logs() as logs:
        for trouble in troubles:
            async with bench() as it:
                trouble(it)
                it.take([record])
                await it.sink.flush(PATIENCE)
    assert record.prompt is not None
    assert SECRET not in str(logs)
    assert record.prompt not in str(logs)
    assert logs


def test_the_database_sink_keeps_records() -> None:
    """Its records can be read back."""
    assert DatabaseAuditSink(ScriptedStore()).keeps_records
