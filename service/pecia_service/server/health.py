"""The gRPC health service (grpc.health.v1), whose watches end when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pecia_service.server.context import Context

_SERVING: Final[int] = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final[int] = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN: Final[int] = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Tells how the server (the empty name) and its services are.

    gRPC counts an open watch as a call in flight, so that grpc_health's own servicer would let a client that
    watches use up the whole grace of every stop.
    """

    def __init__(self) -> None:
        self._statuses = {"": _SERVING}
        self._changed = asyncio.Event()
        self._stopping = False

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Tell the status of a service; NOT_FOUND if there is no such service."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Tell the status of a service and each change of it; NOT_SERVING is the last before the end."""
        told = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, _SERVICE_UNKNOWN)
            if status != told:
                yield health_pb2.HealthCheckResponse(status=status)
                told = status
            elif self._stopping:
                return
            else:
                await changed.wait()

    def serve(self, service: str) -> None:
        """Say that a service is SERVING, unless the server is stopping."""
        if not self._stopping:
            self._change({service: _SERVING})

    def stop(self) -> None:
        """Say that everything is NOT_SERVING from now on, and end the watches."""
        self._stopping = True
        self._change(dict.fromkeys(self._statuses, _NOT_SERVING))

    def _change(self, statuses: dict[str, int]) -> None:
        self._statuses |= statuses
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
