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
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from pecia_service.server.listening import (
    ABSENT,
    bind_failure,
    bound_addresses,
    listen_error,
    not_here,
    open_socket,
)
from pecia_service.server.starting import StartError

_TRIES: Final = 20


class Reservation:
    """An address with its port, which only sockets of this user that set SO_REUSEPORT can be bound to.

    `listen` is HOST:PORT; a port of 0 has become the one that was found.
    """

    def __init__(self, listen: str, held: ExitStack) -> None:
        self.listen = listen
        self._held = held

    @classmethod
    def make(cls, listen: str) -> Self:
        """Reserve HOST:PORT on all of its addresses that this machine has; close what is returned.

        Raises ListenError for a port that is taken, and StartError where the system can't spread connections
        over processes.
        """
        if sys.platform != "linux":
            raise StartError("several workers need Linux, which spreads connections over them; run one")
        host, _, port = listen.rpartition(":")
        # A port that is free on one of localhost's addresses can be taken on the other.
        tries = _TRIES if int(port) == 0 else 1
        while True:
            tries -= 1
            try:
                return cls._try(host, int(port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not tries:
                    raise listen_error(listen, bind_failure(error)) from None

    @classmethod
    def _try(cls, host: str, port: int) -> Self:
        with ExitStack() as held:
            holders = 0
            for family, address in bound_addresses(host):
                try:
                    holder = _hold(family, address, port)
                except OSError as error:
                    if error.errno not in ABSENT:
                        raise
                else:
                    held.enter_context(holder)
                    holders += 1
                    port = holder.getsockname()[1]
            if not holders:
                raise not_here(f"{host}:{port}")
            return cls(f"{host}:{port}", held.pop_all())

    def close(self) -> None:
        """Let go of the port."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _hold(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    """Bind a socket that then shares with those that share; raises OSError."""
    with ExitStack() as opened:
        holder = opened.enter_context(open_socket(family, address))
        try:
            holder.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == 0:
                raise
            _bind_beside_ended(holder, address, port)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
        opened.pop_all()
        return holder


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
