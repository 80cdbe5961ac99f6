"""`pecia serve` as a process of its own that a test can kill, stop, and read the log of."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from grpc import aio
from pecia.v1 import prompt_service_pb2_grpc, registry_service_pb2_grpc
from support.checkout import GENERATED, PYTHONPATH, SERVICE
from support.faults.scale import mode

SECONDS = 60.0
_SERVES = "serving"
_ALL_SERVE = "all workers serve"
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass
class Served:
    """A server's process, and what it has logged so far."""

    process: asyncio.subprocess.Process
    log: list[dict[str, Any]] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False
    _reader: asyncio.Task[None] | None = None

    @property
    def target(self) -> str:
        """Where it listens."""
        listen: str = (self.events(_ALL_SERVE) or self.events(_SERVES))[0]["listen"]
        return listen

    @property
    def workers(self) -> list[int]:
        """The process id with which each worker began to serve last, in their order."""
        found = {int(entry["worker"]): int(entry["pid"]) for entry in self.events("worker serves")}
        return [found[index] for index in sorted(found)]

    @property
    def resident(self) -> int:
        """Bytes of memory in use by the process and those that it started."""
        main = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in (main, *main.children(recursive=True)))

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self.process.returncode is None

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines that it logged under this name so far."""
        return [entry for entry in self.log if entry["event"] == name]

    async def logged(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged so many lines under this name."""
        async with asyncio.timeout(SECONDS):
            while len(self.events(name)) < count:
                assert not self._closed, f"it ended without logging {name!r}: {self.log} {self.stray}"
                self._more.clear()
                await self._more.wait()
        return self.events(name)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()

    def terminate(self) -> None:
        """Tell it to stop."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, seconds: float = SECONDS) -> int:
        """Wait for its end and the end of its log, and return its exit code."""
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            if self._reader is not None:
                await self._reader
        return code

    async def stopped(self, seconds: float = SECONDS) -> dict[str, Any]:
        """Tell it to stop, wait for its end with code 0, and return the line in which it says so."""
        self.terminate()
        code = await self.ended(seconds)
        # A call that its client gave up may be logged after it.
        lines = self.events("stopped")
        assert (0, True) == (code, bool(lines)), (self.log[-5:], self.stray)
        return lines[-1]

    def read_log(self) -> None:
        """Read its log from now on."""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.stray.append(line.decode(errors="replace"))
            self._more.set()
        self._closed = True
        self._more.set()


@asynccontextmanager
async def serving(
    database_url: str, *, within: Sequence[str] = (), flat: bool = False, **settings: object
) -> AsyncIterator[Served]:
    """Run a server on a free port with these settings, and kill it if the test did not end it.

    `within` is a command that runs the one that follows it, and becomes it. Where the memory is to stay
    `flat`, and in the large forms, nobody watches what it says: the watch remembers every prompt.
    """
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    watched = mode() == "short" and not flat
    # Counting lines would change what is measured here, and a killed process could not tell its count.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    process = await asyncio.create_subprocess_exec(
        *(*within, sys.executable, "-m", "pecia_service.cli.main", "serve"),
        *("--listen=127.0.0.1:0", f"--database-url={database_url}", "--log-format=json", *flags),
        env={**environment, "PYTHONPATH": PYTHONPATH if watched else f"{GENERATED}{os.pathsep}{SERVICE}"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    served = Served(process)
    served.read_log()
    try:
        await served.logged(_ALL_SERVE if settings.get("workers", 1) != 1 else _SERVES)
        yield served
    finally:
        if served.alive:
            # A supervisor that is killed would leave its workers to end by themselves.
            for child in psutil.Process(process.pid).children():
                child.kill()
            process.kill()
        await served.ended()


@dataclass(frozen=True)
class Client:
    """A connection of its own to a server, with a stub for each service."""

    channel: aio.Channel
    prompts: prompt_service_pb2_grpc.PromptServiceAsyncStub
    registry: registry_service_pb2_grpc.RegistryServiceAsyncStub


@asynccontextmanager
async def connected(target: str) -> AsyncIterator[Client]:
    """Connect to a server; no other client shares the connection."""
    async with aio.insecure_channel(target, _CHANNEL_OPTIONS) as channel:
        yield Client(
            channel,
            prompt_service_pb2_grpc.PromptServiceStub(channel),
            registry_service_pb2_grpc.RegistryServiceStub(channel),
        )
