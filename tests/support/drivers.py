"""Both clients behind one interface, so that one test drives either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from pecia_client import AsyncClient, Client


class Driver(Protocol):
    """Calls a client's methods by name, so that one test drives both clients."""

    async def call(self, method: str, *args: object, **kwargs: object) -> object:
        """Await a single call."""

    async def collect(self, method: str, *args: object, **kwargs: object) -> list[object]:
        """Exhaust a stream or a list."""

    async def first(self, method: str, *args: object, **kwargs: object) -> object:
        """Take one item of a stream and give the stream up."""

    async def close(self) -> None:
        """Close the client."""


class AsyncDriver:
    """Drives AsyncClient."""

    def __init__(self, target: str, **kwargs: object) -> None:
        self._client = AsyncClient(target, **kwargs)  # type: ignore[arg-type]  # passed on as the test gave it

    async def call(self, method: str, *args: object, **kwargs: object) -> object:
        """Await a single call."""
        return await getattr(self._client, method)(*args, **kwargs)

    async def collect(self, method: str, *args: object, **kwargs: object) -> list[object]:
        """Exhaust a stream or a list."""
        return [item async for item in getattr(self._client, method)(*args, **kwargs)]

    async def first(self, method: str, *args: object, **kwargs: object) -> object:
        """Take one item of a stream and give the stream up."""
        stream = getattr(self._client, method)(*args, **kwargs)
        item = await anext(stream)
        await stream.aclose()
        return item

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()


class BlockingDriver:
    """Drives Client in threads, while the peer runs on the loop."""

    def __init__(self, target: str, **kwargs: object) -> None:
        self._client = Client(target, **kwargs)  # type: ignore[arg-type]  # passed on as the test gave it

    async def call(self, method: str, *args: object, **kwargs: object) -> object:
        """Await a single call."""
        return await asyncio.to_thread(getattr(self._client, method), *args, **kwargs)

    async def collect(self, method: str, *args: object, **kwargs: object) -> list[object]:
        """Exhaust a stream or a list."""
        return await asyncio.to_thread(lambda: list(getattr(self._client, method)(*args, **kwargs)))

    async def first(self, method: str, *args: object, **kwargs: object) -> object:
        """Take one item of a stream and give the stream up."""

        def take() -> object:
            stream = getattr(self._client, method)(*args, **kwargs)
            item = next(stream)
            stream.close()
            return item

        return await asyncio.to_thread(take)

    async def close(self) -> None:
        """Close the client."""
        self._client.close()


Connect = Callable[..., Driver]
