"""The spooled sink: what is in files first, what is read back from them, and what each mode promises."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pecia_service.audit.ports import SinkStatus
from pecia_service.audit.sinks.spooled import Durability
from pecia_service.audit.spool.group_commit import GroupCommit
from pecia_service.audit.spool.survey import survey
from pecia_service.errors import ErrorReason, InternalError, UnavailableError
from pecia_service.ids import uuid7
from structlog.testing import capture_logs
from support.audit import EPOCH_MS, record_render
from support.audit_sinks import away
from support.spools import PATIENCE, SpoolBench, ids, records, spooling

SECRET = "nobody may read this"


def waiting(root: Path) -> int:
    """Count the records that wait in the files."""
    return sum(owner.records for owner in survey(root).owners)


async def test_a_record_is_in_a_file_before_it_is_delivered(tmp_path: Path) -> None:
    """Nothing that happens to the process later can lose it."""
    async with spooling(tmp_path) as it:
        it.store.gate.clear()
        it.take(records(3))
        assert (3, []) == (waiting(tmp_path), it.store.written)


async def test_records_are_written_in_order_and_leave_the_files(tmp_path: Path) -> None:
    """What arrives first is written first; what is written waits no more."""
    async with spooling(tmp_path, batch_size=3) as it:
        expected = it.take(records(10))
        assert await it.sink.flush(PATIENCE)
        assert (expected, 0) == (it.store.written, waiting(tmp_path))
        assert it.sink.status() == SinkStatus(0, 0, written=10, dropped=0, failing=False)


async def test_nothing_is_left_after_a_close(tmp_path: Path) -> None:
    """A process that has delivered all removes its folder."""
    async with spooling(tmp_path) as it:
        expected = it.take(records(3))
    assert (expected, []) == (it.store.written, os.listdir(tmp_path))


async def test_a_record_that_is_queued_already_is_taken_once(tmp_path: Path) -> None:
    """Handing the same record over again changes nothing."""
    async with spooling(tmp_path) as it:
        [record] = records(1)
        it.take([record, record])
        await it.sink.flush(PATIENCE)
        assert it.store.batches == [[record.render_id]]


async def test_a_full_batch_does_not_linger(tmp_path: Path) -> None:
    """When a batch is full before its time, it goes at once."""
    async with spooling(tmp_path, batch_size=3) as it:
        it.time.endless = 0
        first = it.take(records(1))
        await it.time.fell_asleep.wait()
        rest = it.take(records(2, start=1))
        await it.store.kept.wait()
        assert it.store.batches == [first + rest]


async def test_a_batch_that_has_its_bytes_does_not_linger(tmp_path: Path) -> None:
    """Few large records fill a batch too: while they waited for more, as many again would pile up."""
    made = records(2)
    async with spooling(tmp_path, batch_bytes=sum(record.weight for record in made)) as it:
        it.time.endless = 0
        it.take(made[:1])
        await it.time.fell_asleep.wait()
        it.take(made[1:])
        await it.store.kept.wait()
        assert [ids(made)] == it.store.batches


async def test_batches_wait_longer_while_many_records_come(tmp_path: Path) -> None:
    """The wait doubles up to its longest while batches are large; after a small one it is the first again."""
    async with spooling(tmp_path, linger=1, longest_linger=3) as it:
        for size in (16, 16, 16, 15, 1):
            it.store.kept.clear()
            it.take(records(size, start=len(it.store.written)))
            await it.store.kept.wait()
        assert [1, 2, 3, 3, 1] == [seconds for seconds in it.time.sleeps if seconds < 1000]


@pytest.mark.parametrize("bounds", [{"max_records": 4}, {"max_bytes": 40_000}])
async def test_what_memory_has_no_room_for_is_read_back(tmp_path: Path, bounds: dict[str, int]) -> None:
    """All is delivered, in order, and what waits in memory is bounded."""
    async with spooling(tmp_path, segment_bytes=20_000, batch_size=3, **bounds) as it:
        it.store.gate.clear()
        expected = it.take(records(40))
        status = it.sink.status()
        it.store.gate.set()
        assert await it.sink.flush(PATIENCE)
        assert (40, 0, False) == (status.queued, status.dropped, status.full)
        assert status.queued_bytes <= 40_000
        assert (expected, 0) == (it.store.written, waiting(tmp_path))


@pytest.mark.parametrize("bounds", [{}, {"max_records": 1}])
async def test_a_batch_has_no_more_bytes_than_the_database_has_time_for(
    tmp_path: Path, bounds: dict[str, int]
) -> None:
    """Large records go one by one, from the memory and from files; a batch too large would never end."""
    made = records(4)
    async with spooling(tmp_path, batch_bytes=1, **bounds) as it:
        it.take(made)
        assert await it.sink.flush(PATIENCE)
    assert [[render_id] for render_id in ids(made)] == it.store.batches


async def test_records_that_come_while_files_are_read_back_follow(tmp_path: Path) -> None:
    """They are in memory again, and keep their turn."""
    async with spooling(tmp_path, max_records=1, batch_size=2, linger=0) as it:
        it.store.gate.clear()
        expected = it.take(records(4))
        flushing = asyncio.create_task(it.sink.flush(PATIENCE))
        while len(it.store.written) < 3:
            it.store.entered.clear()
            it.store.gate.set()
            await it.store.entered.wait()
            it.store.gate.clear()
        expected += it.take(records(4, start=4))
        it.store.gate.set()
        assert await flushing
        assert await it.sink.flush(PATIENCE)
        assert (expected, 0) == (it.store.written, waiting(tmp_path))


async def test_a_record_larger_than_the_memory_goes_through_a_file(tmp_path: Path) -> None:
    """Its size costs nobody else's record."""
    async with spooling(tmp_path, max_bytes=1) as it:
        expected = it.take(records(1))
        await it.store.kept.wait()
        expected += it.take(records(1, start=1))
        await it.sink.flush(PATIENCE)
        assert expected == it.store.written


