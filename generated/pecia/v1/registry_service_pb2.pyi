from pecia.v1 import bundle_pb2 as _bundle_pb2
from pecia.v1 import constraints_pb2 as _constraints_pb2
from pecia.v1 import diff_pb2 as _diff_pb2
from pecia.v1 import label_pb2 as _label_pb2
from pecia.v1 import template_pb2 as _template_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PublishTemplateRequest(_message.Message):
    __slots__ = ("template", "request_id")
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    template: _template_pb2.TemplateDefinition
    request_id: str
    def __init__(self, template: _Optional[_Union[_template_pb2.TemplateDefinition, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class PublishTemplateResponse(_message.Message):
    __slots__ = ("template", "created")
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    template: _template_pb2.Template
    created: bool
    def __init__(self, template: _Optional[_Union[_template_pb2.Template, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class GetTemplateRequest(_message.Message):
    __slots__ = ("template",)
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    template: _template_pb2.TemplateRef
    def __init__(self, template: _Optional[_Union[_template_pb2.TemplateRef, _Mapping]] = ...) -> None: ...

class GetTemplateResponse(_message.Message):
    __slots__ = ("template",)
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    template: _template_pb2.Template
    def __init__(self, template: _Optional[_Union[_template_pb2.Template, _Mapping]] = ...) -> None: ...

class ListTemplatesRequest(_message.Message):
    __slots__ = ("template_id", "page_size", "page_token")
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    page_size: int
    page_token: str
    def __init__(self, template_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTemplatesResponse(_message.Message):
    __slots__ = ("templates", "next_page_token")
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    templates: _containers.RepeatedCompositeFieldContainer[_template_pb2.Template]
    next_page_token: str
    def __init__(self, templates: _Optional[_Iterable[_Union[_template_pb2.Template, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PublishBundleRequest(_message.Message):
    __slots__ = ("bundle", "request_id")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.BundleDefinition
    request_id: str
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.BundleDefinition, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class PublishBundleResponse(_message.Message):
    __slots__ = ("bundle", "created")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.Bundle
    created: bool
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class GetBundleRequest(_message.Message):
    __slots__ = ("bundle",)
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.BundleRef
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.BundleRef, _Mapping]] = ...) -> None: ...

class GetBundleResponse(_message.Message):
    __slots__ = ("bundle", "payload_paths", "effective_constraints")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_PATHS_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.Bundle
    payload_paths: _containers.RepeatedCompositeFieldContainer[_bundle_pb2.PayloadPath]
    effective_constraints: _constraints_pb2.Constraints
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., payload_paths: _Optional[_Iterable[_Union[_bundle_pb2.PayloadPath, _Mapping]]] = ..., effective_constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ...) -> None: ...

class ListBundlesRequest(_message.Message):
    __slots__ = ("bundle_id", "page_size", "page_token")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    page_size: int
    page_token: str
    def __init__(self, bundle_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBundlesResponse(_message.Message):
    __slots__ = ("bundles", "next_page_token")
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bundles: _containers.RepeatedCompositeFieldContainer[_bundle_pb2.Bundle]
    next_page_token: str
    def __init__(self, bundles: _Optional[_Iterable[_Union[_bundle_pb2.Bundle, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DiffBundlesRequest(_message.Message):
    __slots__ = ("before", "after")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    before: _bundle_pb2.BundleRef
    after: _bundle_pb2.BundleRef
    def __init__(self, before: _Optional[_Union[_bundle_pb2.BundleRef, _Mapping]] = ..., after: _Optional[_Union[_bundle_pb2.BundleRef, _Mapping]] = ...) -> None: ...

class DiffBundlesResponse(_message.Message):
    __slots__ = ("slots", "identical", "before_bundle_hash", "after_bundle_hash")
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    IDENTICAL_FIELD_NUMBER: _ClassVar[int]
    BEFORE_BUNDLE_HASH_FIELD_NUMBER: _ClassVar[int]
    AFTER_BUNDLE_HASH_FIELD_NUMBER: _ClassVar[int]
    slots: _containers.RepeatedCompositeFieldContainer[_diff_pb2.SlotDiff]
    identical: bool
    before_bundle_hash: str
    after_bundle_hash: str
    def __init__(self, slots: _Optional[_Iterable[_Union[_diff_pb2.SlotDiff, _Mapping]]] = ..., identical: _Optional[bool] = ..., before_bundle_hash: _Optional[str] = ..., after_bundle_hash: _Optional[str] = ...) -> None: ...

class SetLabelRequest(_message.Message):
    __slots__ = ("bundle_id", "label", "semver", "etag", "request_id")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    label: str
    semver: str
    etag: str
    request_id: str
    def __init__(self, bundle_id: _Optional[str] = ..., label: _Optional[str] = ..., semver: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetLabelResponse(_message.Message):
    __slots__ = ("label",)
    LABEL_FIELD_NUMBER: _ClassVar[int]
    label: _label_pb2.Label
    def __init__(self, label: _Optional[_Union[_label_pb2.Label, _Mapping]] = ...) -> None: ...

class RollBackLabelRequest(_message.Message):
    __slots__ = ("bundle_id", "label", "etag", "request_id")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    label: str
    etag: str
    request_id: str
    def __init__(self, bundle_id: _Optional[str] = ..., label: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RollBackLabelResponse(_message.Message):
    __slots__ = ("label",)
    LABEL_FIELD_NUMBER: _ClassVar[int]
    label: _label_pb2.Label
    def __init__(self, label: _Optional[_Union[_label_pb2.Label, _Mapping]] = ...) -> None: ...

class DeleteLabelRequest(_message.Message):
    __slots__ = ("bundle_id", "label", "etag", "request_id")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    label: str
    etag: str
    request_id: str
    def __init__(self, bundle_id: _Optional[str] = ..., label: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteLabelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLabelsRequest(_message.Message):
    __slots__ = ("bundle_id", "page_size", "page_token")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    page_size: int
    page_token: str
    def __init__(self, bundle_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLabelsResponse(_message.Message):
    __slots__ = ("labels", "next_page_token")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedCompositeFieldContainer[_label_pb2.Label]
    next_page_token: str
    def __init__(self, labels: _Optional[_Iterable[_Union[_label_pb2.Label, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListLabelEventsRequest(_message.Message):
    __slots__ = ("bundle_id", "label", "page_size", "page_token")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    label: str
    page_size: int
    page_token: str
    def __init__(self, bundle_id: _Optional[str] = ..., label: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLabelEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_label_pb2.LabelEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[_label_pb2.LabelEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
