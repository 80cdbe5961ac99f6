"""Laps of one caller in a process of its own, asked for on standard input; needs nothing but Python.

The programs beside it run in environments of their own, which have none of the bench's packages.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def job() -> dict[str, Any]:
    """Return what to render: the JSON in the file that is named on the command line.

    It has the server's `url`, the four `parts` with `{{name}}` for each value, their `roles`, the
    `separator`, and `values` and `payloads` of many renders.
    """
    loaded: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return loaded


def serve(renders: dict[str, Callable[[int], str]], count: int) -> None:
    """Say the hashes of the prompts of each way to render, and then run the laps that are asked for.

    A line `NAME SECONDS` is answered by how many were rendered, in how many seconds, and in how much
    processor time.
    """
    hashes = {
        name: [hashlib.sha256(render(number).encode()).hexdigest() for number in range(count)]
        for name, render in renders.items()
    }
    print(json.dumps(hashes), flush=True)
    for line in sys.stdin:
        name, _, seconds = line.rpartition(" ")
        render = renders[name]
        done = 0
        begun, cpu = time.perf_counter(), time.process_time()
        until = begun + float(seconds)
        while time.perf_counter() < until:
            render(done % count)
            done += 1
        print(json.dumps([done, time.perf_counter() - begun, time.process_time() - cpu]), flush=True)