async def test_an_outage_is_waited_out_however_long(tmp_path: Path) -> None:
    """No record is dropped for its age; the pauses have a longest."""
    async with spooling(tmp_path, linger=0, first_pause=1, longest_pause=4) as it:
        it.store.failures = [away() for _ in range(200)]
        expected = it.take(records(2))
        await it.store.kept.wait()
        assert (it.store.batches, it.sink.status().dropped) == ([expected], 0)
        assert {1, 2, 4} == {seconds for seconds in it.time.sleeps if seconds < 1000}


async def test_records_do_not_cut_the_pauses_of_an_outage_short(tmp_path: Path) -> None:
    """A database that is away is not asked once per render."""
    async with spooling(tmp_path, max_records=1, linger=0, first_pause=500) as it:
        it.time.endless = 500
        it.store.down = True
        it.take(records(3))
        await it.time.fell_asleep.wait()
        it.take(records(20, start=3))
        for _ in range(50):
            await asyncio.sleep(0)
        assert 1 == it.store.attempts


async def test_what_is_left_at_the_end_stays_for_the_next(tmp_path: Path) -> None:
    """It is told how much that is, and dropped is nothing."""
    it = SpoolBench(tmp_path)
    it.sink.start()
    it.store.down = True
    expected = it.take(records(3))
    with capture_logs() as logs:
        await it.sink.aclose(0)
        await it.sink.aclose(0)
    told = [(entry["event"], entry.get("count")) for entry in logs]
    assert ("audit_records_left_in_spool", 3) in told
    assert (3, 0, 3) == (it.sink.status().queued, it.sink.status().dropped, waiting(tmp_path))
    async with spooling(tmp_path) as heir:
        assert await heir.sink.flush(PATIENCE)
        assert expected == heir.store.written


async def test_a_closed_sink_takes_no_more(tmp_path: Path) -> None:
    """A render that ends after the close is counted, and recording does not raise."""
    async with spooling(tmp_path) as it:
        pass
    with capture_logs() as logs:
        it.take(records(1))
    assert (1, ["closed"]) == (it.sink.status().dropped, [entry["reason"] for entry in logs])


