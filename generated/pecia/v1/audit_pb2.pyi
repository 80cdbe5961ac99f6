import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pecia.v1 import bundle_pb2 as _bundle_pb2
from pecia.v1 import receipt_pb2 as _receipt_pb2
from pecia.v1 import template_pb2 as _template_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TemplateUse(_message.Message):
    __slots__ = ("slot", "template", "content_hash", "constraints_hash")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_HASH_FIELD_NUMBER: _ClassVar[int]
    slot: _bundle_pb2.Slot
    template: _template_pb2.TemplateRef
    content_hash: str
    constraints_hash: str
    def __init__(self, slot: _Optional[_Union[_bundle_pb2.Slot, str]] = ..., template: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., content_hash: _Optional[str] = ..., constraints_hash: _Optional[str] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("receipt", "templates", "inline", "canonical_payload", "prompt", "payload_kept", "prompt_kept", "redacted_at")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_KEPT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_KEPT_FIELD_NUMBER: _ClassVar[int]
    REDACTED_AT_FIELD_NUMBER: _ClassVar[int]
    receipt: _receipt_pb2.Receipt
    templates: _containers.RepeatedCompositeFieldContainer[TemplateUse]
    inline: bool
    canonical_payload: bytes
    prompt: str
    payload_kept: bool
    prompt_kept: bool
    redacted_at: _timestamp_pb2.Timestamp
    def __init__(self, receipt: _Optional[_Union[_receipt_pb2.Receipt, _Mapping]] = ..., templates: _Optional[_Iterable[_Union[TemplateUse, _Mapping]]] = ..., inline: _Optional[bool] = ..., canonical_payload: _Optional[bytes] = ..., prompt: _Optional[str] = ..., payload_kept: _Optional[bool] = ..., prompt_kept: _Optional[bool] = ..., redacted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AuditFilter(_message.Message):
    __slots__ = ("start_time", "end_time", "bundle_id", "semver", "prompt_hash")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    bundle_id: str
    semver: str
    prompt_hash: str
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bundle_id: _Optional[str] = ..., semver: _Optional[str] = ..., prompt_hash: _Optional[str] = ...) -> None: ...
