from pecia.v1 import bundle_pb2 as _bundle_pb2
from pecia.v1 import payload_pb2 as _payload_pb2
from pecia.v1 import receipt_pb2 as _receipt_pb2
from pecia.v1 import template_pb2 as _template_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplayVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_VERDICT_UNSPECIFIED: _ClassVar[ReplayVerdict]
    REPLAY_VERDICT_MATCH: _ClassVar[ReplayVerdict]
    REPLAY_VERDICT_MISMATCH: _ClassVar[ReplayVerdict]
    REPLAY_VERDICT_UNVERIFIABLE: _ClassVar[ReplayVerdict]

class ReplayCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_CAUSE_UNSPECIFIED: _ClassVar[ReplayCause]
    REPLAY_CAUSE_TEMPLATE_CONTENT: _ClassVar[ReplayCause]
    REPLAY_CAUSE_CONSTRAINTS: _ClassVar[ReplayCause]
    REPLAY_CAUSE_BUNDLE: _ClassVar[ReplayCause]
    REPLAY_CAUSE_PAYLOAD: _ClassVar[ReplayCause]
    REPLAY_CAUSE_RENDERER: _ClassVar[ReplayCause]
    REPLAY_CAUSE_RECORD_DAMAGED: _ClassVar[ReplayCause]
    REPLAY_CAUSE_REDACTED: _ClassVar[ReplayCause]
    REPLAY_CAUSE_PAYLOAD_MISSING: _ClassVar[ReplayCause]
    REPLAY_CAUSE_PIECE_MISSING: _ClassVar[ReplayCause]
    REPLAY_CAUSE_TEMPLATE_ERASED: _ClassVar[ReplayCause]
REPLAY_VERDICT_UNSPECIFIED: ReplayVerdict
REPLAY_VERDICT_MATCH: ReplayVerdict
REPLAY_VERDICT_MISMATCH: ReplayVerdict
REPLAY_VERDICT_UNVERIFIABLE: ReplayVerdict
REPLAY_CAUSE_UNSPECIFIED: ReplayCause
REPLAY_CAUSE_TEMPLATE_CONTENT: ReplayCause
REPLAY_CAUSE_CONSTRAINTS: ReplayCause
REPLAY_CAUSE_BUNDLE: ReplayCause
REPLAY_CAUSE_PAYLOAD: ReplayCause
REPLAY_CAUSE_RENDERER: ReplayCause
REPLAY_CAUSE_RECORD_DAMAGED: ReplayCause
REPLAY_CAUSE_REDACTED: ReplayCause
REPLAY_CAUSE_PAYLOAD_MISSING: ReplayCause
REPLAY_CAUSE_PIECE_MISSING: ReplayCause
REPLAY_CAUSE_TEMPLATE_ERASED: ReplayCause

class ReplayFinding(_message.Message):
    __slots__ = ("cause", "slot", "template", "detail")
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    cause: ReplayCause
    slot: _bundle_pb2.Slot
    template: _template_pb2.TemplateRef
    detail: str
    def __init__(self, cause: _Optional[_Union[ReplayCause, str]] = ..., slot: _Optional[_Union[_bundle_pb2.Slot, str]] = ..., template: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., detail: _Optional[str] = ...) -> None: ...

class FirstDifference(_message.Message):
    __slots__ = ("slot", "byte_offset", "recorded_excerpt", "replayed_excerpt")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BYTE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    RECORDED_EXCERPT_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_EXCERPT_FIELD_NUMBER: _ClassVar[int]
    slot: _bundle_pb2.Slot
    byte_offset: int
    recorded_excerpt: str
    replayed_excerpt: str
    def __init__(self, slot: _Optional[_Union[_bundle_pb2.Slot, str]] = ..., byte_offset: _Optional[int] = ..., recorded_excerpt: _Optional[str] = ..., replayed_excerpt: _Optional[str] = ...) -> None: ...

class ReplayResult(_message.Message):
    __slots__ = ("render_id", "verdict", "findings", "first_difference", "renderer_version_differs", "recorded_prompt_hash", "replayed_prompt_hash")
    RENDER_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    FIRST_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    RENDERER_VERSION_DIFFERS_FIELD_NUMBER: _ClassVar[int]
    RECORDED_PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    render_id: str
    verdict: ReplayVerdict
    findings: _containers.RepeatedCompositeFieldContainer[ReplayFinding]
    first_difference: FirstDifference
    renderer_version_differs: bool
    recorded_prompt_hash: str
    replayed_prompt_hash: str
    def __init__(self, render_id: _Optional[str] = ..., verdict: _Optional[_Union[ReplayVerdict, str]] = ..., findings: _Optional[_Iterable[_Union[ReplayFinding, _Mapping]]] = ..., first_difference: _Optional[_Union[FirstDifference, _Mapping]] = ..., renderer_version_differs: _Optional[bool] = ..., recorded_prompt_hash: _Optional[str] = ..., replayed_prompt_hash: _Optional[str] = ...) -> None: ...

class ReceiptClaim(_message.Message):
    __slots__ = ("receipt", "payload", "inline_bundle")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    INLINE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    receipt: _receipt_pb2.Receipt
    payload: _payload_pb2.DerivedPayload
    inline_bundle: _bundle_pb2.InlineBundle
    def __init__(self, receipt: _Optional[_Union[_receipt_pb2.Receipt, _Mapping]] = ..., payload: _Optional[_Union[_payload_pb2.DerivedPayload, _Mapping]] = ..., inline_bundle: _Optional[_Union[_bundle_pb2.InlineBundle, _Mapping]] = ...) -> None: ...

class VerifyProgress(_message.Message):
    __slots__ = ("checked", "total")
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    checked: int
    total: int
    def __init__(self, checked: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class VerifySummary(_message.Message):
    __slots__ = ("checked", "matched", "mismatched", "unverifiable", "renderer_version_differs")
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    MISMATCHED_FIELD_NUMBER: _ClassVar[int]
    UNVERIFIABLE_FIELD_NUMBER: _ClassVar[int]
    RENDERER_VERSION_DIFFERS_FIELD_NUMBER: _ClassVar[int]
    checked: int
    matched: int
    mismatched: int
    unverifiable: int
    renderer_version_differs: int
    def __init__(self, checked: _Optional[int] = ..., matched: _Optional[int] = ..., mismatched: _Optional[int] = ..., unverifiable: _Optional[int] = ..., renderer_version_differs: _Optional[int] = ...) -> None: ...