async def test_a_sink_that_never_started_leaves_what_it_took(tmp_path: Path) -> None:
    """There was nobody to deliver it."""
    it = SpoolBench(tmp_path)
    it.take(records(2))
    await it.sink.aclose(PATIENCE)
    assert ([], 2) == (it.store.written, waiting(tmp_path))


async def test_a_refused_record_is_set_aside(tmp_path: Path) -> None:
    """The others are written; the bytes of the bad one are kept for a person, and the log has no text."""
    with capture_logs() as logs:
        async with spooling(tmp_path) as it:
            made = records(3)
            it.store.poison = {made[1].render_id}
            it.take(made)
            await it.sink.flush(PATIENCE)
            status = it.sink.status()
    kept = (tmp_path / "damaged" / f"{it.folder.owner_id}-{made[1].render_id}.bin").read_bytes()
    assert ([made[0].render_id, made[2].render_id], 1, 0) == (
        it.store.written,
        status.damaged,
        status.dropped,
    )
    assert made[1].render_id.encode() in kept
    assert logs == [
        {
            "event": "audit_record_refused",
            "render_id": made[1].render_id,
            "error": "ValueError",
            "log_level": "error",
        }
    ]


async def test_a_refused_record_that_cant_be_set_aside_is_dropped(tmp_path: Path) -> None:
    """It is counted, and does not hold up the others."""
    (tmp_path / "damaged").write_bytes(b"")
    with capture_logs() as logs:
        async with spooling(tmp_path) as it:
            made = records(2)
            it.store.poison = {made[0].render_id}
            it.take(made)
            await it.sink.flush(PATIENCE)
            status = it.sink.status()
    assert (ids(made[1:]), 0, 1) == (it.store.written, status.damaged, status.dropped)
    assert [("audit_records_dropped", 1)] == [
        (entry["event"], entry["count"]) for entry in logs if "count" in entry
    ]


@pytest.mark.parametrize("max_bytes", [1, 1_000_000])
async def test_the_status_tells_how_old_the_oldest_is(tmp_path: Path, max_bytes: int) -> None:
    """Whether it is in memory or in a file only, and 0 when nothing waits."""
    async with spooling(tmp_path, max_bytes=max_bytes) as it:
        it.store.gate.clear()
        it.take(records(3))
        it.now += 5_000_000
        await it.store.entered.wait()
        during = it.sink.status()
        it.store.gate.set()
        await it.sink.flush(PATIENCE)
        after = it.sink.status()
        assert (5.0, 3, True) == (during.lag_seconds, during.queued, during.spooled_bytes > 3000)
        assert (0.0, 0, 0) == (after.lag_seconds, after.queued, after.spooled_bytes)


async def test_a_spilled_record_counts_its_age_before_it_is_read(tmp_path: Path) -> None:
    """What never was in memory waits too."""
    it = SpoolBench(tmp_path, max_bytes=1)
    it.take(records(1))
    it.now += 2_000_000
    lag = it.sink.status().lag_seconds
    await it.sink.aclose(0)
    assert 2.0 == lag


async def test_a_record_is_held_until_it_is_written(tmp_path: Path) -> None:
    """Also one that is in a file only, as far as its time tells; an older one is not."""
    async with spooling(tmp_path, max_records=1) as it:
        it.store.gate.clear()
        made = it.take(records(3))
        await it.store.entered.wait()
        during = [it.sink.holds(render_id) for render_id in (*made, uuid7(EPOCH_MS - 10, 1), "no uuid")]
        it.store.gate.set()
        await it.sink.flush(PATIENCE)
        assert [True, True, True, False, False] == during
        # A last record by itself is written once the writer is done with the files.
        made += it.take(records(1, start=3))
        await it.sink.flush(PATIENCE)
        assert [False] * 4 == [it.sink.holds(render_id) for render_id in made]


