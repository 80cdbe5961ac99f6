from pecia.v1 import template_pb2 as _template_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EraseTemplateRequest(_message.Message):
    __slots__ = ("template", "reason", "request_id")
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    template: _template_pb2.TemplateRef
    reason: str
    request_id: str
    def __init__(self, template: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class EraseTemplateResponse(_message.Message):
    __slots__ = ("erasure", "erased")
    ERASURE_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    erasure: _template_pb2.TemplateErasure
    erased: bool
    def __init__(self, erasure: _Optional[_Union[_template_pb2.TemplateErasure, _Mapping]] = ..., erased: _Optional[bool] = ...) -> None: ...

class ListTemplateErasuresRequest(_message.Message):
    __slots__ = ("template_id", "page_size", "page_token")
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    page_size: int
    page_token: str
    def __init__(self, template_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTemplateErasuresResponse(_message.Message):
    __slots__ = ("erasures", "next_page_token")
    ERASURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    erasures: _containers.RepeatedCompositeFieldContainer[_template_pb2.TemplateErasure]
    next_page_token: str
    def __init__(self, erasures: _Optional[_Iterable[_Union[_template_pb2.TemplateErasure, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
