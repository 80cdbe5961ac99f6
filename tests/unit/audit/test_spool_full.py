"""A spool that is full: by its bound or by its disk, and with each policy."""

import errno
import os
import resource
import subprocess
from pathlib import Path

import pytest
from pecia_service.audit.sinks.database import DatabaseAuditSink
from pecia_service.errors import ErrorReason, ResourceExhaustedError
from pecia_service.logs import CURRENT_CALL
from pecia_service.server.interceptors.calls import Call
from structlog.testing import capture_logs
from support.audit_sinks import ScriptedStore
from support.edge import captured
from support.spools import PATIENCE, SpoolBench, ids, records, run_python, spooling

# Takes records until none is taken any more where files have a largest size, then all that fits again.
LIMITED = """
import asyncio, sys
from pathlib import Path
from support.spools import PATIENCE, SpoolBench, records

async def main():
    bench = SpoolBench(Path(sys.argv[1]))
    made = records(20)
    bench.take(made)
    status = bench.sink.status()
    bench.sink.start()
    await bench.sink.flush(PATIENCE)
    await bench.sink.aclose(PATIENCE)
    print(status.queued, status.dropped, status.full, *bench.store.written)

asyncio.run(main())
"""


class NarrowDisk:
    """A disk that is full while `full`."""

    def __init__(self) -> None:
        self.full = False

    def write(self, descriptor: int, data: bytes) -> int:
        """Write, or take a part and then nothing."""
        if not self.full:
            return os.write(descriptor, data)
        if len(data) > 10:
            return os.write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullDisk(NarrowDisk):
    """A disk whose fault is another than being full."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Write, or fail."""
        if self.full:
            raise OSError(errno.EIO, "Input/output error")
        return os.write(descriptor, data)


@pytest.mark.parametrize(("disk", "reason"), [(NarrowDisk(), "full"), (FullDisk(), "Input/output error")])
async def test_a_full_disk_drops_and_counts_until_there_is_room(
    tmp_path: Path, disk: NarrowDisk, reason: str
) -> None:
    """Renders go on; a line says it begins, another that it is over; what was taken is delivered."""
    with capture_logs() as logs:
        async with spooling(tmp_path, write=disk.write) as it:
            expected = it.take(records(2))
            disk.full = True
            it.take(records(5, start=2))
            during = it.sink.status()
            disk.full = False
            expected += it.take(records(2, start=7))
            after = it.sink.status()
            assert await it.sink.flush(PATIENCE)
    assert expected == it.store.written
    assert (5, True, True) == (during.dropped, during.full, during.failing)
    assert (5, False, False) == (after.dropped, after.full, after.failing)
    assert [("audit_records_not_taken", reason, 1), ("audit_records_taken_again", None, None)] == [
        (entry["event"], entry.get("reason"), entry.get("count")) for entry in logs
    ]


async def test_a_full_spool_refuses_where_that_is_the_policy(tmp_path: Path) -> None:
    """Nothing is dropped: the render fails instead, with a reason and a time to try again."""
    disk = NarrowDisk()
    async with spooling(tmp_path, write=disk.write, refuse=True) as it:
        disk.full = True
        with pytest.raises(ResourceExhaustedError) as caught:
            it.take(records(1))
        during = it.sink.status()
        disk.full = False
        expected = it.take(records(1))
        assert await it.sink.flush(PATIENCE)
    assert (ErrorReason.AUDIT_FULL, 1.0) == (caught.value.reason, caught.value.retry_after)
    assert {"setting": "PECIA_AUDIT_FULL"} == caught.value.metadata
    assert (0, True, expected) == (during.dropped, during.full, it.store.written)


async def test_what_is_refused_is_not_logged_as_dropped(tmp_path: Path) -> None:
    """Nobody should look for records of renders that nobody got."""
    disk = NarrowDisk()
    with capture_logs() as logs:
        async with spooling(tmp_path, write=disk.write, refuse=True) as it:
            for start in (0, 1):
                disk.full = True
                with pytest.raises(ResourceExhaustedError):
                    it.take(records(1, start=start))
                disk.full = False
                it.take(records(1, start=start))
    assert [
        ("audit_records_not_taken", 1, None),
        ("audit_records_taken_again", 1, None),
        ("audit_records_not_taken", 2, None),
        ("audit_records_taken_again", 1, None),
    ] == [(entry["event"], entry["refused"], entry.get("dropped")) for entry in logs]


