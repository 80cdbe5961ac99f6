"""The servers that are measured, each a process of its own: `pecia serve`, and the floor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

from load.bench.processors import cpu_seconds, family, within
from support.checkout import GENERATED, ROOT, SERVICE

_STOP_SECONDS: Final = 30.0
_SERVES: Final = "serving"
_ALL_SERVE: Final = "all workers serve"


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
    with TemporaryDirectory(prefix="pecia-bench-spool-") as spool:
        given = {"listen": "127.0.0.1:0", "database_url": database_url, "log_format": "json"}
        flags = {**given, "audit_spool_dir": spool, **settings}
        command = [sys.executable, "-m", "pecia_service.cli.main", "serve"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        awaited = _SERVES if settings.get("workers", 1) == 1 else _ALL_SERVE
        with _running(command, processors, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            target = _listening(process.stderr, awaited)
            yield Server(target, family(process.pid))


@contextmanager
def echo(answer: bytes, kind: str, processors: set[int]) -> Iterator[Server]:
    """Run the floor, or a step above it (see `load.bench.echo`), which answers these bytes."""
    with TemporaryDirectory(prefix="pecia-bench-echo-") as folder:
        file = Path(folder) / "answer"
        file.write_bytes(answer)
        command = [sys.executable, "-m", "load.bench.echo", str(file), kind]
        with _running(command, processors, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise ServerFailedError("the echo server did not start")
            yield Server(f"127.0.0.1:{port}", [process.pid])


@contextmanager
def _running(
    command: Sequence[str],
    processors: set[int],
    *,
    stdout: int = subprocess.DEVNULL,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and stop it as a supervisor would: by SIGTERM, and by force when that does not help."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PECIA_", "COVERAGE"))
    }
    path = os.pathsep.join(map(str, (GENERATED, SERVICE, ROOT / "tests")))
    with within(processors):
        process = subprocess.Popen(
            command,
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listening(log: IO[str], awaited: str) -> str:
    """Read the log up to the line that says where the server listens, and have the rest read meanwhile."""
    last: deque[str] = deque(maxlen=5)
    for line in log:
        last.append(line)
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("event") == awaited:
            threading.Thread(target=deque, args=(log, 0), daemon=True).start()
            return str(entry["listen"])
    raise ServerFailedError(f"pecia serve ended before it served:\n{''.join(last)}")
