"""Traces calls with OpenTelemetry, where that extra is installed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import grpc
import structlog
from grpc import aio

from pecia_service.server.starting import UnusableSettingError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span

Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_SERVICE_NAME: Final = "pecia"
_CONTRACT: Final = "/pecia.v1."
_TRACE_CONTEXT: Final = frozenset({"traceparent", "tracestate", "baggage"})
_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Statuses that are a server's failure, by OpenTelemetry's conventions for gRPC; others are its client's."""


class TracingError(UnusableSettingError):
    """The server can't trace calls; the message says what to do."""


class Tracing:
    """Sends the spans of calls to where the OTEL_* variables say; make it with `start`."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._log = structlog.get_logger(__name__)
        self.interceptor: aio.ServerInterceptor = TracingInterceptor(provider)

    @classmethod
    def start(cls, processor: SpanProcessor | None = None) -> Tracing:
        """Begin to trace; spans go to a processor, or else over OTLP.

        Raises TracingError where OpenTelemetry is not installed.
        """
        try:
            # An extra, which need not be there.
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError:
            raise TracingError(
                "PECIA_TRACING needs OpenTelemetry: pip install 'pecia[otel]', or leave tracing off"
            ) from None
        # Detected once more, because what the variables say goes before our own name.
        resource = Resource.create({"service.name": _SERVICE_NAME}).merge(OTELResourceDetector().detect())
        # Shut down by `stop`, and not by whatever else ends the process.
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    async def stop(self, seconds: float) -> None:
        """Export the spans that wait, for at most `seconds`, and end."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            self._provider.shutdown()
            # After the timeout there may be no loop left to be told.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

        # OpenTelemetry keeps to no time here. A thread of the loop's executor would be waited for.
        threading.Thread(target=end, name="tracing-end", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            self._log.warning("spans_not_exported")


@asynccontextmanager
async def traced(enabled: bool, seconds: float) -> AsyncIterator[aio.ServerInterceptor | None]:
    """Give what traces the calls of a server, None where that is off; on the way out export for `seconds`.

    Raises TracingError where OpenTelemetry is not installed.
    """
    if not enabled:
        yield None
        return
    tracing = Tracing.start()
    try:
        yield tracing.interceptor
    finally:
        await tracing.stop(seconds)


class TracingInterceptor(aio.ServerInterceptor):
    """Makes a span of each call of the contract, a child of its client's span; put it before the edge.

    A span has the method and the status by OpenTelemetry's conventions for gRPC, and nothing of messages or
    exceptions, whose text can hold payloads.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped once for all calls."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(_CONTRACT):
            return handler
        # The stubs type a handler's functions as those of the synchronous server only.
        inner = cast("Any", handler)
        traced = cast("Any", _Traced(self._provider, method, inner.stream_unary or inner.stream_stream))
        decode, encode = inner.request_deserializer, inner.response_serializer
        if inner.stream_unary is not None:
            wrapped = grpc.stream_unary_rpc_method_handler(traced.serve, decode, encode)
        else:
            wrapped = grpc.stream_stream_rpc_method_handler(traced.serve_stream, decode, encode)
        self._wrapped[method] = wrapped
        return wrapped


class _Traced:
    """One method with a span around it."""

    def __init__(
        self,
        provider: TracerProvider,
        method: str,
        behaviour: Callable[[AsyncIterator[bytes], Context], Any],
    ) -> None:
        self._tracer = provider.get_tracer("pecia")
        self._name = method.removeprefix("/")
        service, _, short = self._name.partition("/")
        self._attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": short}
        self._behaviour = behaviour

    async def serve(self, messages: AsyncIterator[bytes], context: Context) -> object:
        """Answer a call that has one answer."""
        with self._span(context):
            return await self._behaviour(messages, context)

    async def serve_stream(self, messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[object]:
        """Answer a call that has several answers.

        The edge writes them and yields nothing. A generator that waited in a yield could be left there, and
        be closed in another task, where its span can't end.
        """
        with self._span(context):
            async for message in self._behaviour(messages, context):
                yield message

    @contextmanager
    def _span(self, context: Context) -> Iterator[None]:
        from opentelemetry.propagate import extract  # noqa: PLC0415 - an extra
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        carrier = {
            key: value
            for key, value in context.invocation_metadata() or ()
            if key in _TRACE_CONTEXT and isinstance(value, str)
        }
        with self._tracer.start_as_current_span(
            self._name,
            extract(carrier),
            SpanKind.SERVER,
            self._attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except aio.AbortError:
                _end(span, context.code())
                raise
            except BaseException:
                # Its client left, or its connection was lost: nobody was answered.
                _end(span, grpc.StatusCode.CANCELLED)
                raise
            _end(span, grpc.StatusCode.OK)


def _end(span: Span, code: grpc.StatusCode) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - an extra

    number: int = cast("Any", code).value[0]
    span.set_attribute("rpc.grpc.status_code", number)
    if code in _FAULTS:
        span.set_status(StatusCode.ERROR)
