import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pecia.v1 import audit_pb2 as _audit_pb2
from pecia.v1 import bundle_pb2 as _bundle_pb2
from pecia.v1 import check_pb2 as _check_pb2
from pecia.v1 import constraints_pb2 as _constraints_pb2
from pecia.v1 import error_reason_pb2 as _error_reason_pb2
from pecia.v1 import payload_pb2 as _payload_pb2
from pecia.v1 import receipt_pb2 as _receipt_pb2
from pecia.v1 import replay_pb2 as _replay_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RenderRequest(_message.Message):
    __slots__ = ("bundle", "inline_bundle", "payload", "model_type", "adapter_version", "validate_only")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    INLINE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    MODEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.BundleRef
    inline_bundle: _bundle_pb2.InlineBundle
    payload: _payload_pb2.DerivedPayload
    model_type: str
    adapter_version: str
    validate_only: bool
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.BundleRef, _Mapping]] = ..., inline_bundle: _Optional[_Union[_bundle_pb2.InlineBundle, _Mapping]] = ..., payload: _Optional[_Union[_payload_pb2.DerivedPayload, _Mapping]] = ..., model_type: _Optional[str] = ..., adapter_version: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class RenderResponse(_message.Message):
    __slots__ = ("prompt", "parts", "receipt")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    parts: _containers.RepeatedCompositeFieldContainer[_receipt_pb2.PromptPart]
    receipt: _receipt_pb2.Receipt
    def __init__(self, prompt: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[_receipt_pb2.PromptPart, _Mapping]]] = ..., receipt: _Optional[_Union[_receipt_pb2.Receipt, _Mapping]] = ...) -> None: ...

class RenderError(_message.Message):
    __slots__ = ("code", "message", "reason", "metadata", "field_violations", "retry_delay")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FIELD_VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: _error_reason_pb2.ErrorReason
    metadata: _containers.ScalarMap[str, str]
    field_violations: _containers.RepeatedCompositeFieldContainer[RenderFieldViolation]
    retry_delay: _duration_pb2.Duration
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[_Union[_error_reason_pb2.ErrorReason, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., field_violations: _Optional[_Iterable[_Union[RenderFieldViolation, _Mapping]]] = ..., retry_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RenderFieldViolation(_message.Message):
    __slots__ = ("field", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    description: str
    def __init__(self, field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class RenderOutcome(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: RenderResponse
    error: RenderError
    def __init__(self, response: _Optional[_Union[RenderResponse, _Mapping]] = ..., error: _Optional[_Union[RenderError, _Mapping]] = ...) -> None: ...

class RenderBatchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[RenderRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[RenderRequest, _Mapping]]] = ...) -> None: ...

class RenderBatchResponse(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[RenderOutcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[RenderOutcome, _Mapping]]] = ...) -> None: ...

class RenderStreamRequest(_message.Message):
    __slots__ = ("correlation_id", "request")
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    correlation_id: str
    request: RenderRequest
    def __init__(self, correlation_id: _Optional[str] = ..., request: _Optional[_Union[RenderRequest, _Mapping]] = ...) -> None: ...

class RenderStreamResponse(_message.Message):
    __slots__ = ("correlation_id", "outcome")
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    correlation_id: str
    outcome: RenderOutcome
    def __init__(self, correlation_id: _Optional[str] = ..., outcome: _Optional[_Union[RenderOutcome, _Mapping]] = ...) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("render_id", "claim")
    RENDER_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    render_id: str
    claim: _replay_pb2.ReceiptClaim
    def __init__(self, render_id: _Optional[str] = ..., claim: _Optional[_Union[_replay_pb2.ReceiptClaim, _Mapping]] = ...) -> None: ...

class ReplayResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _replay_pb2.ReplayResult
    def __init__(self, result: _Optional[_Union[_replay_pb2.ReplayResult, _Mapping]] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ("filter",)
    FILTER_FIELD_NUMBER: _ClassVar[int]
    filter: _audit_pb2.AuditFilter
    def __init__(self, filter: _Optional[_Union[_audit_pb2.AuditFilter, _Mapping]] = ...) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("progress", "finding", "summary")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    progress: _replay_pb2.VerifyProgress
    finding: _replay_pb2.ReplayResult
    summary: _replay_pb2.VerifySummary
    def __init__(self, progress: _Optional[_Union[_replay_pb2.VerifyProgress, _Mapping]] = ..., finding: _Optional[_Union[_replay_pb2.ReplayResult, _Mapping]] = ..., summary: _Optional[_Union[_replay_pb2.VerifySummary, _Mapping]] = ...) -> None: ...

class GetAuditRecordRequest(_message.Message):
    __slots__ = ("render_id",)
    RENDER_ID_FIELD_NUMBER: _ClassVar[int]
    render_id: str
    def __init__(self, render_id: _Optional[str] = ...) -> None: ...

class GetAuditRecordResponse(_message.Message):
    __slots__ = ("record",)
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _audit_pb2.AuditRecord
    def __init__(self, record: _Optional[_Union[_audit_pb2.AuditRecord, _Mapping]] = ...) -> None: ...

class ListAuditRecordsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: _audit_pb2.AuditFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[_audit_pb2.AuditFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAuditRecordsResponse(_message.Message):
    __slots__ = ("records", "next_page_token")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[_audit_pb2.AuditRecord]
    next_page_token: str
    def __init__(self, records: _Optional[_Iterable[_Union[_audit_pb2.AuditRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RedactAuditRecordRequest(_message.Message):
    __slots__ = ("render_id", "request_id")
    RENDER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    render_id: str
    request_id: str
    def __init__(self, render_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RedactAuditRecordResponse(_message.Message):
    __slots__ = ("record",)
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _audit_pb2.AuditRecord
    def __init__(self, record: _Optional[_Union[_audit_pb2.AuditRecord, _Mapping]] = ...) -> None: ...

class PruneAuditRecordsRequest(_message.Message):
    __slots__ = ("before", "validate_only", "request_id")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    before: _timestamp_pb2.Timestamp
    validate_only: bool
    request_id: str
    def __init__(self, before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., validate_only: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class PruneAuditRecordsResponse(_message.Message):
    __slots__ = ("records", "pieces", "done")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    records: int
    pieces: int
    done: bool
    def __init__(self, records: _Optional[int] = ..., pieces: _Optional[int] = ..., done: _Optional[bool] = ...) -> None: ...

class CheckOutputRequest(_message.Message):
    __slots__ = ("bundle", "inline_bundle", "output")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    INLINE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.BundleRef
    inline_bundle: _bundle_pb2.InlineBundle
    output: str
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.BundleRef, _Mapping]] = ..., inline_bundle: _Optional[_Union[_bundle_pb2.InlineBundle, _Mapping]] = ..., output: _Optional[str] = ...) -> None: ...

class CheckOutputResponse(_message.Message):
    __slots__ = ("passed", "violations", "truncated", "effective_constraints", "bundle_id", "semver")
    PASSED_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    passed: bool
    violations: _containers.RepeatedCompositeFieldContainer[_check_pb2.Violation]
    truncated: bool
    effective_constraints: _constraints_pb2.Constraints
    bundle_id: str
    semver: str
    def __init__(self, passed: _Optional[bool] = ..., violations: _Optional[_Iterable[_Union[_check_pb2.Violation, _Mapping]]] = ..., truncated: _Optional[bool] = ..., effective_constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ..., bundle_id: _Optional[str] = ..., semver: _Optional[str] = ...) -> None: ...
