"""What a worker and its supervisor say to each other: one socket, whose end is the supervisor's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
from dataclasses import asdict, dataclass
from typing import Final, Self

_FORM: Final = re.compile(r"([0-9]{1,4}):([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says when it serves: HOST:PORT of its own page of metrics, None if it has none."""

    metrics: str | None = None

    def encode(self) -> bytes:
        """Return the report as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Read a line that `encode` made."""
        return cls(**json.loads(line))


class SupervisorLink:
    """A worker's end: it says that the worker serves, and learns of the supervisor's death."""

    def __init__(self, index: int, end: socket.socket) -> None:
        self.index = index
        self._end = end

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take what the supervisor passed on: the worker's number and a file descriptor, as NUMBER:FD.

        Raises ValueError if there is no such socket.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError("is for the supervisor's use only")
        try:
            end = socket.socket(fileno=int(match[2]))
        except OSError:
            raise ValueError("is for the supervisor's use only") from None
        end.set_inheritable(False)
        end.setblocking(False)
        return cls(int(match[1]), end)

    def watch(self) -> None:
        """Stop this process gracefully, as SIGTERM does, when its supervisor dies; needs a running loop."""
        asyncio.get_running_loop().add_reader(self._end, self._ended)

    def report(self, report: Report) -> None:
        """Tell the supervisor that this process serves."""
        # Of a supervisor that is dead `watch` tells.
        with contextlib.suppress(BrokenPipeError):
            self._end.sendall(report.encode())

    def _ended(self) -> None:
        # The supervisor never writes: what can be read is the end.
        asyncio.get_running_loop().remove_reader(self._end)
        signal.raise_signal(signal.SIGTERM)
