"""`pecia serve --workers N` as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from support.checkout import PYTHONPATH

SECONDS = 60.0


@dataclass
class Supervised:
    """A supervisor's process, what it and its workers have logged so far, and where they serve."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    target: str = ""

    async def logged(self, event: str, **fields: Any) -> dict[str, Any]:
        """Read on in the log until there is a line of an event with these fields."""
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS):
            while line := await self.process.stderr.readline():
                self.lines.append(json.loads(line))
                if {"event": event, **fields}.items() <= self.lines[-1].items():
                    return self.lines[-1]
        raise AssertionError(f"the log has ended without {event}")

    def pids(self) -> list[int]:
        """Return the process id with which each worker began to serve last, in their order."""
        found = {
            int(line["worker"]): int(line["pid"]) for line in self.lines if line["event"] == "worker serves"
        }
        return [found[index] for index in sorted(found)]

    async def rest(self) -> int | None:
        """Read the log until all processes have ended; return the exit code of the service."""
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS):
            self.lines += [json.loads(line) async for line in self.process.stderr]
            return await self.process.wait()


async def start_service(*arguments: str) -> asyncio.subprocess.Process:
    """Start `pecia serve` with flags."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pecia_service.cli.main", "serve", *arguments),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def supervised(
    database_url: str, *arguments: str, workers: int = 2, listen: str = "127.0.0.1:0"
) -> AsyncIterator[Supervised]:
    """Run a service until all of its workers serve, and end it if the test did not."""
    process = await start_service(
        *("--listen", listen, "--database-url", database_url, "--workers", str(workers), *arguments)
    )
    service = Supervised(process)
    try:
        ready = await service.logged("all workers serve", workers=workers)
        service.target = ready["listen"]
        yield service
    finally:
        await end(process, service.pids())


async def refused(*arguments: str) -> tuple[int | None, str]:
    """Start `pecia serve` where it can't serve; return its exit code and what it says."""
    process = await start_service(*arguments)
    try:
        _, errors = await asyncio.wait_for(process.communicate(), SECONDS)
        return process.returncode, errors.decode()
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process, workers: Iterable[int] = ()) -> None:
    """Kill a service with its workers, also those that it has left behind; nothing if all have ended."""
    alive = psutil.Process(process.pid).children() if process.returncode is None else []
    if process.returncode is None:
        process.kill()
    for pid in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            alive.append(psutil.Process(pid))
    for one in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            # The number may be another process's by now.
            if "--worker" in one.cmdline():
                one.kill()
    await process.communicate()
