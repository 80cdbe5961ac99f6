from pecia.v1 import bundle_pb2 as _bundle_pb2
from pecia.v1 import template_pb2 as _template_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SlotDiff(_message.Message):
    __slots__ = ("slot", "before", "after", "changed", "content_diff", "constraints_diff", "before_role", "after_role")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIFF_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_DIFF_FIELD_NUMBER: _ClassVar[int]
    BEFORE_ROLE_FIELD_NUMBER: _ClassVar[int]
    AFTER_ROLE_FIELD_NUMBER: _ClassVar[int]
    slot: _bundle_pb2.Slot
    before: _template_pb2.TemplateRef
    after: _template_pb2.TemplateRef
    changed: bool
    content_diff: str
    constraints_diff: str
    before_role: _template_pb2.Role
    after_role: _template_pb2.Role
    def __init__(self, slot: _Optional[_Union[_bundle_pb2.Slot, str]] = ..., before: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., after: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., changed: _Optional[bool] = ..., content_diff: _Optional[str] = ..., constraints_diff: _Optional[str] = ..., before_role: _Optional[_Union[_template_pb2.Role, str]] = ..., after_role: _Optional[_Union[_template_pb2.Role, str]] = ...) -> None: ...
