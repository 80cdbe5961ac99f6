import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pecia.v1 import constraints_pb2 as _constraints_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_SYSTEM: _ClassVar[Role]
    ROLE_DEVELOPER: _ClassVar[Role]
    ROLE_USER: _ClassVar[Role]
ROLE_UNSPECIFIED: Role
ROLE_SYSTEM: Role
ROLE_DEVELOPER: Role
ROLE_USER: Role

class TemplateRef(_message.Message):
    __slots__ = ("template_id", "semver")
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    semver: str
    def __init__(self, template_id: _Optional[str] = ..., semver: _Optional[str] = ...) -> None: ...

class TemplateDefinition(_message.Message):
    __slots__ = ("template_id", "semver", "role", "content", "constraints", "adapter_version", "description")
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    semver: str
    role: Role
    content: str
    constraints: _constraints_pb2.Constraints
    adapter_version: str
    description: str
    def __init__(self, template_id: _Optional[str] = ..., semver: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., content: _Optional[str] = ..., constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ..., adapter_version: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class Template(_message.Message):
    __slots__ = ("definition", "content_hash", "constraints_hash", "definition_hash", "published_at", "content_bytes", "erased_at")
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_HASH_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_HASH_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_FIELD_NUMBER: _ClassVar[int]
    definition: TemplateDefinition
    content_hash: str
    constraints_hash: str
    definition_hash: str
    published_at: _timestamp_pb2.Timestamp
    content_bytes: int
    erased_at: _timestamp_pb2.Timestamp
    def __init__(self, definition: _Optional[_Union[TemplateDefinition, _Mapping]] = ..., content_hash: _Optional[str] = ..., constraints_hash: _Optional[str] = ..., definition_hash: _Optional[str] = ..., published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., content_bytes: _Optional[int] = ..., erased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TemplateErasure(_message.Message):
    __slots__ = ("template", "definition_hash", "erased_at", "erased_by", "reason")
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_HASH_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_FIELD_NUMBER: _ClassVar[int]
    ERASED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    template: TemplateRef
    definition_hash: str
    erased_at: _timestamp_pb2.Timestamp
    erased_by: str
    reason: str
    def __init__(self, template: _Optional[_Union[TemplateRef, _Mapping]] = ..., definition_hash: _Optional[str] = ..., erased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., erased_by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
