"""PromptService: rendering, and measuring what models answer. Replay and audit are in `server.audit`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from pecia.v1 import bundle_pb2
from pecia.v1 import prompt_service_pb2 as pb

from pecia_service.access.model import Caller
from pecia_service.audit.service import Audit
from pecia_service.caching.bounded import BoundedCache
from pecia_service.errors import Error, size_exceeded
from pecia_service.rendering.checking import OutputChecker
from pecia_service.rendering.generator import PromptGenerator, RenderOptions, resolve_inline
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.ports import Recording
from pecia_service.server.audit import AuditServicer
from pecia_service.server.batch import Batch
from pecia_service.server.context import Context
from pecia_service.server.convert.checks import check_result_to_proto
from pecia_service.server.convert.outcomes import error_to_proto, write_rendered
from pecia_service.server.convert.pieces import inline_bundle_from_proto, payload_from_proto
from pecia_service.server.render_stream import Finishing, run_stream
from pecia_service.server.requests import missing_field, resolve_ref
from pecia_service.server.status import internal_fault

MAX_BATCH: Final = 256
MAX_CORRELATION_ID_LENGTH: Final = 128

_RENDER: Final = "/pecia.v1.PromptService/Render"
# A long batch gives other requests a turn this often.
_TURN: Final = 16
# Measuring a longer output on the event loop would hold up other requests.
_SHORT_OUTPUT: Final = 8_192

Source = TypeVar("Source", pb.RenderRequest, pb.CheckOutputRequest)


class PromptServicer(AuditServicer):
    """Translates between the contract and the generator of the caller's tenant."""

    def __init__(
        self,
        *,
        generator: Callable[[str], PromptGenerator],
        audit: Audit,
        checkers: BoundedCache[bytes, OutputChecker],
        caller: Callable[[Context], Caller],
        stream_in_flight: int,
        max_response_bytes: int,
    ) -> None:
        super().__init__(audit=audit, caller=caller)
        self._generator = generator
        self._checkers = checkers
        self._caller = caller
        self._stream_in_flight = stream_in_flight
        self._max_response_bytes = max_response_bytes
        self._log = structlog.get_logger("pecia.server")

    async def Render(self, request: pb.RenderRequest, context: Context) -> pb.RenderResponse:  # noqa: N802
        """Make one prompt."""
        response = pb.RenderResponse()
        generator = self._generator(self._caller(context).tenant_id)
        recorded = await self._render(request, generator, response)
        if recorded is not None:
            await recorded
        return response

    async def RenderBatch(  # noqa: N802
        self, request: pb.RenderBatchRequest, context: Context
    ) -> pb.RenderBatchResponse:
        """Make several prompts, each with an outcome of its own."""
        count = len(request.requests)
        if not count:
            raise missing_field("requests", f"give 1 to {MAX_BATCH} renders")
        if count > MAX_BATCH:
            raise size_exceeded("requests", "renders", count, MAX_BATCH)
        generator = self._generator(self._caller(context).tenant_id)
        response = pb.RenderBatchResponse()
        batch = Batch(self._max_response_bytes, count)
        # Waited for together: they become durable in a few writes.
        waiting: list[tuple[int, Recording]] = []
        for index, item in enumerate(request.requests):
            if index % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            recorded = await self._outcome(item, generator, response.outcomes.add(), batch)
            if recorded is not None:
                waiting.append((index, recorded))
        for index, recorded in waiting:
            if (error := await self._failure(recorded)) is not None:
                response.outcomes[index].error.CopyFrom(error)
        return response

    def RenderStream(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.RenderStreamRequest], context: Context
    ) -> AsyncGenerator[pb.RenderStreamResponse, None]:
        """Make prompts for as long as requests come."""
        generator = self._generator(self._caller(context).tenant_id)
        return run_stream(
            request_iterator, lambda message: self._stream_answer(message, generator), self._stream_in_flight
        )

    async def CheckOutput(  # noqa: N802
        self, request: pb.CheckOutputRequest, context: Context
    ) -> pb.CheckOutputResponse:
        """Measure a model's answer."""
        generator = self._generator(self._caller(context).tenant_id)
        # What is erased from here on must not come back by way of a checker.
        era = self._checkers.era
        resolved, _ = await _resolve(request, generator)
        constraints = resolved.constraints

        async def compile_checker() -> OutputChecker:
            return await asyncio.to_thread(OutputChecker, constraints)

        checker = await self._checkers.get(constraints.canonical, compile_checker, era=era)
        if len(request.output) <= _SHORT_OUTPUT:
            result = checker.check(request.output)
        else:
            result = await asyncio.to_thread(checker.check, request.output)
        return check_result_to_proto(result, resolved)

    async def _render(
        self,
        request: pb.RenderRequest,
        generator: PromptGenerator,
        response: pb.RenderResponse,
        batch: Batch | None = None,
    ) -> Recording | None:
        """Render one request into its response; it is recorded only when its answer has room.

        What is returned must be awaited before the answer leaves.
        """
        options, payload = _read(request)
        resolved, inline = _held(request, generator), False
        if resolved is None and batch is not None and request.bundle.label:
            resolved = await _resolve_label(request.bundle, generator, batch)
        if resolved is None:
            resolved, inline = await _resolve(request, generator)
        return _finish(options, payload, resolved, generator, response, batch=batch, inline=inline)

    async def _outcome(
        self,
        request: pb.RenderRequest,
        generator: PromptGenerator,
        outcome: pb.RenderOutcome,
        batch: Batch | None = None,
    ) -> Recording | None:
        """Render one request of several as `_render` does: what fails is its outcome."""
        try:
            return await self._render(request, generator, outcome.response, batch)
        except Exception as error:  # noqa: BLE001 - one fault must not fail the other renders
            outcome.error.CopyFrom(self._failed(error))
            return None

    def _stream_answer(
        self, message: pb.RenderStreamRequest, generator: PromptGenerator
    ) -> (
        pb.RenderStreamResponse
        | Coroutine[Any, Any, pb.RenderStreamResponse]
        | Finishing[pb.RenderStreamResponse]
    ):
        """Answer one request of a stream: when it is recorded, if its bundle is at hand, as is usual."""
        answer = pb.RenderStreamResponse(correlation_id=message.correlation_id[:MAX_CORRELATION_ID_LENGTH])
        length = len(message.correlation_id)
        if length > MAX_CORRELATION_ID_LENGTH:
            error = size_exceeded("correlation_id", "characters", length, MAX_CORRELATION_ID_LENGTH)
            answer.outcome.error.CopyFrom(error_to_proto(error))
            return answer
        request, outcome = message.request, answer.outcome
        resolved = _held(request, generator)
        if resolved is None:
            return self._later_stream_answer(request, generator, answer)
        try:
            recorded = _finish(*_read(request), resolved, generator, outcome.response, inline=False)
        except Exception as error:  # noqa: BLE001 - one fault must not fail the other renders
            outcome.error.CopyFrom(self._failed(error))
            return answer
        if recorded is None:
            return answer
        if not recorded.at_once:
            return self._recorded_stream_answer(recorded, answer)
        return Finishing(partial(self._recorded_stream_answer, recorded, answer))

    async def _later_stream_answer(
        self, request: pb.RenderRequest, generator: PromptGenerator, answer: pb.RenderStreamResponse
    ) -> pb.RenderStreamResponse:
        recorded = await self._outcome(request, generator, answer.outcome)
        return answer if recorded is None else await self._recorded_stream_answer(recorded, answer)

    async def _recorded_stream_answer(
        self, recorded: Recording, answer: pb.RenderStreamResponse
    ) -> pb.RenderStreamResponse:
        failed = await self._failure(recorded)
        if failed is not None:
            answer.outcome.error.CopyFrom(failed)
        return answer

    async def _failure(self, recorded: Recording) -> pb.RenderError | None:
        """Wait until a render is recorded as was promised, and return what kept it from that."""
        try:
            await recorded
        except Exception as error:  # noqa: BLE001 - one fault must not fail the other renders
            return self._failed(error)
        return None

    def _failed(self, error: Exception) -> pb.RenderError:
        if isinstance(error, Error):
            return error_to_proto(error)
        self._log.error("render failed", method=_RENDER, exc_info=error)
        return error_to_proto(internal_fault(_RENDER))


