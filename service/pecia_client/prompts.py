"""The calls of PromptService, blocking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import grpc
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1.audit_pb2 import AuditFilter, AuditRecord
from pecia.v1.bundle_pb2 import BundleRef, InlineBundle
from pecia.v1.payload_pb2 import DerivedPayload
from pecia.v1.prompt_service_pb2_grpc import PromptServiceStub
from pecia.v1.receipt_pb2 import Receipt
from pecia.v1.replay_pb2 import ReplayResult

from pecia_client.calls import Calls
from pecia_client.errors import PeciaError
from pecia_client.requests import check_output_request, prune_request, render_request, replay_request
from pecia_client.stream_end import StreamTally

_Pair = tuple[str, pb.RenderRequest]


class PromptCalls:
    """Render prompts, prove them, and measure what models answer.

    Every method takes `timeout` in seconds and raises `PeciaError` when its call fails; arguments that
    contradict each other raise ValueError before anything is sent.
    """

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._prompts = PromptServiceStub(channel)
        self._prompt_calls = calls

    def render(
        self,
        bundle: str | BundleRef | None = None,
        *,
        payload: Mapping[str, object] | DerivedPayload,
        inline_bundle: InlineBundle | None = None,
        model_type: str = "",
        adapter_version: str = "",
        validate_only: bool = False,
        timeout: float | None = None,
    ) -> pb.RenderResponse:
        """Render one prompt from `ID@VERSION`, `ID@LABEL` or an inline bundle.

        Args:
            bundle: The published bundle; leave it out to render `inline_bundle`.
            payload: The four payload fields.
            inline_bundle: A bundle with its templates, stored nowhere.
            model_type: Refused unless among the bundle's tags; empty means no check.
            adapter_version: Goes into the receipt.
            validate_only: Check everything and answer the prompt, but record nothing.
            timeout: Seconds; None means the client's default.

        """
        request = render_request(
            bundle,
            payload=payload,
            inline_bundle=inline_bundle,
            model_type=model_type,
            adapter_version=adapter_version,
            validate_only=validate_only,
        )
        return self._prompt_calls.unary(self._prompts.Render, request, timeout)

    def render_batch(
        self, requests: Iterable[pb.RenderRequest], *, timeout: float | None = None
    ) -> list[pb.RenderOutcome]:
        """Render up to 256 prompts; one outcome each, in order (see `render_request`)."""
        request = pb.RenderBatchRequest(requests=requests)
        response = self._prompt_calls.unary(self._prompts.RenderBatch, request, timeout)
        return list(response.outcomes)

    def render_stream(
        self, requests: Iterable[_Pair], *, timeout: float | None = None
    ) -> Iterator[pb.RenderStreamResponse]:
        """Render for as long as `requests` gives pairs of correlation id and request; any order of answers.

        Without a timeout there is no deadline, and nothing is retried. What `requests` raises ends the stream
        and is raised here. A stream that ends well without all answers is an error too (UNAVAILABLE).
        """
        tally = StreamTally()
        responses = self._prompts.RenderStream(
            _stream_messages(requests, tally), timeout=timeout, metadata=self._prompt_calls.metadata
        )
        try:
            for response in responses:
                tally.answered += 1
                yield response
        except grpc.RpcError as error:
            # gRPC answers a failing request iterator by cancelling the call and dropping the reason.
            if tally.failure is not None:
                raise tally.failure from None
            raise PeciaError.from_call(error) from error
        finally:
            responses.cancel()
        tally.check()

    def replay(
        self,
        *,
        render_id: str | None = None,
        receipt: Receipt | None = None,
        payload: Mapping[str, object] | DerivedPayload | None = None,
        inline_bundle: InlineBundle | None = None,
        timeout: float | None = None,
    ) -> ReplayResult:
        """Render again what a `render_id`, or a receipt with its payload, names, and compare."""
        request = replay_request(render_id, receipt, payload, inline_bundle)
        return (self._prompt_calls.unary(self._prompts.Replay, request, timeout)).result

    def verify_audit(
        self, audit_filter: AuditFilter | None = None, *, timeout: float | None = None
    ) -> Iterator[pb.VerifyAuditResponse]:
        """Replay all selected records; yield findings, progress, and at last a summary."""
        request = pb.VerifyAuditRequest(filter=audit_filter)
        return self._prompt_calls.stream(self._prompts.VerifyAudit, request, timeout)

    def get_audit_record(self, render_id: str, *, timeout: float | None = None) -> AuditRecord:
        """Read one record, with prompt and payload where they are kept."""
        request = pb.GetAuditRecordRequest(render_id=render_id)
        return (self._prompt_calls.unary(self._prompts.GetAuditRecord, request, timeout)).record

    def list_audit_records(
        self,
        audit_filter: AuditFilter | None = None,
        *,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> Iterator[AuditRecord]:
        """Yield records, newest first, without prompt and payload; the timeout holds for each page."""
        request = pb.ListAuditRecordsRequest(filter=audit_filter, page_size=page_size)
        return self._prompt_calls.pages(
            self._prompts.ListAuditRecords, request, lambda page: page.records, timeout
        )

    def redact_audit_record(
        self, render_id: str, *, request_id: str = "", timeout: float | None = None
    ) -> AuditRecord:
        """Erase prompt and payload of one record for good; its hashes stay."""
        request = pb.RedactAuditRecordRequest(render_id=render_id, request_id=request_id)
        return (self._prompt_calls.unary(self._prompts.RedactAuditRecord, request, timeout)).record

    def prune_audit_records(
        self,
        before: datetime,
        *,
        validate_only: bool = False,
        request_id: str = "",
        timeout: float | None = None,
    ) -> Iterator[pb.PruneAuditRecordsResponse]:
        """Delete the records made before a moment; yield running counts, `done` in the last one."""
        request = prune_request(before, validate_only, request_id)
        return self._prompt_calls.stream(self._prompts.PruneAuditRecords, request, timeout)

    def check_output(
        self,
        output: str,
        bundle: str | BundleRef | None = None,
        *,
        inline_bundle: InlineBundle | None = None,
        timeout: float | None = None,
    ) -> pb.CheckOutputResponse:
        """Measure a model's answer against the effective constraints of a bundle."""
        request = check_output_request(output, bundle, inline_bundle)
        return self._prompt_calls.unary(self._prompts.CheckOutput, request, timeout)


def _stream_messages(requests: Iterable[_Pair], tally: StreamTally) -> Iterator[pb.RenderStreamRequest]:
    try:
        for correlation_id, request in requests:
            tally.sent += 1
            yield pb.RenderStreamRequest(correlation_id=correlation_id, request=request)
    except Exception as error:
        tally.failure = error
        raise
    tally.complete = True
