"""A real `pecia serve` with an empty store, for programs to talk to."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_SHOWN_LINES: Final = 10


class ServerError(Exception):
    """The server did not start, or did not stop as it should; the end of its log is in the message."""


@contextmanager
def serve() -> Iterator[str]:
    """Serve on a free port of the loopback with default limits, and give HOST:PORT.

    Raises `ServerError` when it does not start in time, ends by itself, or does not stop cleanly.
    """
    with tempfile.TemporaryDirectory(prefix="pecia-conformance-") as name:
        folder = Path(name)
        log = folder / "server.log"
        # Settings of the caller would change what the programs find.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PECIA_")}
        with log.open("wb") as log_file:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pecia_service.cli.main", "serve", "--listen=127.0.0.1:0"),
                    *(f"--database-url=sqlite:///{folder / 'pecia.db'}", "--log-format=json"),
                ],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log_file,
            )
        try:
            yield _wait_for_target(process, log)
            if process.poll() is not None:
                raise ServerError(f"the server ended by itself with {process.returncode}.{_tail(log)}")
            process.terminate()
            _wait_for_end(process, log)
        finally:
            process.kill()
            process.wait()


def _wait_for_target(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None:
        # The log is a file so that nothing has to read on while programs run.
        for line in log.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and (entry := _entry(line, log))["event"] == "serving":
                return str(entry["listen"])
        if time.monotonic() > until:
            raise ServerError(f"the server did not serve within {START_SECONDS:g} s.{_tail(log)}")
        time.sleep(_POLL_SECONDS)
    raise ServerError(f"the server ended with {process.returncode} before it served.{_tail(log)}")


def _entry(line: bytes, log: Path) -> dict[str, object]:
    try:
        entry: dict[str, object] = json.loads(line)
    except ValueError:
        raise ServerError(f"the server logged a line that is not JSON.{_tail(log)}") from None
    return entry


def _wait_for_end(process: subprocess.Popen[bytes], log: Path) -> None:
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise ServerError(f"the server did not stop within {STOP_SECONDS:g} s.{_tail(log)}") from None
    if code != 0:
        raise ServerError(f"the server ended with exit code {code} when it was to stop.{_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="backslashreplace").splitlines()[-_SHOWN_LINES:]
    return "".join(f"\n  {line}" for line in (["Its log ends:", *lines] if lines else []))
