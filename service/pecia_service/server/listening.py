"""Whether an address can be listened on, asked before gRPC is, which would write to stderr by itself."""

from __future__ import annotations

import asyncio
import errno
import socket


class ListenError(RuntimeError):
    """The server can't listen where it should; the message says why."""


def listen_error(
    listen: str,
    reason: str = "the port is taken, or the address is not here",
    *,
    flag: str = "--listen",
) -> ListenError:
    """Make the error for an address, given as HOST:PORT, that was chosen with a flag."""
    return ListenError(f"can't listen on {listen}: {reason}; choose another with {flag}")


async def check_listen(listen: str) -> None:
    """Raise ListenError unless HOST:PORT can be bound now: all its addresses that this machine has."""
    host, _, port = listen.rpartition(":")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise listen_error(listen, error.strerror or str(error)) from None
    bound = 0
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As gRPC does: what is left of connections to an earlier server is no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise listen_error(listen, bind_failure(error)) from None
        else:
            bound += 1
    if not bound:
        raise listen_error(listen, "the address is not this machine's")


def bind_failure(error: OSError) -> str:
    """Say why an address could not be bound."""
    if error.errno == errno.EADDRINUSE:
        return "the port is taken"
    return error.strerror or type(error).__name__
