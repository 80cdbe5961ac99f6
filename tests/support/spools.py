"""Spool folders and sinks over them, for tests below the server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from pecia_service.audit.ports import RecordWriter
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.spooled import SpooledAuditSink
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.codec import encode_record
from pecia_service.audit.spool.folder import About, OwnerFolder
from pecia_service.audit.spool.log import SpoolLog
from support.audit import EPOCH_MS, record_render
from support.audit_sinks import ManualTime, ScriptedStore
from support.checkout import PYTHONPATH

DESTINATION = "d" * 64
MEBIBYTE = 1024 * 1024

# Long enough for any machine: a test that reaches it fails.
PATIENCE = 30.0

_OWNERS = count(1)


def new_owner() -> str:
    """Return an owner's id that is new in this process."""
    return f"owner-{next(_OWNERS):04}"


def make_folder(root: Path, destination: str = DESTINATION) -> OwnerFolder:
    """Make a folder that this process owns."""
    return OwnerFolder.create(root, new_owner, About(destination, EPOCH_MS * 1000, os.getpid()))


def abandon(folder: OwnerFolder) -> Path:
    """Let go of a folder's lock as the end of its process does, and return its path."""
    os.close(folder._lock)
    return folder.path


def segment_of(*records: AuditRecord) -> bytes:
    """Return the bytes of a segment."""
    return fmt.header() + b"".join(fmt.frame(encode_record(record)) for record in records)


def left_behind(root: Path, *segments: bytes, destination: str = DESTINATION) -> Path:
    """Make the folder of a dead process with segments of these bytes, and return its path."""
    folder = make_folder(root, destination)
    for number, data in enumerate(segments, 1):
        folder.segment(number).write_bytes(data)
    return abandon(folder)


def descriptors(folder: Path) -> int:
    """Count the open descriptors of what is below a folder; threads may open and close others meanwhile."""
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        # The one that listed them is closed by now, and others may be.
        with suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"{folder}/")
    return found


def records(number: int, start: int = 0, **fields: Any) -> list[AuditRecord]:
    """Make records with ids of their own."""
    return [record_render(index, **fields) for index in range(start, start + number)]


def ids(made: list[AuditRecord]) -> list[str]:
    """Return their ids."""
    return [record.render_id for record in made]


class SpoolBench:
    """A spooled sink with its stand-ins; `**options` are those of the sink and of its log."""

    def __init__(self, root: Path, store: RecordWriter | None = None, **options: Any) -> None:
        self.root = root
        self.store = ScriptedStore()
        self.time = ManualTime()
        # Looking for dead processes again is not what most tests wait for.
        self.time.endless = 1000.0
        self.now = EPOCH_MS * 1000
        self.folder = make_folder(root)
        self.log = SpoolLog(
            self.folder,
            max_bytes=options.pop("spool_bytes", 64 * MEBIBYTE),
            segment_bytes=options.pop("segment_bytes", MEBIBYTE),
            write=options.pop("write", os.write),
        )
        options.setdefault("housekeeping", 1000.0)
        self.sink = SpooledAuditSink(
            store or self.store,
            self.folder,
            self.log,
            clock=lambda: self.now,
            monotonic=self.time.monotonic,
            sleep=self.time.sleep,
            **options,
        )

    def take(self, made: list[AuditRecord]) -> list[str]:
        """Record all and return their ids."""
        for record in made:
            self.sink.record(record)
        return ids(made)

    def segments(self) -> list[str]:
        """Return the names of the segments that this process has now."""
        return [path.name for path in self.folder.segments()]


@asynccontextmanager
async def spooling(root: Path, **options: Any) -> AsyncIterator[SpoolBench]:
    """Start a sink, and close it at the end."""
    bench = SpoolBench(root, **options)
    bench.sink.start()
    try:
        yield bench
    finally:
        bench.store.gate.set()
        bench.store.down = False
        await bench.sink.aclose(PATIENCE)


def run_python(code: str, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start a Python of its own that can import the service and this support.

    Its coverage is not measured: a process that is killed leaves a file that coverage can't read.
    """
    support = Path(__file__).parent.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment | {"PYTHONPATH": os.pathsep.join((PYTHONPATH, str(support)))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
