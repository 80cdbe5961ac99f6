"""A server of one's own on a free loopback port: a real `pecia serve`, or the floor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from load.prepare import LoadError

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
_LAST_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Served:
    """A server's address and its process; its workers are that process's children."""

    target: str
    pid: int
    folder: Path


@asynccontextmanager
async def serving(settings: Mapping[str, str] | None = None) -> AsyncIterator[Served]:
    """Run `pecia serve` with settings as text, by their names without PECIA_.

    Without a `database_url` it is an empty SQLite file in a folder that is gone afterwards; settings in the
    environment are left out. Raises LoadError when the server does not start.
    """
    chosen = dict(settings or {})
    with TemporaryDirectory(prefix="pecia-load-") as name:
        folder = Path(name)
        settled = {
            "listen": "127.0.0.1:0",
            "database_url": f"sqlite:///{folder / 'pecia.db'}",
            "audit_spool_dir": str(folder / "spool"),
            "log_format": "json",
            **chosen,
        }
        several = int(settled.get("workers", "1")) > 1
        command = (sys.executable, "-m", "pecia_service.cli.main", "serve")
        ready = "all workers serve" if several else "serving"
        async with _process(command, settled, ready) as (process, said):
            yield Served(said["listen"], process.pid, folder)


@asynccontextmanager
async def echoing(settings: Mapping[str, str] | None = None) -> AsyncIterator[Served]:
    """Run a gRPC server that only echoes, on the options that these settings give a Pecia server."""
    with TemporaryDirectory(prefix="pecia-load-") as name:
        command = (sys.executable, "-m", "load.floor")
        settled = {"listen": "127.0.0.1:0", **(settings or {})}
        async with _process(command, settled, "serving") as (process, said):
            yield Served(said["listen"], process.pid, Path(name))


@asynccontextmanager
async def _process(
    command: Sequence[str], settings: Mapping[str, str], ready: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """Run a server until it says that it is ready; read its log all the while, and stop it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PECIA_")}
    process = await asyncio.create_subprocess_exec(
        *command,
        env={
            **environment,
            **{f"PECIA_{name.upper()}": value for name, value in settings.items()},
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    reading = None
    try:
        said = await _until(process.stderr, ready)
        reading = asyncio.create_task(_drop(process.stderr))
        yield process, said
    finally:
        await _stop(process)
        if reading is not None:
            await reading


async def _until(log: asyncio.StreamReader, event: str) -> dict[str, Any]:
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_SECONDS):
            while line := await log.readline():
                last.append(line.decode(errors="replace").rstrip())
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                if isinstance(said, dict) and said.get("event") == event:
                    return said
    raise LoadError("\n".join(["the server did not start; it said:", *last]))


async def _drop(log: asyncio.StreamReader) -> None:
    """Read on, so that the server never waits for a reader."""
    while await log.read(65_536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
