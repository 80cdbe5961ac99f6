import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pecia.v1 import bundle_pb2 as _bundle_pb2
from pecia.v1 import template_pb2 as _template_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PromptPart(_message.Message):
    __slots__ = ("slot", "role", "text")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    slot: _bundle_pb2.Slot
    role: _template_pb2.Role
    text: str
    def __init__(self, slot: _Optional[_Union[_bundle_pb2.Slot, str]] = ..., role: _Optional[_Union[_template_pb2.Role, str]] = ..., text: _Optional[str] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("render_id", "prompt_hash", "bundle_hash", "payload_hash", "bundle_id", "semver", "renderer_version", "adapter_version", "created_at")
    RENDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_HASH_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_HASH_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    RENDERER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    render_id: str
    prompt_hash: str
    bundle_hash: str
    payload_hash: str
    bundle_id: str
    semver: str
    renderer_version: str
    adapter_version: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, render_id: _Optional[str] = ..., prompt_hash: _Optional[str] = ..., bundle_hash: _Optional[str] = ..., payload_hash: _Optional[str] = ..., bundle_id: _Optional[str] = ..., semver: _Optional[str] = ..., renderer_version: _Optional[str] = ..., adapter_version: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
