import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pecia.v1 import template_pb2 as _template_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Slot(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SLOT_UNSPECIFIED: _ClassVar[Slot]
    SLOT_SYSTEM: _ClassVar[Slot]
    SLOT_PERSONALITY: _ClassVar[Slot]
    SLOT_ACTIVITY: _ClassVar[Slot]
    SLOT_TASK: _ClassVar[Slot]
SLOT_UNSPECIFIED: Slot
SLOT_SYSTEM: Slot
SLOT_PERSONALITY: Slot
SLOT_ACTIVITY: Slot
SLOT_TASK: Slot

class BundleRef(_message.Message):
    __slots__ = ("bundle_id", "semver", "label")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    semver: str
    label: str
    def __init__(self, bundle_id: _Optional[str] = ..., semver: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class BundleSlots(_message.Message):
    __slots__ = ("system", "personality", "activity", "task")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    PERSONALITY_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    system: _template_pb2.TemplateRef
    personality: _template_pb2.TemplateRef
    activity: _template_pb2.TemplateRef
    task: _template_pb2.TemplateRef
    def __init__(self, system: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., personality: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., activity: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ..., task: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ...) -> None: ...

class BundleDefinition(_message.Message):
    __slots__ = ("bundle_id", "semver", "slots", "tags", "description")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    semver: str
    slots: BundleSlots
    tags: _containers.RepeatedScalarFieldContainer[str]
    description: str
    def __init__(self, bundle_id: _Optional[str] = ..., semver: _Optional[str] = ..., slots: _Optional[_Union[BundleSlots, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ...) -> None: ...

class Bundle(_message.Message):
    __slots__ = ("definition", "bundle_hash", "definition_hash", "published_at")
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_HASH_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_HASH_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    definition: BundleDefinition
    bundle_hash: str
    definition_hash: str
    published_at: _timestamp_pb2.Timestamp
    def __init__(self, definition: _Optional[_Union[BundleDefinition, _Mapping]] = ..., bundle_hash: _Optional[str] = ..., definition_hash: _Optional[str] = ..., published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class InlineBundle(_message.Message):
    __slots__ = ("bundle", "templates")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    bundle: BundleDefinition
    templates: _containers.RepeatedCompositeFieldContainer[_template_pb2.TemplateDefinition]
    def __init__(self, bundle: _Optional[_Union[BundleDefinition, _Mapping]] = ..., templates: _Optional[_Iterable[_Union[_template_pb2.TemplateDefinition, _Mapping]]] = ...) -> None: ...

class PayloadPath(_message.Message):
    __slots__ = ("path", "slots", "required")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    path: str
    slots: _containers.RepeatedScalarFieldContainer[Slot]
    required: bool
    def __init__(self, path: _Optional[str] = ..., slots: _Optional[_Iterable[_Union[Slot, str]]] = ..., required: _Optional[bool] = ...) -> None: ...
