"""The servers that are measured, each a process of its own: `pecia serve`, and the floor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from load.bench.processors import cpu_seconds, family, within
from support.checkout import GENERATED, ROOT, SERVICE

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_SERVES: Final = "serving"
_ALL_SERVE: Final = "all workers serve"

PATIENCE: Final = {"keepalive_seconds": "86400", "keepalive_timeout": "3600"}
"""The callers of a lap answer no ping until it is their turn again, and are not to be given up meanwhile.

gRPC also sends one by itself after it has received much.
"""


class ServerFailedError(Exception):
    """A server ended, or said nothing, before it served."""


@dataclass(frozen=True)
class Server:
    """A server that answers on `target`, and the processes that it is made of."""

    target: str
    processes: Sequence[int]

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used so far, in seconds."""
        return cpu_seconds(self.processes)


@contextmanager
def pecia(database_url: str, processors: set[int], **settings: object) -> Iterator[Server]:
    """Run `pecia serve` on a free port, with these settings and otherwise the defaults.

    Its processes use these processors only, if any are given.
    """
    with TemporaryDirectory(prefix="pecia-bench-serve-") as folder:
        given = {"listen": "127.0.0.1:0", "database_url": database_url, "log_format": "json"}
        flags = {**given, "audit_spool_dir": f"{folder}/spool", **PATIENCE, **settings}
        command = [sys.executable, "-m", "pecia_service.cli.main", "serve"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        awaited = _SERVES if settings.get("workers", 1) == 1 else _ALL_SERVE
        log = Path(folder) / "log"
        with _running(command, processors, log) as process:
            entry = json.loads(_await_line(process, log, f'"event":"{awaited}"'))
            yield Server(str(entry["listen"]), family(process.pid))


@contextmanager
def echo(answer: bytes, kind: str, processors: set[int]) -> Iterator[Server]:
    """Run the floor, or a step above it (see `load.bench.echo`), which answers these bytes."""
    with TemporaryDirectory(prefix="pecia-bench-echo-") as folder:
        file, log = Path(folder) / "answer", Path(folder) / "log"
        file.write_bytes(answer)
        with _running([sys.executable, "-m", "load.bench.echo", str(file), kind], processors, log) as process:
            yield Server(_await_line(process, log, "127.0.0.1:"), [process.pid])


@contextmanager
def _running(command: Sequence[str], processors: set[int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that says what it has to say in a file, and stop it with all that it started."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PECIA_", "COVERAGE"))
    }
    path = os.pathsep.join(map(str, (GENERATED, SERVICE, ROOT / "tests")))
    with log.open("wb") as output, within(processors):
        process = subprocess.Popen(
            command,
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_line(process: subprocess.Popen[bytes], log: Path, part: str) -> str:
    """Wait for a whole line that has this part; raises ServerFailedError when none comes."""
    until = time.monotonic() + _START_SECONDS
    while True:
        ended = process.poll() is not None or time.monotonic() > until
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        for line in lines:
            if part in line.replace('": "', '":"') and line.endswith("\n"):
                return line.strip()
        if ended:
            raise ServerFailedError(f"a server did not start:\n{''.join(lines[-5:])}")
        time.sleep(_POLL_SECONDS)
