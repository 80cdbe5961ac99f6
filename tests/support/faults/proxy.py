"""A TCP proxy in front of a server that makes the network between behave badly."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_CHUNK: Final = 16 * 1024


@dataclass(frozen=True)
class Behaviour:
    """How the network behaves; as it stands it does what it should.

    Each chunk is held up for `delay` seconds, and for its length over `bytes_per_second`. Without `forwards`
    nothing passes, in either direction, until the behaviour changes. Without `accepts` a new connection is
    reset at once. Once `cut_after` bytes of answers have passed, their connection is reset.
    """

    delay: float = 0.0
    bytes_per_second: float | None = None
    forwards: bool = True
    accepts: bool = True
    cut_after: int | None = None


GOOD: Final = Behaviour()


class FaultProxy:
    """A proxy on a free loopback port; its connections go to one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._behaviour = GOOD
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0

    @property
    def behaviour(self) -> Behaviour:
        """How the network behaves now."""
        return self._behaviour

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on, on every connection."""
        self._behaviour = behaviour
        self._changed.set()
        self._changed = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until the behaviour changes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def allowed(self) -> None:
        """Wait until bytes may pass."""
        while not self._behaviour.forwards:
            await self._changed.wait()

    def reset(self) -> None:
        """Reset every connection on both sides."""
        for link in list(self._links):
            link.abort()

    def half_open(self) -> None:
        """Lose the far side of every connection: the near side is told nothing, and its bytes go nowhere."""
        for link in list(self._links):
            link.lose_upstream()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        self.accepted += 1
        if not self._behaviour.accepts:
            _abort(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.allowed()
            upstream_reader, upstream = await asyncio.open_connection(*self._upstream)
        except OSError:
            _abort(writer)
            self._tasks.discard(task)
            return
        link = _Link(self, reader, writer, upstream_reader, upstream)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            self._tasks.discard(task)

    async def aclose(self) -> None:
        """End every connection."""
        self.behave(GOOD)
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Link:
    """One connection on either side of the proxy."""

    def __init__(
        self,
        proxy: FaultProxy,
        near_reader: asyncio.StreamReader,
        near: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._near_reader, self._near = near_reader, near
        self._far_reader, self._far = far_reader, far
        self._lost = False
        self._answered = 0

    async def run(self) -> None:
        """Carry bytes both ways until one side ends."""
        carriers = {
            asyncio.create_task(self._carry(self._near_reader, self._far, answers=False)),
            asyncio.create_task(self._carry(self._far_reader, self._near, answers=True)),
        }
        try:
            await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
            if self._lost:
                # Only the near side can end what is half open.
                await asyncio.wait(carriers)
        finally:
            for carrier in carriers:
                carrier.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)
            self.abort()

    def abort(self) -> None:
        """Reset both sides."""
        _abort(self._near)
        _abort(self._far)

    def lose_upstream(self) -> None:
        """End the far side, and let the near side believe that it is there."""
        self._lost = True
        _abort(self._far)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._lost:
                    continue
                await self._hold_up(len(data))
                if answers and self._is_cut(len(data)):
                    self.abort()
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            # The end of one side ends the other.
            return

    async def _hold_up(self, count: int) -> None:
        await self._proxy.allowed()
        behaviour = self._proxy.behaviour
        rate = behaviour.bytes_per_second
        seconds = behaviour.delay + (count / rate if rate else 0)
        if seconds:
            await self._proxy.pause(seconds)

    def _is_cut(self, count: int) -> bool:
        limit = self._proxy.behaviour.cut_after
        if limit is None:
            self._answered = 0
            return False
        self._answered += count
        return self._answered > limit


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[FaultProxy, str]]:
    """Put a proxy in front of a database, and give it with the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = FaultProxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    credentials, at, _ = parts.netloc.rpartition("@")
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{port}"))
    finally:
        server.close()
        await proxy.aclose()
        await server.wait_closed()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side gets a reset."""
    handle = writer.get_extra_info("socket")
    if handle is not None and not writer.transport.is_closing():
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
