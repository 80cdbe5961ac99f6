"""Whether an address can be listened on, asked before gRPC is, which would write to stderr by itself."""

from __future__ import annotations

import errno
import socket
from typing import Final

from pecia_service.server.starting import StartError

ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""Errors of binding an address that this machine does not have."""


class ListenError(StartError):
    """The server can't listen where it should; the message says why."""


def listen_error(
    listen: str,
    reason: str = "the port is taken, or the address is not here",
    *,
    flag: str = "--listen",
) -> ListenError:
    """Make the error for an address, given as HOST:PORT, that was chosen with a flag or its variable."""
    variable = "PECIA" + flag.removeprefix("-").replace("-", "_").upper()
    return ListenError(f"can't listen on {listen}: {reason}; choose another with {flag} or {variable}")


def not_here(listen: str) -> ListenError:
    """Make the error for an address that is another machine's."""
    return listen_error(listen, "the address is not this machine's")


def bound_addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Give the addresses that gRPC binds for an IP address or localhost; not every machine has them all.

    Any address is one socket of both families. Localhost is both of its addresses, whatever the hosts file
    says (RFC 6761).
    """
    host = host.strip("[]")
    if host in {"0.0.0.0", "::"} and socket.has_dualstack_ipv6():
        return [(socket.AF_INET6, "::")]
    if host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    return [(socket.AF_INET6 if ":" in host else socket.AF_INET, host)]


def open_socket(family: socket.AddressFamily, address: str) -> socket.socket:
    """Open a socket that is about to be bound to one of the addresses; raises OSError."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
    return opened


def check_listen(listen: str) -> None:
    """Raise ListenError unless HOST:PORT can be bound now: all its addresses that this machine has."""
    host, _, port = listen.rpartition(":")
    bound = 0
    for family, address in bound_addresses(host):
        try:
            with open_socket(family, address) as probe:
                # As gRPC does: what is left of connections to an earlier server is no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
                probe.bind((address, int(port)))
        except OSError as error:
            if error.errno not in ABSENT:
                raise listen_error(listen, bind_failure(error)) from None
        else:
            bound += 1
    if not bound:
        raise not_here(listen)


def bind_failure(error: OSError) -> str:
    """Say why an address could not be bound."""
    if error.errno == errno.EADDRINUSE:
        return "the port is taken"
    return error.strerror or type(error).__name__
