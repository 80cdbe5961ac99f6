"""Requests that no well-meant client sends: broken bytes, and well-formed messages that are wicked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from pecia.v1 import admin_service_pb2, prompt_service_pb2, registry_service_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from support.raw import group, nested, number, tag, varint
from support.wire import inline_bundle, label_ref, payload, template, version_ref

SECRET: Final = "hostile-text-that-no-log-may-hold"
METHODS: Final[dict[str, MethodDescriptor]] = {
    f"/{service.full_name}/{method.name}": method
    for file in (prompt_service_pb2, registry_service_pb2, admin_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}

_TEXTS: Final = (
    "",
    "companion",
    "companion-task",
    "1.0.0",
    "live",
    "{{task}} {{semantic_traits.mood}} {{constraints}}",
    "{{" * 500,
    "a\x00b\x1b[31m\u202e\ufeff",
    "🏳️‍🌈é\u0301" * 50,
    "𐀀\uffff\U0010ffff",
    "../../etc/passwd",
    "'; DROP TABLE templates; --",
    "9" * 400,
    "v1.0.0-rc.1+build",
    "x" * 5_000,
    "00000000-0000-0000-0000-000000000000",
    "0199aaaa-0000-7000-8000-000000000000",
)
_NUMBERS: Final = (0, 1, -1, 50, 201, 2**31 - 1, -(2**31))
_LARGE_NUMBERS: Final = (0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 253402300800)
_FLOATS: Final = (0.0, -0.0, 0.5, 1.0, 1.0000001, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1.7e308)
_BAD_UTF8: Final = (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abc\x80", b"\xe2\x82")
_STRINGS: Final = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_FLOATING: Final = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)
_UNSIGNED: Final = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED32)
_LARGE: Final = (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64)
_DEPTH: Final = 5


@dataclass(frozen=True)
class Case:
    """One request, of one or several messages: what kind it is, and where it goes."""

    kind: str
    method: str
    messages: tuple[bytes, ...]


class Hostility:
    """Makes cases from a seed; only messages that are oversized are longer than `largest` bytes."""

    def __init__(self, random: Random, largest: int) -> None:
        self._random = random
        self._largest = largest
        self._kinds: dict[str, Callable[[str], bytes]] = {
            "truncated": self._truncated,
            "oversized": self._oversized,
            "random": lambda _: random.randbytes(random.randrange(300)),
            "nested": self._nested,
            "wrong types": self._wrong_types,
            "invalid UTF-8": self._invalid_utf8,
            "changed bytes": self._changed,
            "spliced": self._spliced,
            "lying lengths": self._lying,
            "another method's": lambda _: self._seed(random.choice(list(METHODS))),
            "wicked values": self._wicked,
        }

    def case(self) -> Case:
        """Make the next case."""
        method = self._random.choice(list(METHODS))
        # What is oversized costs the most and says the least.
        weights = [0.1 if kind == "oversized" else 1.0 for kind in self._kinds]
        (kind,) = self._random.choices(list(self._kinds), weights)
        count = self._random.randrange(1, 4) if METHODS[method].client_streaming else 1
        messages = [self._seed(method) for _ in range(count - 1)]
        messages.insert(self._random.randrange(count), self._kinds[kind](method))
        return Case(kind, method, tuple(messages))

    def _seed(self, method: str) -> bytes:
        """Return a request that could be meant well."""
        made = _SEEDS.get(METHODS[method].name)
        if made is not None and self._random.random() < 0.7:
            return self._random.choice(made).SerializeToString()
        return self._wicked(method)

    def _truncated(self, method: str) -> bytes:
        raw = self._seed(method)
        return raw[: self._random.randrange(len(raw) + 1)]

    def _oversized(self, method: str) -> bytes:
        return self._seed(method) + nested(1000, b"x" * (self._largest + self._random.randrange(10_000)))

    def _nested(self, method: str) -> bytes:
        """Nest groups, or values within values where the request has a payload."""
        depth = self._random.choice((20, 98, 99, 100, 101, 500, 3_000))
        raw = b""
        if METHODS[method].name == "Render" and self._random.random() < 0.7:
            # A Value whose list_value (6) holds a Value (1), and so on.
            for _ in range(depth):
                raw = nested(1, nested(6, raw))[: self._largest // 2]
            entry = nested(1, nested(1, b"deep"), nested(2, raw))
            return nested(3, nested(1, entry)) + self._seed(method)
        for _ in range(depth):
            raw = group(self._random.randrange(1, 20), raw)
        return self._seed(method) + raw

    def _wrong_types(self, method: str) -> bytes:
        """Give fields of the request the wire types of others."""
        fields = [field.number for field in METHODS[method].input_type.fields] or [1]
        raw = b""
        for _ in range(self._random.randrange(1, 5)):
            field = self._random.choice(fields)
            raw += self._random.choice(
                (
                    number(field, self._random.getrandbits(64)),
                    tag(field, 1) + self._random.randbytes(8),
                    tag(field, 5) + self._random.randbytes(4),
                    nested(field, self._random.randbytes(self._random.randrange(20))),
                    group(field, number(1)),
                    tag(field, self._random.choice((3, 4, 6, 7))),
                )
            )
        return self._seed(method) + raw if self._random.random() < 0.5 else raw

    def _invalid_utf8(self, method: str) -> bytes:
        """Put bytes that are no UTF-8 into a string of the request, or of a message in it."""
        path: list[int] = []
        message: Descriptor | None = METHODS[method].input_type
        while message is not None and message.fields:
            field = self._random.choice(message.fields)
            path.append(field.number)
            message = field.message_type
        raw = self._random.choice(_BAD_UTF8)
        for field_number in reversed(path or [1]):
            raw = nested(field_number, raw)
        return self._seed(method) + raw

    def _changed(self, method: str) -> bytes:
        raw = bytearray(self._seed(method) or b"\0")
        for _ in range(self._random.randrange(1, 6)):
            place = self._random.randrange(len(raw))
            raw[place] = self._random.randrange(256)
        return bytes(raw)

    def _spliced(self, method: str) -> bytes:
        raw, other = self._seed(method), self._seed(self._random.choice(list(METHODS)))
        place = self._random.randrange(len(raw) + 1)
        start = self._random.randrange(len(other) + 1)
        return raw[:place] + other[start : start + self._random.randrange(200)] + raw[place:]

    def _lying(self, method: str) -> bytes:
        """End with a length of more bytes than there are."""
        field = self._random.randrange(1, 20)
        length = self._random.choice((1, 127, 2**21, 2**31 - 1, 2**32, 2**63, 2**64 - 1))
        return self._seed(method) + tag(field, 2) + varint(length) + self._random.randbytes(3)

    def _wicked(self, method: str) -> bytes:
        """Make a well-formed request of values that are hard to handle."""
        message = message_factory.GetMessageClass(METHODS[method].input_type)()
        self._fill(message, 0)
        return message.SerializeToString()[: self._largest]

    def _fill(self, message: Message, depth: int) -> None:
        for field in message.DESCRIPTOR.fields:
            if self._random.random() < 0.35:
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                self._fill_map(getattr(message, field.name), field, depth)
            elif field.is_repeated:
                values = getattr(message, field.name)
                for _ in range(self._random.choice((1, 1, 2, 3, 70))):
                    if field.message_type is None:
                        values.append(self._value(field))
                    elif depth < _DEPTH:
                        self._fill(values.add(), depth + 1 + len(values) // 3)
            elif field.message_type is None:
                setattr(message, field.name, self._value(field))
            elif depth < _DEPTH:
                self._fill(getattr(message, field.name), depth + 1)

    def _fill_map(self, values: Any, field: Any, depth: int) -> None:
        value = field.message_type.fields_by_name["value"]
        for _ in range(self._random.randrange(4)):
            key = self._random.choice(_TEXTS)
            if value.message_type is None:
                values[key] = self._value(value)
            elif depth < _DEPTH:
                self._fill(values[key], depth + 1)

    def _value(self, field: Any) -> Any:
        if field.type in _STRINGS:
            text = self._random.choice(_TEXTS)
            return text if field.type == FieldDescriptor.TYPE_STRING else text.encode()
        if field.type in _FLOATING:
            return self._random.choice(_FLOATS)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self._random.random() < 0.5
        if field.type == FieldDescriptor.TYPE_ENUM:
            return self._random.choice((0, 1, 2, 3, 99, -1))
        if field.type in _UNSIGNED:
            return self._random.choice((0, 1, 2**31, 2**32 - 1))
        return self._random.choice(_LARGE_NUMBERS if field.type in _LARGE else _NUMBERS)


_RENDER: Final = pb.RenderRequest(bundle=version_ref(), payload=payload({"mood": SECRET}))
_SEEDS: Final[dict[str, list[Message]]] = {
    "Render": [
        _RENDER,
        pb.RenderRequest(bundle=label_ref("live"), payload=payload(task=SECRET)),
        pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload({"a": [1, {"b": None}]})),
    ],
    "RenderBatch": [pb.RenderBatchRequest(requests=[_RENDER] * 3), pb.RenderBatchRequest()],
    "RenderStream": [pb.RenderStreamRequest(correlation_id="1", request=_RENDER)],
    "CheckOutput": [pb.CheckOutputRequest(bundle=version_ref(), output=f"Sure! {SECRET} 😀")],
    "Replay": [pb.ReplayRequest(render_id="0199aaaa-0000-7000-8000-000000000000")],
    "ListAuditRecords": [pb.ListAuditRecordsRequest(page_size=3, page_token="abc")],
    "PublishTemplate": [
        registry_pb.PublishTemplateRequest(template=template(f"t{index}", content=SECRET))
        for index in range(5)
    ],
    "GetBundle": [registry_pb.GetBundleRequest(bundle=version_ref())],
    "SetLabel": [registry_pb.SetLabelRequest(bundle_id="companion", label="live", semver="1.0.0")],
    "ListTemplates": [registry_pb.ListTemplatesRequest(page_size=3)],
}
