"""Turn messages of the contract into plain JSON values with the contract's field names.

Every field is there: what is unset is null. Enums are written by name without their prefix, slots and roles
by their canonical names; times as RFC 3339 in UTC with microseconds; bytes, which are JSON text, as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from pecia_client.messages import Slot

_CANONICAL_ENUMS = frozenset({"Slot", "Role"})
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")

Document = dict[str, Any]


def document(message: Message, *, without: Iterable[str] = ()) -> Document:
    """Return a message as a JSON object; `without` names fields of the message to leave out."""
    left_out = frozenset(without)
    names = [field.name for field in message.DESCRIPTOR.fields]
    return {name: _field(message, name) for name in names if name not in left_out}


def enum_name(message: Message, field: str) -> str:
    """Return the name of an enum field's value, as a document has it."""
    name = _field(message, field)
    assert isinstance(name, str)
    return name


def slot_names(numbers: Iterable[int]) -> list[str]:
    """Return slots by their canonical names."""
    return [_enum(number, Slot.DESCRIPTOR) for number in numbers]


def timestamp_text(moment: Timestamp) -> str:
    """Return a moment as RFC 3339 in UTC with microseconds."""
    return moment.ToDatetime(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _field(message: Message, name: str) -> object:
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if field.is_repeated:
        return [_value(item, field.enum_type) for item in value]
    if field.has_presence and not message.HasField(name):
        return None
    return _value(value, field.enum_type)


def _value(value: object, enum: EnumDescriptor | None) -> object:
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Struct):
        return MessageToDict(value)
    if isinstance(value, Message):
        return document(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if enum is not None and isinstance(value, int):
        return _enum(value, enum)
    return value


def _enum(number: int, enum: EnumDescriptor) -> str:
    known = enum.values_by_number.get(number)
    if known is None:
        return str(number)
    prefix = _WORD_START.sub("_", enum.name).upper() + "_"
    name = known.name.removeprefix(prefix)
    return name.lower() if enum.name in _CANONICAL_ENUMS else name
