"""Keep an address for the workers: nobody else gets its port, and who keeps it gets no connections.

A socket that is bound and does not listen takes part in nothing but the question who may bind. It is bound
exclusively first, so that a port that somebody uses is an error, and only then shares by SO_REUSEPORT, which
Linux reads from the sockets that are there when the next one is bound: at no moment could another service
have come in between.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from pecia_service.server.listening import bind_failure, listen_error

_TRIES: Final = 20
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Reservation:
    """An address with its port, which only sockets of this user that set SO_REUSEPORT can be bound to.

    `listen` is HOST:PORT; a port of 0 has become the one that was found.
    """

    def __init__(self, listen: str, held: list[socket.socket]) -> None:
        self.listen = listen
        self._held = held

    @classmethod
    def make(cls, listen: str) -> Self:
        """Reserve HOST:PORT on all of its addresses that this machine has; close what is returned.

        Raises ListenError for a port that is taken, and where the system can't spread connections over
        processes.
        """
        if sys.platform != "linux":
            raise listen_error(listen, "only Linux spreads connections over several workers; use one")
        host, _, port = listen.rpartition(":")
        # A port that is free on one of localhost's addresses can be taken on the other.
        for _ in range(_TRIES if int(port) == 0 else 1):
            held: list[socket.socket] = []
            chosen = int(port)
            try:
                for family, address in _addresses(host.strip("[]")):
                    if _hold(held, family, address, chosen):
                        chosen = held[0].getsockname()[1]
            except OSError as error:
                _close(held)
                failure = error
                if error.errno != errno.EADDRINUSE:
                    break
                continue
            if not held:
                raise listen_error(listen, "the address is not this machine's")
            return cls(f"{host}:{chosen}", held)
        raise listen_error(listen, bind_failure(failure))

    def close(self) -> None:
        """Let go of the port."""
        _close(self._held)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _addresses(host: str) -> Iterator[tuple[socket.AddressFamily, str]]:
    """Give what gRPC binds for a host: one socket of both families for any address, else each address."""
    if host in {"0.0.0.0", "::"} and socket.has_dualstack_ipv6():
        yield socket.AF_INET6, "::"
        return
    for family, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        yield family, str(address[0])


def _hold(held: list[socket.socket], family: socket.AddressFamily, address: str, port: int) -> bool:
    """Bind a socket that then shares with those that share; False for an address that is not here."""
    try:
        holder = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
    held.append(holder)
    if family == socket.AF_INET6:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
    try:
        holder.bind((address, port))
    except OSError as error:
        if error.errno in _ABSENT:
            held.pop().close()
            return False
        if error.errno != errno.EADDRINUSE or port == 0:
            raise
        _bind_beside_ended(holder, address, port)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
    return True


def _bind_beside_ended(holder: socket.socket, address: str, port: int) -> None:
    """Bind where only connections of an earlier server are left; raises OSError where somebody else is.

    SO_REUSEADDR alone would let two supervisors in that come at the same moment; of those only one can
    listen. Shutting it down ends the listening and keeps the port.
    """
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
    holder.bind((address, port))
    holder.listen(1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, False)
    holder.shutdown(socket.SHUT_RD)


def _close(held: list[socket.socket]) -> None:
    for holder in held:
        holder.close()
