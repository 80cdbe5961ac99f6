"""The client for programs that do without asyncio."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc

from pecia_client.admin import AdminCalls
from pecia_client.calls import Calls
from pecia_client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT,
    ChannelOptions,
    channel_options,
    check_target,
)
from pecia_client.prompts import PromptCalls
from pecia_client.registry import RegistryCalls
from pecia_client.requests import random_request_id
from pecia_client.retry import DEFAULT_RETRY, RetryPolicy
from pecia_client.security import Security


class Client(RegistryCalls, PromptCalls, AdminCalls):
    """Talk to a Pecia server with blocking calls; make one client and share it between threads.

    All its calls go over one connection, which is made anew when it breaks. A call that finds the server
    unavailable is made again (see `RetryPolicy`). Close the client, or use it in `with`.

    Attributes:
        channel: The gRPC channel, for what is beyond Pecia's contract, such as health checks.

    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        tls: bool = False,
        ca: bytes | None = None,
        client_certificate: bytes | None = None,
        client_key: bytes | None = None,
        api_key: str | None = None,
        retry: RetryPolicy | None = DEFAULT_RETRY,
        options: ChannelOptions = (),
        new_request_id: Callable[[], str] = random_request_id,
    ) -> None:
        """Open a channel; it connects with the first call.

        Args:
            target: HOST:PORT, with an IPv6 address in brackets, or unix:PATH.
            timeout: Seconds that a call may take with its retries, unless it says otherwise; None means
                for ever. Streams have a deadline only when a call gives one.
            tls: Whether to speak TLS; implied by `ca` and `client_certificate`.
            ca: The authorities that may vouch for the server (PEM); None means those that gRPC knows.
            client_certificate: The client's certificate chain (PEM), where the server knows callers by it.
            client_key: The key of that certificate (PEM).
            api_key: Sent with each call, also without TLS: keep such connections to this machine, or within
                a mesh that encrypts.
            retry: When a call that failed is made again; None means never, but for one that gRPC knows not to
                have reached a server.
            options: gRPC channel options that are added to or replace the client's own.
            new_request_id: Makes the UUID under which a label mutation is safe to retry.

        Raises:
            ValueError: The target or the API key is of another form, or one of a certificate and its key is
                missing.

        """
        security = Security(tls, ca, client_certificate, client_key, api_key)
        credentials = security.channel_credentials()
        arguments = channel_options(check_target(target), options, retry)
        self.channel = (
            grpc.insecure_channel(target, options=arguments)
            if credentials is None
            else grpc.secure_channel(target, credentials, options=arguments)
        )
        calls = Calls(timeout, security.metadata())
        RegistryCalls.__init__(self, self.channel, calls, new_request_id)
        PromptCalls.__init__(self, self.channel, calls)
        AdminCalls.__init__(self, self.channel, calls)

    def close(self) -> None:
        """Close the channel; calls that still run are cancelled."""
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
