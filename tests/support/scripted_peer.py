"""A gRPC server that answers what a test scripted, as the other end of a client under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc import aio
from pecia.v1 import admin_service_pb2 as admin
from pecia.v1 import prompt_service_pb2 as prompts
from pecia.v1 import registry_service_pb2 as registry
from pecia.v1.prompt_service_pb2_grpc import PromptServiceServicer, add_PromptServiceServicer_to_server
from pecia.v1.registry_service_pb2_grpc import RegistryServiceServicer, add_RegistryServiceServicer_to_server


@dataclass(frozen=True)
class Refusal:
    """A status with its details, to be answered in place of a message."""

    code: grpc.StatusCode
    message: str = "refused"
    details: Sequence[Message] = ()


Context = aio.ServicerContext[Message, Message]


@dataclass
class ScriptedPeer(PromptServiceServicer, RegistryServiceServicer):
    """Answers each call with the next entry of `script` and keeps what it was asked.

    `remaining` holds the seconds to the deadline of each call; `cancelled` is set when a client gives a
    stream up. The entry "hang" never answers.
    """

    script: list[Message | Refusal | str] = field(default_factory=list)
    requests: list[Message] = field(default_factory=list)
    remaining: list[float | None] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def Render(  # noqa: N802 - the name of the RPC
        self, request: prompts.RenderRequest, context: Context
    ) -> prompts.RenderResponse:
        """Answer the next entry."""
        answer = await self._next(request, context)
        assert isinstance(answer, prompts.RenderResponse)
        return answer

    async def SetLabel(  # noqa: N802 - the name of the RPC
        self, request: registry.SetLabelRequest, context: Context
    ) -> registry.SetLabelResponse:
        """Answer the next entry."""
        answer = await self._next(request, context)
        assert isinstance(answer, registry.SetLabelResponse)
        return answer

    async def ListLabels(  # noqa: N802 - the name of the RPC
        self, request: registry.ListLabelsRequest, context: Context
    ) -> registry.ListLabelsResponse:
        """Answer the next entry."""
        answer = await self._next(request, context)
        assert isinstance(answer, registry.ListLabelsResponse)
        return answer

    async def VerifyAudit(  # noqa: N802 - the name of the RPC
        self, request: prompts.VerifyAuditRequest, context: Context
    ) -> AsyncIterator[prompts.VerifyAuditResponse]:
        """Answer all entries."""
        self.requests.append(request)
        self.remaining.append(context.time_remaining())
        try:
            while self.script:
                answer = await self._take(context)
                assert isinstance(answer, prompts.VerifyAuditResponse)
                yield answer
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def RenderStream(  # noqa: N802 - the name of the RPC
        self, request_iterator: AsyncIterator[prompts.RenderStreamRequest], context: Context
    ) -> AsyncIterator[prompts.RenderStreamResponse]:
        """Echo each request's task as its prompt, or refuse when an entry says so."""
        self.remaining.append(context.time_remaining())
        async for request in request_iterator:
            self.requests.append(request)
            if self.script:
                await self._take(context)
            response = prompts.RenderResponse(prompt=request.request.payload.task)
            yield prompts.RenderStreamResponse(
                correlation_id=request.correlation_id, outcome=prompts.RenderOutcome(response=response)
            )

    async def _next(self, request: Message, context: Context) -> Message:
        self.requests.append(request)
        self.remaining.append(context.time_remaining())
        return await self._take(context)

    async def _take(self, context: Context) -> Message:
        answer = self.script.pop(0)
        if isinstance(answer, Refusal):
            await _refuse(context, answer)
        if isinstance(answer, str):
            await asyncio.Event().wait()
        assert isinstance(answer, Message)
        return answer


class EmptyAnswers(grpc.GenericRpcHandler):
    """Answers every RPC with an empty message and keeps the RPCs' names."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Message, Message]:
        """Give a handler for any method of the contract."""
        _, service, method = handler_call_details.method.split("/")
        self.methods.append(method)
        files = (prompts.DESCRIPTOR, registry.DESCRIPTOR, admin.DESCRIPTOR)
        found = {name: each for file in files for name, each in file.services_by_name.items()}
        descriptor = found[service.rpartition(".")[2]].methods_by_name[method]

        async def unary(request: bytes, context: object) -> bytes:
            return b""

        async def stream(request: object, context: object) -> AsyncIterator[bytes]:
            yield b""

        if descriptor.client_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        if descriptor.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


async def serve(peer: ScriptedPeer | EmptyAnswers) -> tuple[aio.Server, str]:
    """Start a server for the peer on a free loopback port; give it and its target."""
    server = aio.server(options=[("grpc.max_send_message_length", -1)])
    if isinstance(peer, ScriptedPeer):
        add_PromptServiceServicer_to_server(peer, server)
        add_RegistryServiceServicer_to_server(peer, server)
    else:
        server.add_generic_rpc_handlers((peer,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"


async def _refuse(context: Context, refusal: Refusal) -> NoReturn:
    status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message)
    for detail in refusal.details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailing = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(refusal.code, refusal.message, trailing)
