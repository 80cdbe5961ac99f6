"""The floor: a bare server of grpc.aio that answers the same bytes to every call.

It has Pecia's options, event loop and scheduling, and takes calls as Pecia does, but it has no interceptor,
decodes nothing and encodes nothing: what it costs is gRPC's own. Two steps above it show where the way to
Render goes: `edge` puts Pecia's interceptor around it, and `messages` decodes each request and encodes each
answer. `own` takes calls as grpc.aio does by itself, one after the other. Run as a program it prints where
it listens.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final, cast

import grpc
from load.bench.servers import PATIENCE
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.server.accepting import make_server
from pecia_service.server.collecting import collect_rarely
from pecia_service.server.interceptors.assembly import edge_interceptor
from pecia_service.server.loop import loop_factory
from pecia_service.server.options import server_options
from pecia_service.server.scheduling import schedule
from pecia_service.settings import Settings

PATH: Final = "/pecia.v1.PromptService/Render"
BARE: Final = "bare"
EDGE: Final = "edge"
MESSAGES: Final = "messages"
OWN: Final = "own"


async def serve(answer: bytes, kind: str) -> None:
    """Serve until the process is ended."""
    settings = Settings.load({f"PECIA_{name.upper()}": value for name, value in PATIENCE.items()})
    message = pb.RenderResponse.FromString(answer)

    async def call(_request: bytes, _context: object) -> bytes:
        return answer

    async def typed(_request: pb.RenderRequest, _context: object) -> pb.RenderResponse:
        return message

    if kind == MESSAGES:
        # The stubs type handlers as those of the synchronous server only.
        handler = grpc.unary_unary_rpc_method_handler(
            cast("Any", typed), pb.RenderRequest.FromString, pb.RenderResponse.SerializeToString
        )
    elif kind == EDGE:
        # What the interceptor finds in front of a method decodes and encodes; here neither does anything.
        handler = grpc.unary_unary_rpc_method_handler(
            cast("Any", call), cast("Any", bytes), cast("Any", bytes)
        )
    else:
        handler = grpc.unary_unary_rpc_method_handler(cast("Any", call))
    server = make_server(
        interceptors=[edge_interceptor(settings, None, None)] if kind == EDGE else [],
        options=server_options(settings, share_port=False),
        at_once=1 if kind == OWN else settings.accept_at_once,
    )
    service, _, method = PATH[1:].partition("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    collect_rarely()
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Answer with the bytes in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answer", type=argparse.FileType("rb"), help="file whose bytes are every answer")
    parser.add_argument("kind", choices=(BARE, EDGE, MESSAGES, OWN))
    options = parser.parse_args()
    schedule(Settings.load({}).cpu_scheduling)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(options.answer.read(), options.kind))


if __name__ == "__main__":
    main()
