"""What processes that have ended left in the spool: delivered once, damage set aside, others' left alone."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pecia_service.audit.sinks.spooled import Durability
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.folder import OwnerFolder
from pecia_service.audit.spool.segment import Segment
from pecia_service.audit.spool.survey import OwnerSurvey, survey
from structlog.testing import capture_logs
from support.audit_sinks import away
from support.spools import (
    DESTINATION,
    PATIENCE,
    SpoolBench,
    ids,
    left_behind,
    make_folder,
    records,
    run_python,
    segment_of,
    spooling,
)

# Takes three records, says their ids, and waits for its end.
TAKER = """
import sys
from pathlib import Path
from support.spools import SpoolBench, records
bench = SpoolBench(Path(sys.argv[1]))
print(*bench.take(records(3)), flush=True)
sys.stdin.read()
"""


def damaged(root: Path) -> list[bytes]:
    """Return what was set aside."""
    return [path.read_bytes() for path in sorted((root / "damaged").glob("*"))]


def owners(root: Path) -> list[str]:
    """Return the names of what is in the spool."""
    return sorted(os.listdir(root))


async def recover(root: Path, **options: int) -> SpoolBench:
    """Run a process that delivers what is there, and ends."""
    async with spooling(root, **options) as it:
        assert await it.sink.flush(PATIENCE)
    return it


async def test_what_a_dead_process_left_is_delivered(tmp_path: Path) -> None:
    """All segments in order; then the folder is gone."""
    made = records(6)
    left_behind(tmp_path, segment_of(*made[:4]), segment_of(*made[4:]))
    it = await recover(tmp_path, batch_size=3)
    assert (ids(made), [], 6) == (it.store.written, owners(tmp_path), it.sink.status().written)


async def test_what_was_delivered_before_is_not_delivered_again(tmp_path: Path) -> None:
    """A segment says how far it is settled: what was pruned since must not come back."""
    made = records(3)
    path = left_behind(tmp_path, segment_of(*made))
    segment = Segment.open(path / "00000001.seg")
    segment.settle(len(segment_of(made[0])), 0)
    segment.close()
    assert ids(made[1:]) == (await recover(tmp_path)).store.written


async def test_a_process_that_is_killed_is_survived_by_its_records(tmp_path: Path) -> None:
    """Whatever it had taken is delivered by one that runs already."""
    process = run_python(TAKER, tmp_path)
    assert process.stdout is not None
    taken = process.stdout.readline().split()
    async with spooling(tmp_path, housekeeping=1.0) as it:
        it.time.endless = 2.0
        alive = it.sink.status().spooled_bytes
        process.send_signal(signal.SIGKILL)
        process.communicate()
        await it.store.kept.wait()
        assert await it.sink.flush(PATIENCE)
        assert (0, 3, taken) == (alive, len(taken), it.store.written)


async def test_of_two_processes_that_start_together_one_recovers(tmp_path: Path) -> None:
    """Nothing is delivered twice, and nothing is left."""
    made = records(5)
    left_behind(tmp_path, segment_of(*made))
    async with spooling(tmp_path) as first, spooling(tmp_path) as second:
        assert await first.sink.flush(PATIENCE)
        assert await second.sink.flush(PATIENCE)
    assert ids(made) == first.store.written + second.store.written
    assert [] == owners(tmp_path)


async def test_an_adopter_that_ends_early_leaves_the_rest(tmp_path: Path) -> None:
    """The next goes on where it stopped."""
    made = records(4)
    left_behind(tmp_path, segment_of(*made[:2]), segment_of(*made[2:]))
    it = SpoolBench(tmp_path)
    it.store.failures = [away()]
    it.store.down = True
    it.sink.start()
    status = it.sink.status()
    await it.sink.aclose(0)
    assert (True, False) == (status.spooled_bytes > 0, it.sink.holds(made[0].render_id))
    assert ids(made) == (await recover(tmp_path)).store.written


async def test_renders_do_not_wait_for_what_another_process_left(tmp_path: Path) -> None:
    """A batch of theirs comes after each of its."""
    *old, fresh = records(4)
    left_behind(tmp_path, segment_of(*old))
    it = SpoolBench(tmp_path, batch_size=1, durability=Durability.COMMIT)
    it.store.gate.clear()
    it.sink.start()
    await it.store.entered.wait()
    recorded = it.sink.record(fresh)
    it.store.gate.set()
    assert recorded is not None
    await recorded
    assert await it.sink.flush(PATIENCE)
    await it.sink.aclose(PATIENCE)
    assert [old[0].render_id, fresh.render_id, *ids(old[1:])] == it.store.written


async def test_a_folder_that_cant_be_looked_into_hides_no_other(tmp_path: Path) -> None:
    """It is told once, and is tried again; what others left is delivered."""
    made = records(2)
    bad = left_behind(tmp_path, segment_of(made[0]))
    left_behind(tmp_path, segment_of(made[1]))
    (bad / "owner.lock").unlink()
    (bad / "owner.lock").mkdir()
    with capture_logs() as logs:
        async with spooling(tmp_path) as it:
            it.sink._look_for_dead()
            assert await it.sink.flush(PATIENCE)
            (bad / "owner.lock").rmdir()
            it.sink._look_for_dead()
            assert await it.sink.flush(PATIENCE)
    told = [entry["owner"] for entry in logs if entry["event"] == "audit_spool_unreadable"]
    assert ([made[1].render_id, made[0].render_id], [bad.name]) == (it.store.written, told)


async def test_a_record_of_a_dead_process_is_held(tmp_path: Path) -> None:
    """Until it is delivered it may still come; and its age counts."""
    [record] = records(1)
    left_behind(tmp_path, segment_of(record))
    async with spooling(tmp_path) as it:
        it.now = 2_000_000_000_000_000
        before = (it.sink.holds(record.render_id), it.sink.status().lag_seconds > 0)
        await it.sink.flush(PATIENCE)
        assert ((True, True), False) == (before, it.sink.holds(record.render_id))


async def test_another_databases_folder_is_left_alone_and_told_once(tmp_path: Path) -> None:
    """Its records are not delivered, nor is it looked at again and again."""
    foreign = left_behind(tmp_path, segment_of(*records(1)), destination="e" * 64)
    unknown = left_behind(tmp_path, segment_of(*records(1)))
    (unknown / "owner.json").unlink()
    living = make_folder(tmp_path, "f" * 64)
    with capture_logs() as logs:
        async with spooling(tmp_path) as it:
            it.sink._look_for_dead()
            assert await it.sink.flush(PATIENCE)
    told = [(entry["owner"], entry["reason"]) for entry in logs]
    assert [
        (foreign.name, "it belongs to another database"),
        (unknown.name, "its owner can't be read"),
    ] == told
    assert ([], sorted([foreign.name, unknown.name, living.owner_id])) == (it.store.written, owners(tmp_path))


async def test_an_empty_folder_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    """It is litter."""
    left_behind(tmp_path)
    await recover(tmp_path)
    assert [] == owners(tmp_path)


async def test_a_torn_tail_is_cut_with_a_count(tmp_path: Path) -> None:
    """What was being written when the process ended was promised to nobody; its bytes are kept anyway."""
    made = records(2)
    whole = segment_of(*made)
    left_behind(tmp_path, whole[:-10])
    with capture_logs() as logs:
        it = await recover(tmp_path)
    torn = len(whole) - 10 - len(segment_of(made[0]))
    assert ([made[0].render_id], 0, [torn]) == (
        it.store.written,
        it.sink.status().damaged,
        [len(data) for data in damaged(tmp_path)],
    )
    assert [(0, torn)] == [
        (entry["set_aside"], entry["torn_bytes"]) for entry in logs if "torn_bytes" in entry
    ]


async def test_a_damaged_record_is_set_aside(tmp_path: Path) -> None:
    """The others are delivered, and its bytes are kept as they are."""
    made = records(3)
    data = bytearray(segment_of(*made))
    start, end = len(segment_of(made[0])), len(segment_of(*made[:2]))
    data[start + 100] ^= 1
    left_behind(tmp_path, bytes(data))
    with capture_logs() as logs:
        it = await recover(tmp_path)
    assert ([ids(made)[0], ids(made)[2]], 1) == (it.store.written, it.sink.status().damaged)
    assert [bytes(data[start:end])] == damaged(tmp_path)
    assert [1] == [entry["set_aside"] for entry in logs if entry["event"] == "audit_spool_damaged"]


async def test_a_body_that_is_no_record_is_set_aside(tmp_path: Path) -> None:
    """A whole frame can hold what this version does not understand."""
    made = records(1)
    odd = fmt.frame(b'{"from":"elsewhere"}')
    left_behind(tmp_path, fmt.header() + odd + segment_of(*made)[fmt.HEADER_BYTES :])
    it = await recover(tmp_path)
    assert (ids(made), [odd]) == (it.store.written, damaged(tmp_path))


async def test_a_segment_with_a_damaged_header_is_read(tmp_path: Path) -> None:
    """Its frames speak for themselves."""
    made = records(2)
    left_behind(tmp_path, b"X" + segment_of(*made)[1:])
    it = await recover(tmp_path)
    assert (ids(made), [fmt.HEADER_BYTES]) == (it.store.written, [len(data) for data in damaged(tmp_path)])


async def test_a_segment_of_a_later_version_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who goes back to this version loses nothing."""
    monkeypatch.setattr(fmt, "VERSION", 2)
    later = segment_of(*records(1))
    monkeypatch.undo()
    path = left_behind(tmp_path, later)
    with capture_logs() as logs:
        it = await recover(tmp_path)
    assert ([], [path.name]) == (it.store.written, owners(tmp_path))
    assert later == (path / "00000001.seg").read_bytes()
    assert "a later version wrote it" in [entry.get("reason") for entry in logs]


