"""The gRPC server: its services, its options, and how it starts and stops."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Final

import grpc
import structlog
from google.protobuf import descriptor_pool
from grpc import aio
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import _async as reflection
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pecia.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    prompt_service_pb2,
    prompt_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
)

from pecia_service import logs
from pecia_service.bootstrap import Application, application
from pecia_service.server.accepting import make_server
from pecia_service.server.admin import AdminServicer
from pecia_service.server.collecting import collect_rarely
from pecia_service.server.context import current_caller
from pecia_service.server.handlers import ByName
from pecia_service.server.health import HealthServicer
from pecia_service.server.interceptors.assembly import edge_interceptor
from pecia_service.server.interceptors.observation import CallObserver
from pecia_service.server.interceptors.scopes import require_rows
from pecia_service.server.listening import check_listen, listen_error
from pecia_service.server.monitoring.monitor import monitored
from pecia_service.server.monitoring.tracing import traced
from pecia_service.server.options import server_options
from pecia_service.server.prompts import PromptServicer
from pecia_service.server.registry import RegistryServicer
from pecia_service.server.scheduling import schedule
from pecia_service.server.symbols import SymbolPool
from pecia_service.server.tls import server_credentials
from pecia_service.settings import Settings

_DESCRIPTORS: Final = (
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    prompt_service_pb2.DESCRIPTOR.services_by_name["PromptService"],
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
)
SERVICES: Final = tuple(service.full_name for service in _DESCRIPTORS)
"""The services of the contract, by their full names."""
_REFLECTION_V1: Final = "grpc.reflection.v1.ServerReflection"
_REFLECTION_V1ALPHA: Final = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
_HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class PeciaServer:
    """A gRPC server over one application; it belongs to one event loop.

    With `share_port` other workers of the same supervisor, who has reserved the port, listen on it too.
    `observer` is told of each call; `tracing` is an interceptor around everything that happens to one.
    """

    def __init__(
        self,
        settings: Settings,
        application: Application,
        *,
        share_port: bool = False,
        observer: CallObserver | None = None,
        tracing: aio.ServerInterceptor | None = None,
    ) -> None:
        """Add the services; raises TlsError for certificates that can't be used."""
        require_rows(
            f"/{service.full_name}/{method.name}" for service in _DESCRIPTORS for method in service.methods
        )
        self._settings = settings
        self._share_port = share_port
        self._credentials = server_credentials(settings) if settings.tls else None
        self._edge = edge_interceptor(settings, application.authenticator, observer)
        self._server = make_server(
            interceptors=[*([tracing] if tracing else []), self._edge],
            options=server_options(settings, share_port=share_port),
            at_once=settings.accept_at_once,
        )
        self._health = HealthServicer()
        by_name = ByName.of(self._server)
        prompt_service_pb2_grpc.add_PromptServiceServicer_to_server(
            PromptServicer(
                generator=application.generator,
                audit=application.audit,
                checkers=application.checkers,
                caller=current_caller,
                stream_in_flight=settings.stream_in_flight,
                max_response_bytes=settings.max_response_bytes,
            ),
            by_name,
        )
        registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(
            RegistryServicer(
                registry=application.registry, generator=application.generator, caller=current_caller
            ),
            by_name,
        )
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(
            AdminServicer(erasures=application.erasures, caller=current_caller), by_name
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, by_name)
        if settings.reflection:
            self._add_reflection()
        if settings.channelz:
            # It finds out by the type of what it is given that calls are asynchronous.
            channelz.add_channelz_servicer(self._server)

    async def start(self) -> int:
        """Start to serve, and return the port; raises ListenError for an address that can't be had."""
        if not self._share_port:
            check_listen(self._settings.listen)
        try:
            port = self._add_port()
        except RuntimeError:
            # Somebody else took it meanwhile.
            raise listen_error(self._settings.listen) from None
        await self._server.start()
        for service in SERVICES:
            self._health.serve(service)
        return port

    async def stop(self) -> None:
        """Say NOT_SERVING, refuse calls, read no more from streams, and give what is in flight the grace."""
        self._health.stop()
        self._edge.stop()
        await self._server.stop(self._settings.shutdown_grace)

    def _add_port(self) -> int:
        if self._credentials is None:
            return self._server.add_insecure_port(self._settings.listen)
        return self._server.add_secure_port(self._settings.listen, self._credentials)

    def _add_reflection(self) -> None:
        servicer = reflection.ReflectionServicer(
            [*SERVICES, _HEALTH, _REFLECTION_V1ALPHA], SymbolPool(descriptor_pool.Default())
        )
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]  # in the stubs
            servicer, ByName.of(self._server)
        )
        # The messages of v1 are those of v1alpha on the wire.
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_REFLECTION_V1, {"ServerReflectionInfo": handler}),)
        )


async def serve(
    settings: Settings, started: Callable[[str | None], None] | None = None, *, worker: int | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully; a worker, which has a number, shares its port.

    `started` is told HOST:PORT of the metrics, None if they are not served.

    Raises SchemaError, UnavailableError and StartError when the server can't start.
    """
    fields = {} if worker is None else {"worker": worker}
    logs.configure(settings.log_level, settings.log_format, fields=fields)
    logs.adopt_standard_logging()
    log = structlog.get_logger("pecia.server")
    # Before there are threads, which take over how they are scheduled.
    schedule(settings.cpu_scheduling)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        traced(settings.tracing, settings.shutdown_grace) as tracing,
        application(settings) as app,
        monitored(
            settings.metrics_listen, database=app.database, caches=app.caches, audit=app.sink.status
        ) as monitor,
    ):
        server = PeciaServer(
            settings, app, share_port=worker is not None, observer=monitor.calls, tracing=tracing
        )
        # Before calls come, whose own objects are not to stay.
        collect_rarely()
        port = await server.start()
        monitor.readiness.serving()
        log.info(
            "serving",
            listen=settings.listen.rpartition(":")[0] + f":{port}",
            database=str(app.database.url),
            audit=settings.audit_sink,
            metrics=monitor.address,
        )
        if started is not None:
            started(monitor.address)
        await stop.wait()
        monitor.readiness.draining()
        log.info("stopping", grace_seconds=settings.shutdown_grace)
        await server.stop()
        await app.sink.aclose(settings.shutdown_grace)
        status = app.sink.status()
        log.info("stopped", audit_written=status.written, audit_dropped=status.dropped)
