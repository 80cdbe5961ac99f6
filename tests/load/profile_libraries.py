"""Say in which libraries a server spends its processor time, and how often its threads switch.

Linux's perf takes samples of a server while it is called, and names the library that each sample was in.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from load.bench.bench import Lap

NAMES: Final = (
    "Linux: sockets, files, switches between threads",
    "Python's interpreter",
    "gRPC's core",
    "libc: memory",
    "The event loop",
    "protobuf",
    "SQLite",
    "Others: OpenSSL, orjson, CRC-32C, …",
)
"""What libraries are summed up as, in the table's order; the last one is all that the others are not."""

# What a library's file begins with, and the number of its name. A build has its interpreter in the program.
_BEGINNINGS: Final = (
    ("[kernel", 0),
    ("libpython", 1),
    ("python3", 1),
    ("cygrpc", 2),
    ("libstdc++", 2),
    ("libc.", 3),
    ("libc-", 3),
    ("ld-linux", 3),
    ("[vdso]", 3),
    ("loop.", 4),
    ("_asyncio", 4),
    ("_message", 5),
    ("libsqlite3", 6),
    ("_sqlite3", 6),
)
_HERTZ: Final = 499
# Sampling begins after the lap has, and ends before it does.
_MARGIN_SECONDS: Final = 0.5
_SWITCHES: Final = ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")


class NoPerfError(Exception):
    """Samples can't be taken here; the message says why."""


@dataclass(frozen=True)
class Spent:
    """What a call costs: microseconds of processor time by libraries, and switches between threads."""

    microseconds: Mapping[str, float]
    switches: float


def measure(lap: Lap, seconds: float) -> Spent:
    """Run a lap of so many seconds, and another while samples are taken; raises NoPerfError.

    Taking samples costs a lot by itself: they only say how what the first lap took is to be shared out.
    """
    perf = shutil.which("perf")
    if perf is None:
        raise NoPerfError("perf is not installed")
    (process,) = lap.server.processes
    lap.seconds = seconds
    before = _switches(process)
    sample = lap()
    switched = _switches(process) - before
    with TemporaryDirectory(prefix="pecia-profile-") as folder:
        file = f"{folder}/samples"
        lap.seconds = seconds + 2 * _MARGIN_SECONDS
        command = [
            *(perf, "record", "--quiet", "--event=cpu-clock", f"--freq={_HERTZ}"),
            *(f"--delay={_MARGIN_SECONDS * 1000:.0f}", f"--output={file}", f"--pid={process}"),
            *("--", "sleep", str(seconds + _MARGIN_SECONDS)),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as recording:
            lap()
            _, errors = recording.communicate()
        if recording.returncode:
            raise NoPerfError(f"perf can't take samples here: {errors.strip().partition(chr(10))[0]}")
        report = subprocess.run(
            [perf, "report", f"--input={file}", "--sort=dso", "--field-separator=;", "--stdio", "--quiet"],
            capture_output=True,
            text=True,
            check=True,
        )
    each = 1e6 / sample.rate
    shares = shares_of(report.stdout.splitlines())
    return Spent({name: each * shares[name] for name in NAMES}, switched / sample.count)


def shares_of(lines: Iterable[str]) -> dict[str, float]:
    """Sum up what perf reports of each library, such as `31.76%;libc.so.6`, by NAMES; shares of 1."""
    shares = dict.fromkeys(NAMES, 0.0)
    for line in lines:
        share, separator, library = line.strip().partition(";")
        if separator:
            shares[_name_of(library.strip())] += float(share.strip().rstrip("%")) / 100
    return shares


def _name_of(library: str) -> str:
    found = (number for beginning, number in _BEGINNINGS if library.startswith(beginning))
    return NAMES[next(found, len(NAMES) - 1)]


def _switches(process: int) -> int:
    """Return how often the threads of a process have given a processor away, by themselves or not."""
    return sum(
        int(value)
        for status in Path(f"/proc/{process}/task").glob("*/status")
        for name, _, value in (line.partition(":") for line in _lines(status))
        if name in _SWITCHES
    )


def _lines(status: Path) -> list[str]:
    """Return the lines of a thread's status, none of one that has just ended."""
    try:
        return status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def table(spent: Mapping[str, Spent]) -> str:
    """Write what each kind of call costs as a Markdown table: microseconds, and switches in the last row."""

    columns = spent.values()
    rows = [["µs for each", *spent], ["---", *("---:" for _ in spent)]]
    rows += [[name, *(f"{each.microseconds[name]:.1f}" for each in columns)] for name in NAMES]
    rows.append(["**All**", *(f"**{sum(each.microseconds.values()):.1f}**" for each in columns)])
    rows.append(["Switches of threads", *(f"{each.switches:.1f}" for each in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
