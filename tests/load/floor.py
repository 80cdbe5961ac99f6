"""A gRPC server that does nothing, on the service's options, loop and scheduling: the framework's cost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import grpc
from grpc import aio
from load.plan import ECHO_METHOD
from pecia_service.server.accepting import make_server
from pecia_service.server.loop import loop_factory
from pecia_service.server.options import server_options
from pecia_service.server.scheduling import schedule
from pecia_service.settings import Settings


async def _echo(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
    return request


async def serve() -> None:
    """Echo messages until SIGTERM, on the address of PECIA_LISTEN; where it listens is a line on stderr."""
    settings = Settings.load(os.environ, {})
    schedule(settings.cpu_scheduling)
    server = make_server(
        interceptors=(),
        options=server_options(settings, share_port=False),
        at_once=settings.accept_at_once,
    )
    service, method = ECHO_METHOD.strip("/").split("/")
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port(settings.listen)
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    address = f"{settings.listen.rpartition(':')[0]}:{port}"
    sys.stderr.write(json.dumps({"event": "serving", "listen": address}) + "\n")
    sys.stderr.flush()
    await stopped.wait()
    await server.stop(settings.shutdown_grace)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve())
