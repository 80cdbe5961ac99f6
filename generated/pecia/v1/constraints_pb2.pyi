from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Constraints(_message.Message):
    __slots__ = ("forbidden_tokens", "max_sentence_length", "max_paragraphs", "no_emoji", "assertiveness_level", "further")
    FORBIDDEN_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_SENTENCE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_PARAGRAPHS_FIELD_NUMBER: _ClassVar[int]
    NO_EMOJI_FIELD_NUMBER: _ClassVar[int]
    ASSERTIVENESS_LEVEL_FIELD_NUMBER: _ClassVar[int]
    FURTHER_FIELD_NUMBER: _ClassVar[int]
    forbidden_tokens: _containers.RepeatedScalarFieldContainer[str]
    max_sentence_length: int
    max_paragraphs: int
    no_emoji: bool
    assertiveness_level: float
    further: _struct_pb2.Struct
    def __init__(self, forbidden_tokens: _Optional[_Iterable[str]] = ..., max_sentence_length: _Optional[int] = ..., max_paragraphs: _Optional[int] = ..., no_emoji: _Optional[bool] = ..., assertiveness_level: _Optional[float] = ..., further: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
