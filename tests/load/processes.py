"""The generator processes of a run, as the one that gives the orders sees them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from load.generator import Orders
from load.plan import Connection, Plan
from load.prepare import LoadError

_LINE_BYTES: Final = 4 * 1024 * 1024
_READY_SECONDS: Final = 60.0
_END_SECONDS: Final = 5.0


class GeneratorProcess:
    """A process that makes its share of the calls."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    def say(self, line: str) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())

    async def heard(self) -> dict[str, Any]:
        """Return the next thing it says; raises LoadError when it can't go on."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            code = await self._process.wait()
            raise LoadError(f"a generator process has ended with exit code {code}; its errors are above")
        said: dict[str, Any] = json.loads(line)
        if said["event"] == "failed":
            raise LoadError(said["reason"])
        return said

    async def ready(self) -> None:
        """Wait until it has its connections; raises LoadError when it gets none."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self.heard()
        except TimeoutError:
            raise LoadError(f"a generator process was not ready in {_READY_SECONDS:g} seconds") from None

    async def end(self) -> None:
        """Let it end; it is killed if it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        # Reads what is left, without which the pipes stay open.
        await self._process.communicate()


@asynccontextmanager
async def generators(
    plan: Plan, connection: Connection, recorded: Sequence[str]
) -> AsyncIterator[list[GeneratorProcess]]:
    """Start the processes of a plan and wait until all have their connections; raises LoadError."""
    started: list[GeneratorProcess] = []
    try:
        for share in range(plan.processes):
            process = GeneratorProcess(await _start())
            started.append(process)
            process.say(Orders(plan, connection, share, recorded).text())
        await asyncio.gather(*(process.ready() for process in started))
        yield started
        await asyncio.gather(*(process.end() for process in started))
    finally:
        await asyncio.gather(*(process.kill() for process in started))


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "load.generator"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        # Ctrl-C is for the process that gives the orders; it ends the others.
        start_new_session=True,
    )
