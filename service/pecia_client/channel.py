"""Say how channels to a Pecia server are set up."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from pecia_client.retry import DEFAULT_RETRY, RetryPolicy

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 10.0

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# gRPC servers drop clients that ping more often than every five minutes unless told otherwise.
_KEEPALIVE_TIME_MS = 330_000
_KEEPALIVE_TIMEOUT_MS = 20_000
_LOOPBACK = ("127.0.0.1:", "localhost:", "[::1]:", "unix:")

_ADDRESS = re.compile(r"(?P<host>[^\s:/\[\]@]+|\[(?P<ipv6>[0-9A-Fa-f:.]+)\]):(?P<port>[0-9]{1,5})", re.ASCII)
_MAX_PORT = 65_535

ChannelOptions = Sequence[tuple[str, str | int]]


def check_target(target: str) -> str:
    """Return `target` if it is HOST:PORT, also behind `dns:///`, or `unix:PATH`; IPv6 goes in brackets.

    Raises:
        ValueError: It is anything else; gRPC would take it for a name, and only say later that it finds none.

    """
    if target.startswith(("unix:", "unix-abstract:")) and not target.endswith(":"):
        return target
    match = _ADDRESS.fullmatch(target.removeprefix("dns:///"))
    if match is None or not 1 <= int(match["port"]) <= _MAX_PORT or not _may_be_ipv6(match["ipv6"]):
        raise ValueError(f"target must be HOST:PORT such as {DEFAULT_TARGET}")
    return target


def _may_be_ipv6(address: str | None) -> bool:
    try:
        if address is not None:
            ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def channel_options(
    target: str, overrides: ChannelOptions = (), retry: RetryPolicy | None = DEFAULT_RETRY
) -> list[tuple[str, str | int]]:
    """Give the options of a channel to `target`; an override replaces the option of the same name."""
    options: dict[str, str | int] = {
        "grpc.max_receive_message_length": _MAX_MESSAGE_BYTES,
        "grpc.max_send_message_length": _MAX_MESSAGE_BYTES,
        "grpc.keepalive_time_ms": _KEEPALIVE_TIME_MS,
        "grpc.keepalive_timeout_ms": _KEEPALIVE_TIMEOUT_MS,
    }
    if retry is not None:
        options["grpc.service_config"] = retry.service_config()
    if target.startswith(_LOOPBACK):
        # A proxy named in the environment cannot reach this machine's own loopback.
        options["grpc.enable_http_proxy"] = 0
    return list((options | dict(overrides)).items())