async def test_with_commit_a_render_waits_for_its_row(tmp_path: Path) -> None:
    """It may be answered when the store has the record, not before; a batch does not linger."""
    async with spooling(tmp_path, durability=Durability.COMMIT) as it:
        it.store.gate.clear()
        [record] = records(1)
        recorded = it.sink.record(record)
        assert recorded is not None
        again = it.sink.record(record)
        await it.store.entered.wait()
        assert isinstance(recorded, asyncio.Future)
        early = (recorded.done(), it.sink.holds(record.render_id))
        it.store.gate.set()
        await recorded
        assert ((False, True), recorded, []) == (early, again, [s for s in it.time.sleeps if s < 1000])
        assert [record.render_id] == it.store.written


async def test_with_commit_an_outage_fails_who_waits_and_loses_nothing(tmp_path: Path) -> None:
    """The failed attempt tells them; the row comes later, once."""
    async with spooling(tmp_path, durability=Durability.COMMIT, first_pause=1) as it:
        it.time.endless = 1
        it.store.down = True
        recorded = [it.sink.record(record) for record in records(2)]
        outcomes = await asyncio.gather(*(each for each in recorded if each), return_exceptions=True)
        it.store.down = False
        assert await it.sink.flush(PATIENCE)
        assert [ErrorReason.STORAGE_UNAVAILABLE] * 2 == [
            error.reason for error in outcomes if isinstance(error, UnavailableError)
        ]
        assert ids(records(2)) == it.store.written


async def test_with_commit_a_record_in_a_file_only_is_waited_for_too(tmp_path: Path) -> None:
    """Where the record waits makes no difference to the promise."""
    async with spooling(tmp_path, durability=Durability.COMMIT, max_records=1) as it:
        it.store.gate.clear()
        recorded = [it.sink.record(record) for record in records(3)]
        it.store.gate.set()
        assert [None] * 3 == await asyncio.gather(*(each for each in recorded if each))
        assert ids(records(3)) == it.store.written


async def test_with_commit_a_refused_record_fails_its_render(tmp_path: Path) -> None:
    """The promise can't be kept, now or later."""
    async with spooling(tmp_path, durability=Durability.COMMIT) as it:
        [record] = records(1)
        it.store.poison = {record.render_id}
        recorded = it.sink.record(record)
        assert recorded is not None
        with pytest.raises(InternalError, match="does not take the audit record"):
            await recorded


async def test_with_commit_who_does_not_wait_any_more_hinders_nobody(tmp_path: Path) -> None:
    """A call that was cancelled leaves its record on its way."""
    async with spooling(tmp_path, durability=Durability.COMMIT) as it:
        recorded = it.sink.record(record_render())
        assert isinstance(recorded, asyncio.Future)
        recorded.cancel()
        assert await it.sink.flush(PATIENCE)
        assert [record_render().render_id] == it.store.written


async def test_with_commit_a_stop_fails_who_waits(tmp_path: Path) -> None:
    """Nobody waits for a process that has ended."""
    it = SpoolBench(tmp_path, durability=Durability.COMMIT)
    it.store.gate.clear()
    it.sink.start()
    recorded = it.sink.record(record_render())
    await it.sink.aclose(0)
    assert recorded is not None
    with pytest.raises(UnavailableError):
        await recorded


class Disk:
    """Notes what is synced; `failing` makes it fail."""

    def __init__(self) -> None:
        self.synced: list[int] = []
        self.failing = False

    def fsync(self, descriptor: int) -> None:
        """Bring a file to the disk, and note how large it was."""
        if self.failing:
            raise OSError(5, "Input/output error")
        os.fsync(descriptor)
        self.synced.append(os.fstat(descriptor).st_size)


async def test_with_fsync_a_render_waits_for_the_disk(tmp_path: Path) -> None:
    """All that was appended by then is synced before anybody is answered, in one go."""
    disk = Disk()
    commits = GroupCommit(disk.fsync)
    async with spooling(tmp_path, durability=Durability.FSYNC, commits=commits) as it:
        it.store.gate.clear()
        recorded = [it.sink.record(record) for record in records(20)]
        size = it.folder.segment(1).stat().st_size
        before = list(disk.synced)
        await asyncio.gather(*(each for each in recorded if each))
        assert ([], [size]) == (before, disk.synced)


