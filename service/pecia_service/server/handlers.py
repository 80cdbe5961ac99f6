"""How services are added to the server: found by name, and not registered one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import grpc
from grpc import aio


class ByName:
    """Takes the place of a server where a stub adds its service to one.

    For each method that is registered, gRPC's event loop waits by a task of its own, and goes over all of
    these whenever a call comes. What is found by name shares one, and is found just as fast.
    """

    def __init__(self, server: aio.Server) -> None:
        self._server = server

    @classmethod
    def of(cls, server: aio.Server) -> aio.Server:
        """Return what to give to a stub's `add_…_to_server`, which uses nothing else of a server."""
        return cast(aio.Server, cls(server))

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Add handlers that are found by name."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Do nothing: the same methods are among those that are found by name."""
