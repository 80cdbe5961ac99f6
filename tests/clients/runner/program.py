"""Run a conformance program and show live what it says."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import IO, Final

from clients.runner.cases import Report

_LONGEST_LINE: Final = 1 << 20
# Build tools colour what they say even when nobody looks, and an empty line then is none.
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def run_program(language: str, command: Sequence[str | Path], seconds: float) -> Report:
    """Run a program to its end or to the time limit, and return what it reported.

    Its lines go to stdout and stderr, behind its language, as soon as they are there.
    """
    report = Report()
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, "PYTHON": sys.executable},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # What it starts, compilers too, is ended with it.
            start_new_session=True,
        )
    except OSError as error:
        report.problems.append(f"it can't be run: {error.strerror}: {command[0]}")
        return report
    last_words = [""]

    def take_case(line: str) -> None:
        case = report.read(line)
        if case is None:
            print(f"{language:<12}{report.problems[-1]}", flush=True)
        else:
            outcome = f"{case.checks:>4} checks" if case.passed else "FAILED     "
            print(f"{language:<12}{case.name:<14}{outcome}  {case.detail}".rstrip(), flush=True)

    def take_words(line: str) -> None:
        if line:
            last_words[0] = line
            print(f"{language:<12}{line}", file=sys.stderr, flush=True)

    with _reading(process.stdout, take_case), _reading(process.stderr, take_words):
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # What it has left behind would keep its output open, and its readers waiting.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code is None:
        report.give_up(seconds)
    else:
        report.end(code, last_words[0])
    return report


@contextlib.contextmanager
def _reading(stream: IO[bytes] | None, take: Callable[[str], None]) -> Iterator[None]:
    """Hand the lines of a stream to `take` while the block runs, and then to the stream's end."""
    assert stream is not None, "the process was started with pipes"

    def read() -> None:
        # A longer line comes in pieces.
        while line := stream.readline(_LONGEST_LINE):
            take(_COLOUR.sub("", line.decode(errors="backslashreplace")).rstrip())

    reader = Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        reader.join()
        stream.close()
