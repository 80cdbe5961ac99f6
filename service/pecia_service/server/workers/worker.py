"""One worker as its supervisor sees it: a process, what it reports, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from pecia_service.server.workers.link import Report


class Worker:
    """A process that was started as a worker; `report` is what it said when it began to serve, else None."""

    def __init__(
        self,
        index: int,
        process: asyncio.subprocess.Process,
        link: asyncio.StreamReader,
        closing: asyncio.StreamWriter,
        clock: Callable[[], float],
    ) -> None:
        self.index = index
        self.pid = process.pid
        self.report: Report | None = None
        self._process = process
        self._link = link
        self._closing = closing
        self._clock = clock
        self._serving_since: float | None = None

    @classmethod
    async def start(
        cls,
        index: int,
        command: Callable[[int, int], Sequence[str]],
        environment: Mapping[str, str],
        clock: Callable[[], float],
    ) -> Self:
        """Start a process by the command for its number and its end of the link; `clock` is in seconds.

        Raises OSError where the system has no room for another.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command(index, theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                )
            except BaseException:
                ours.close()
                raise
        link, closing = await asyncio.open_connection(sock=ours)
        return cls(index, process, link, closing, clock)

    async def serving(self) -> bool:
        """Wait until the worker serves; False if it has ended before."""
        # A worker that is killed can leave the line unread, and so reset the connection.
        with contextlib.suppress(ConnectionError):
            line = await self._link.readline()
            if line.endswith(b"\n"):
                self.report = Report.decode(line)
                self._serving_since = self._clock()
        return self.report is not None

    async def ended(self) -> int:
        """Wait for the end, and return the exit code: that of a signal is its negative number."""
        code = await self._process.wait()
        self._closing.close()
        return code

    @property
    def served(self) -> float:
        """Seconds since the worker began to serve; 0 if it has not."""
        return 0.0 if self._serving_since is None else self._clock() - self._serving_since

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def describe(code: int) -> dict[str, object]:
    """Say for a log how a process ended: its exit code, or the signal's name."""
    if code >= 0:
        return {"exit_code": code}
    try:
        return {"signal": signal.Signals(-code).name}
    except ValueError:
        return {"signal": -code}
