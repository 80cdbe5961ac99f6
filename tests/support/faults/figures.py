"""What the fault tests measured: collected, printed at the end, and written into the document."""

from __future__ import annotations

import enum
import os
import platform
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from support.checkout import ROOT
from support.faults.scale import seed
from support.postgres import find_binaries

BEGIN: Final = "<!-- figures: written by `make faults` -->"
PROPERTY: Final = "figures of a fault"
END: Final = "<!-- end of the figures -->"


class Fault(enum.Enum):
    """A row of the table of faults, with what must hold."""

    KILL = ("`kill -9` of a worker under load", "every answer has its audit row, none twice, 0 lost")
    OUTAGE = (
        "The database stops and returns, under load",
        "cached bundles render on, 0 audit rows lost, latency stays bounded",
    )
    SICK_NETWORK = (
        "The database is slow, half-open, or drops connections",
        "no hang past the deadline, the pool recovers, no connection leaks",
    )
    STOP = ("SIGTERM under load", "0 failed requests that were accepted, exit within the grace")
    DISK_FULL = (
        "Disk full in the spool folder",
        "the documented policy, one clear log line, recovery when space returns",
    )
    CANCELLATION = (
        "Cancellation storm",
        "no task, connection, lock or slot leaks, memory stays flat",
    )
    HOSTILE = (
        "Hostile bytes",
        "a status that the contract names, never INTERNAL or UNKNOWN, never a crash, memory stays flat",
    )
    SOAK = ("Soak under mixed load", "the slope of the memory in use is within its noise")
    RACES = (
        "Two processes publish, label, render and verify at random",
        "no lost update, no stale read of a version, label reads linearizable per key",
    )


@dataclass(frozen=True)
class Row:
    """The figures of one run under one fault."""

    fault: Fault
    run: str
    figures: Mapping[str, str]

    @property
    def text(self) -> str:
        """The figures in one line."""
        return "; ".join(f"{name} {value}" for name, value in self.figures.items())


class Figures:
    """Takes the figures of one test; they travel with its report, also from another process."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties

    def add(self, fault: Fault, run: str, **figures: object) -> None:
        """Keep the figures of one run; names are shown with spaces for underscores."""
        shown = {name.replace("_", " "): _shown(value) for name, value in figures.items()}
        self._properties.append((PROPERTY, [fault.name, run, shown]))


class Passed(NamedTuple):
    """What is kept of a test: the commit at which it passed, how long it took, and its figures."""

    commit: str
    seconds: float
    figures: list[tuple[str, str, dict[str, str]]]


@dataclass
class Report:
    """The figures of a session at a commit, and those of before that are not taken again."""

    commit: str
    tests: dict[str, Passed] = field(default_factory=dict)
    failed: dict[str, Passed] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def read(self, test: str, outcome: str, properties: Iterable[tuple[str, Any]]) -> None:
        """Take the figures from the properties of a test's report."""
        now = time.monotonic()
        figures = [(fault, run, shown) for name, (fault, run, shown) in properties if name == PROPERTY]
        taken = Passed(self.commit, now - self.begun, figures)
        self.begun = now
        self.tests.pop(test, None)
        (self.tests if outcome == "passed" else self.failed)[test] = taken

    @property
    def rows(self) -> list[Row]:
        """All figures, also those of tests that failed."""
        tests = [*self.tests.values(), *self.failed.values()]
        return [Row(Fault[fault], run, shown) for test in tests for fault, run, shown in test.figures]

    @property
    def missing(self) -> list[Fault]:
        """The faults of which there is no figure."""
        return [fault for fault in Fault if all(row.fault is not fault for row in self.rows)]

    def lines(self) -> list[str]:
        """Return the table for a terminal."""
        lines = []
        for fault in Fault:
            rows = [row for row in self.rows if row.fault is fault]
            if rows:
                lines.append(fault.value[0])
                lines += [f"  {row.run}: {row.text}" for row in rows]
        return lines

    def markdown(self) -> str:
        """Return the machine and the table for the document."""
        table = [
            f"| {fault.value[0]} | {fault.value[1]} | {row.run} | {row.text} |"
            for fault in Fault
            for row in self.rows
            if row.fault is fault
        ]
        head = ["| Fault | Must hold | Run | Figures |", "|---|---|---|---|"]
        seconds = sum(test.seconds for test in self.tests.values())
        commits = " and ".join(dict.fromkeys(test.commit for test in self.tests.values()))
        return "\n".join([*machine(seconds, commits), "", *head, *table])


def commit() -> str:
    """Return the commit that is checked out."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def machine(seconds: float, commits: str) -> list[str]:
    """Return Markdown that says when, where and on what the figures were taken."""
    postgres = subprocess.run(
        [find_binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    return [
        f"- Taken: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, in {seconds / 60:.0f} minutes, "
        f"at commit {commits}, seed {seed()}; every test passed",
        f"- Machine: {os.cpu_count()} cores ({_processor()}), "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()} {platform.release()}",
        f"- Software: Python {platform.python_version()}, grpcio {grpc.__version__}, "
        f"SQLite {sqlite3.sqlite_version}, PostgreSQL {postgres}",
    ]


def write(document: Path, text: str) -> None:
    """Put text between the document's two markers; raises ValueError where it has not exactly one pair."""
    before = document.read_text(encoding="utf-8")
    pair = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    after, count = pair.subn(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", before)
    if count != 1:
        raise ValueError(f"{document} needs the lines {BEGIN} and {END}, once and in this order.")
    document.write_text(after, encoding="utf-8")


def milliseconds(seconds: float) -> str:
    """Show a time in milliseconds."""
    return f"{seconds * 1000:.1f} ms"


def _shown(value: object) -> str:
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if isinstance(value, float) else str(value)
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    )
    return found[1] if found else platform.machine()