async def test_the_end_of_refusals_is_no_call_s_own(tmp_path: Path) -> None:
    """The line has not the id of the call that happens to be the first that is taken."""
    disk = NarrowDisk()
    async with captured() as logs, spooling(tmp_path, write=disk.write) as it:
        token = CURRENT_CALL.set(Call("/pecia.v1.PromptService/Render", lambda: "some-call"))
        disk.full = True
        it.take(records(1))
        disk.full = False
        it.take(records(1, start=1))
        CURRENT_CALL.reset(token)
    assert [("audit_records_not_taken", "some-call"), ("audit_records_taken_again", None)] == [
        (entry["event"], entry.get("request_id")) for entry in logs
    ]


async def test_beyond_its_bytes_the_spool_is_full(tmp_path: Path) -> None:
    """The bound holds in an outage, and what is delivered makes room."""
    async with spooling(tmp_path, spool_bytes=40_000) as it:
        it.store.gate.clear()
        made = it.take(records(40))
        status = it.sink.status()
        it.store.gate.set()
        assert await it.sink.flush(PATIENCE)
        again = it.take(records(1, start=40))
        assert await it.sink.flush(PATIENCE)
    taken = 40 - status.dropped
    assert (True, True, True) == (status.full, 0 < taken < 40, status.spooled_bytes <= 40_000)
    assert made[:taken] + again == it.store.written


async def test_room_is_noticed_without_a_render(tmp_path: Path) -> None:
    """A process that gets no renders because it is full must be able to say that it is full no more."""
    disk = NarrowDisk()
    async with spooling(tmp_path, write=disk.write, housekeeping=1.0) as it:
        it.time.endless = 1.0
        disk.full = True
        it.take(records(1))
        await it.time.fell_asleep.wait()
        disk.full = False
        before = it.sink.status().full
    async with spooling(tmp_path, write=disk.write, housekeeping=1.0) as it:
        disk.full = True
        it.take(records(1))
        full = it.sink.status().full
        disk.full = False
        it.time.endless = 1000.0
        while it.sink.status().full:
            await it.time.sleep(0)
        assert (True, True) == (before, full)


def test_files_that_may_not_grow_are_a_full_disk(tmp_path: Path) -> None:
    """A limit of the system ends no process; what fits is kept whole."""
    process = run_python(
        LIMITED,
        tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        stderr=subprocess.PIPE,
    )
    output, errors = process.communicate()
    assert 0 == process.returncode, errors
    queued, dropped, full, *written = output.splitlines()[-1].split()
    assert (20, "True") == (int(queued) + int(dropped), full)
    assert 0 < int(queued) < 20
    assert ids(records(int(queued))) == written


async def test_a_closed_sink_refuses_where_that_is_the_policy(tmp_path: Path) -> None:
    """A render that nobody can record any more fails."""
    it = SpoolBench(tmp_path, refuse=True)
    await it.sink.aclose(0)
    with pytest.raises(ResourceExhaustedError):
        it.take(records(1))
    assert 0 == it.sink.status().dropped


async def test_a_full_memory_refuses_where_that_is_the_policy() -> None:
    """With durability memory the queue's bounds are what is full."""
    store = ScriptedStore()
    sink = DatabaseAuditSink(store, max_records=1, refuse=True, clock=lambda: 0)
    first, second = records(2)
    sink.record(first)
    with pytest.raises(ResourceExhaustedError) as caught:
        sink.record(second)
    full = sink.status()
    sink.start()
    assert await sink.flush(PATIENCE)
    empty = sink.status()
    sink.record(second)
    await sink.aclose(PATIENCE)
    assert (ErrorReason.AUDIT_FULL, True, 0) == (caught.value.reason, full.full, full.dropped)
    assert (False, False) == (empty.full, empty.failing)
    assert ids([first, second]) == store.written