async def test_a_segment_that_cant_be_read_is_left_alone(tmp_path: Path) -> None:
    """The folder waits for somebody who can, and everything else goes on."""
    made = records(2)
    broken = left_behind(tmp_path)
    (broken / "00000001.seg").mkdir()
    left_behind(tmp_path, segment_of(*made))
    with capture_logs() as logs:
        it = await recover(tmp_path)
    assert (ids(made), [broken.name]) == (it.store.written, owners(tmp_path))
    assert ["Is a directory"] == [
        entry["error"] for entry in logs if entry["event"] == "audit_spool_unreadable"
    ]


async def test_a_passing_error_does_not_leave_records_for_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be set aside for want of room is once there is some, and the rest is delivered."""
    made = records(2)
    data = bytearray(segment_of(*made))
    data[fmt.HEADER_BYTES + 100] ^= 1
    left_behind(tmp_path, bytes(data))

    def fail(folder: OwnerFolder, name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(OwnerFolder, "set_aside", fail)
    async with spooling(tmp_path) as it:
        assert await it.sink.flush(PATIENCE)
        before = list(it.store.written)
        monkeypatch.undo()
        it.time.now += 2
        it.sink._look_for_dead()
        assert await it.sink.flush(PATIENCE)
    assert ([], [made[1].render_id], ["damaged"]) == (before, it.store.written, owners(tmp_path))


async def test_a_segment_of_its_own_that_cant_be_read_is_left(tmp_path: Path) -> None:
    """The records after it go on, and the next process tries it again."""
    it = SpoolBench(tmp_path, max_records=1)
    made = it.take(records(3))
    path = it.folder.segment(1)
    hidden = path.rename(tmp_path / "hidden")
    it.sink.start()
    with capture_logs() as logs:
        assert await it.sink.flush(PATIENCE)
        made += it.take(records(1, start=3))
        assert await it.sink.flush(PATIENCE)
        hidden.rename(path)
        await it.sink.aclose(PATIENCE)
    assert [made[0], made[3]] == it.store.written
    assert "audit_spool_unreadable" in [entry["event"] for entry in logs]
    assert made[1:3] == (await recover(tmp_path)).store.written


async def test_damage_in_a_file_of_its_own_is_set_aside(tmp_path: Path) -> None:
    """A disk may change what is written while the process still runs."""
    it = SpoolBench(tmp_path, max_records=1)
    made = it.take(records(3))
    path = it.folder.segment(1)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    it.sink.start()
    assert await it.sink.flush(PATIENCE)
    status = it.sink.status()
    await it.sink.aclose(PATIENCE)
    assert (made[:2], 0, ["damaged"]) == (it.store.written, status.queued, owners(tmp_path))


async def test_what_cant_be_noted_as_settled_is_delivered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs another delivery at the next start, which changes nothing."""

    def fail(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(5, "Input/output error")

    with capture_logs() as logs:
        async with spooling(tmp_path) as it:
            expected = it.take(records(2))
            monkeypatch.setattr("pecia_service.audit.spool.segment.os.pwrite", fail)
            assert await it.sink.flush(PATIENCE)
            monkeypatch.undo()
    assert expected == it.store.written
    assert ["audit_spool_unwritable"] == [entry["event"] for entry in logs]


async def test_a_spool_that_cant_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process has itself is delivered."""

    def fail(path: Path, destination: str) -> OwnerFolder | None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(OwnerFolder, "take", fail)
    with capture_logs() as logs:
        async with spooling(tmp_path) as it:
            expected = it.take(records(1))
            assert await it.sink.flush(PATIENCE)
    assert (expected, ["audit_spool_unreadable"]) == (it.store.written, [entry["event"] for entry in logs])


@settings(deadline=None, max_examples=60)
@given(
    damage=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=6), cut=st.integers(0)
)
async def test_whatever_happens_to_a_segment_what_is_delivered_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]], cut: int
) -> None:
    """No record is changed or made up, and nothing stops the recovery."""
    root = tmp_path_factory.mktemp("spool")
    made = records(4)
    data = bytearray(segment_of(*made))
    for at, value in damage:
        data[at % len(data)] = value
    left_behind(root, bytes(data[: cut % (len(data) + 1)]))
    written: list[object] = []

    class Store:
        async def insert_many(self, batch: list[object]) -> None:
            written.extend(batch)

    async with spooling(root, store=Store()) as it:
        assert await it.sink.flush(PATIENCE)
    assert [record for record in made if record in written] == written


def test_a_survey_tells_what_waits(tmp_path: Path) -> None:
    """Of each process: whether it is alive, how many records, and what is damaged; nothing is changed."""
    made = records(3)
    data = bytearray(segment_of(*made))
    data[len(segment_of(made[0])) + 50] ^= 1
    dead = left_behind(tmp_path, bytes(data), segment_of(made[0])[:-1])
    living = make_folder(tmp_path)
    (living.path / "00000001.seg").symlink_to("gone")
    living.set_aside("a.bin", b"bytes")
    waiting = len(segment_of(made[0], made[2])) - fmt.HEADER_BYTES
    found = survey(tmp_path)
    assert (
        OwnerSurvey(dead.name, False, living.about, 2, waiting, 1),
        OwnerSurvey(living.owner_id, True, living.about, 0, 0, 0),
    ) == found.owners
    assert (1, 5) == (found.damaged_pieces, found.damaged_bytes)
    assert () == survey(tmp_path / "absent").owners
    assert OwnerFolder.take(dead, DESTINATION) is not None