def _read(request: pb.RenderRequest) -> tuple[RenderOptions, Payload]:
    """Return what a request asks beside its source, checked; raises InvalidInputError."""
    options = RenderOptions.checked(
        request.model_type, request.adapter_version, validate_only=request.validate_only
    )
    return options, payload_from_proto(request.payload)


def _held(request: pb.RenderRequest, generator: PromptGenerator) -> ResolvedBundle | None:
    """Return the bundle that a request names by its version, if it is at hand."""
    if request.WhichOneof("source") != "bundle" or request.bundle.WhichOneof("selector") != "semver":
        return None
    return generator.held(request.bundle.bundle_id, request.bundle.semver)


def _finish(
    options: RenderOptions,
    payload: Payload,
    resolved: ResolvedBundle,
    generator: PromptGenerator,
    response: pb.RenderResponse,
    *,
    batch: Batch | None = None,
    inline: bool,
) -> Recording | None:
    """Render into a response and record it; what is returned must be awaited before the answer leaves."""
    rendered = generator.compute(resolved, payload, options)
    if batch is not None:
        batch.check(rendered)
    write_rendered(rendered, response)
    if batch is not None:
        batch.take(response)
    if options.validate_only:
        return None
    return generator.record(rendered, payload, inline=inline)


async def _resolve_label(
    label: bundle_pb2.BundleRef, generator: PromptGenerator, batch: Batch
) -> ResolvedBundle:
    """Return the version that a label points to, which is read once for all of a batch."""
    semver = batch.version(label)
    if semver is not None:
        return await generator.resolve(label.bundle_id, semver)
    resolved = await resolve_ref(generator, label, "bundle")
    batch.note(label, resolved.bundle.semver)
    return resolved


async def _resolve(request: Source, generator: PromptGenerator) -> tuple[ResolvedBundle, bool]:
    """Return the bundle that a request names or brings, and whether it brought it."""
    match request.WhichOneof("source"):
        case "bundle":
            return await resolve_ref(generator, request.bundle, "bundle"), False
        case "inline_bundle":
            bundle, templates = inline_bundle_from_proto(request.inline_bundle, "inline_bundle")
            return resolve_inline(bundle, templates), True
    raise missing_field("bundle", "give a bundle reference or an inline bundle")
