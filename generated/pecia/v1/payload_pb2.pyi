from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DerivedPayload(_message.Message):
    __slots__ = ("semantic_traits", "activity_level", "stress", "task")
    SEMANTIC_TRAITS_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_LEVEL_FIELD_NUMBER: _ClassVar[int]
    STRESS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    semantic_traits: _struct_pb2.Struct
    activity_level: float
    stress: float
    task: str
    def __init__(self, semantic_traits: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., activity_level: _Optional[float] = ..., stress: _Optional[float] = ..., task: _Optional[str] = ...) -> None: ...
