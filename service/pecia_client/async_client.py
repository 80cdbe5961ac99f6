"""The client for programs that run on asyncio."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from grpc import aio

from pecia_client.async_calls import AsyncCalls
from pecia_client.async_prompts import AsyncPromptCalls
from pecia_client.async_registry import AsyncRegistryCalls
from pecia_client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT,
    ChannelOptions,
    channel_options,
    check_target,
)
from pecia_client.requests import random_request_id


class AsyncClient(AsyncRegistryCalls, AsyncPromptCalls):
    """Talk to a Pecia server from asyncio; make one client and share it between tasks.

    A call that finds the server unavailable is tried up to four times. Make the client inside a running
    event loop, and close it or use it in `async with`.

    Attributes:
        channel: The gRPC channel, for what is beyond Pecia's contract, such as health checks.

    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        options: ChannelOptions = (),
        new_request_id: Callable[[], str] = random_request_id,
    ) -> None:
        """Open a channel; it connects with the first call.

        Args:
            target: HOST:PORT, with an IPv6 address in brackets, or unix:PATH.
            timeout: Seconds that a call may take with its retries, unless it says otherwise; None means
                for ever. Streams have a deadline only when a call gives one.
            options: gRPC channel options that are added to or replace the client's own.
            new_request_id: Makes the UUID under which a label mutation is safe to retry.

        Raises:
            ValueError: The target is of another form.

        """
        self.channel = aio.insecure_channel(check_target(target), options=channel_options(target, options))
        calls = AsyncCalls(timeout)
        AsyncRegistryCalls.__init__(self, self.channel, calls, new_request_id)
        AsyncPromptCalls.__init__(self, self.channel, calls)

    async def close(self) -> None:
        """Close the channel; calls that still run are cancelled."""
        await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