async def test_with_fsync_a_stop_waits_for_the_disk(tmp_path: Path) -> None:
    """Who waits for a sync that has begun is told how it ended."""
    disk = Disk()
    it = SpoolBench(tmp_path, durability=Durability.FSYNC, commits=GroupCommit(disk.fsync))
    recorded = it.sink.record(record_render())
    await it.sink.aclose(0)
    assert isinstance(recorded, asyncio.Future)
    assert (True, 1) == (recorded.done(), len(disk.synced))


async def test_with_fsync_several_segments_are_synced(tmp_path: Path) -> None:
    """Each file that has a record of somebody who waits."""
    disk = Disk()
    commits = GroupCommit(disk.fsync)
    async with spooling(tmp_path, durability=Durability.FSYNC, commits=commits, segment_bytes=1) as it:
        it.store.gate.clear()
        recorded = [it.sink.record(record) for record in records(3)]
        await asyncio.gather(*(each for each in recorded if each))
        assert 3 == len(disk.synced)
        again = it.sink.record(records(1, start=3)[0])
        assert again is not None
        await again
        assert 4 == len(disk.synced)


async def test_with_fsync_a_disk_that_fails_fails_the_render(tmp_path: Path) -> None:
    """It is not as durable as was promised; the record is delivered all the same."""
    disk = Disk()
    disk.failing = True
    with capture_logs() as logs:
        async with spooling(tmp_path, durability=Durability.FSYNC, commits=GroupCommit(disk.fsync)) as it:
            recorded = it.sink.record(record_render())
            assert recorded is not None
            with pytest.raises(UnavailableError, match="could not be brought to the disk"):
                await recorded
            assert await it.sink.flush(PATIENCE)
    assert [record_render().render_id] == it.store.written
    assert ["audit_spool_sync_failed"] == [entry["event"] for entry in logs]


async def test_with_fsync_a_folder_that_cant_be_synced_fails_the_render(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose name is not on the disk is lost with the power."""

    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    async with spooling(tmp_path, durability=Durability.FSYNC) as it:
        monkeypatch.setattr("pecia_service.audit.spool.group_commit.sync_folder", fail)
        recorded = it.sink.record(record_render())
        assert recorded is not None
        with pytest.raises(UnavailableError):
            await recorded


async def test_with_fsync_a_want_of_descriptors_fails_the_render_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes later is answered again."""

    def fail(descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    first, second = records(2)
    async with spooling(tmp_path, durability=Durability.FSYNC) as it:
        it.store.gate.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", fail)
            recorded = it.sink.record(first)
            assert recorded is not None
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(asyncio.shield(recorded), PATIENCE)
        again = it.sink.record(second)
        assert again is not None
        await asyncio.wait_for(asyncio.shield(again), PATIENCE)
        assert [] == it.store.written


async def test_with_fsync_what_the_database_has_already_needs_no_disk(tmp_path: Path) -> None:
    """A segment that was delivered and closed before its turn is not synced."""
    commits = GroupCommit()
    it = SpoolBench(tmp_path, durability=Durability.FSYNC, commits=commits)
    segment, _ = it.log.append(b"x", 1)
    segment.close()
    await commits.wait(segment)
    await commits.aclose()
    await it.sink.aclose(0)
    assert segment.duplicate() is None


@pytest.mark.parametrize("durability", Durability)
async def test_no_promise_delays_what_cant_be_kept(tmp_path: Path, durability: Durability) -> None:
    """A record that is dropped is not waited for."""
    async with spooling(tmp_path, durability=durability) as it:
        it.log.close()

        def fail(frame: bytes, created_at: int) -> None:
            raise OSError(28, "No space left on device")

        append: Callable[..., object] = fail
        it.log.append = append  # type: ignore[method-assign, assignment]  # a log that fails
        assert (None, 1) == (it.sink.record(record_render()), it.sink.status().dropped)
