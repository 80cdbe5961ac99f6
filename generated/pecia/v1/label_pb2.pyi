import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LabelAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_ACTION_UNSPECIFIED: _ClassVar[LabelAction]
    LABEL_ACTION_SET: _ClassVar[LabelAction]
    LABEL_ACTION_ROLL_BACK: _ClassVar[LabelAction]
    LABEL_ACTION_DELETE: _ClassVar[LabelAction]
LABEL_ACTION_UNSPECIFIED: LabelAction
LABEL_ACTION_SET: LabelAction
LABEL_ACTION_ROLL_BACK: LabelAction
LABEL_ACTION_DELETE: LabelAction

class Label(_message.Message):
    __slots__ = ("bundle_id", "label", "semver", "etag", "updated_at", "updated_by")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_BY_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    label: str
    semver: str
    etag: str
    updated_at: _timestamp_pb2.Timestamp
    updated_by: str
    def __init__(self, bundle_id: _Optional[str] = ..., label: _Optional[str] = ..., semver: _Optional[str] = ..., etag: _Optional[str] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_by: _Optional[str] = ...) -> None: ...

class LabelEvent(_message.Message):
    __slots__ = ("bundle_id", "label", "revision", "action", "from_semver", "to_semver", "actor", "occurred_at")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FROM_SEMVER_FIELD_NUMBER: _ClassVar[int]
    TO_SEMVER_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    label: str
    revision: int
    action: LabelAction
    from_semver: str
    to_semver: str
    actor: str
    occurred_at: _timestamp_pb2.Timestamp
    def __init__(self, bundle_id: _Optional[str] = ..., label: _Optional[str] = ..., revision: _Optional[int] = ..., action: _Optional[_Union[LabelAction, str]] = ..., from_semver: _Optional[str] = ..., to_semver: _Optional[str] = ..., actor: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
