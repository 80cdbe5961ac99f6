"""google.protobuf.Struct and Timestamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf import struct_pb2, timestamp_pb2
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from pecia_service.canonical import JsonObject, JsonValue
from pecia_service.errors import ErrorReason, invalid_field

MICROSECONDS = 1_000_000

# 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z, the ends of what a Timestamp can tell.
_FIRST = -62_135_596_800 * MICROSECONDS
_LAST = 253_402_300_800 * MICROSECONDS - 1


def to_text(text: str) -> str:
    """Return a text that protobuf takes, with question marks for what a damaged row holds of no character."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def struct_to_json(struct: struct_pb2.Struct, field: str, reason: ErrorReason) -> dict[str, JsonValue]:
    """Read a Struct as it is; raises InvalidInputError (`reason`) for a Value that is none of its kinds."""
    try:
        return _object_to_json(struct)
    except _NoKindError:
        raise invalid_field(reason, field, "holds a Value without a kind; set null_value for null") from None


class _NoKindError(Exception):
    """A Value has none of its kinds."""


def _object_to_json(struct: struct_pb2.Struct) -> dict[str, JsonValue]:
    fields = struct.fields
    # Its items() are those of an abstract class in Python.
    return {key: _value_to_json(fields[key]) for key in fields}


def _value_to_json(value: struct_pb2.Value) -> JsonValue:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _object_to_json(value.struct_value)
        case "list_value":
            return [_value_to_json(item) for item in value.list_value.values]
        case "null_value":
            return None
    raise _NoKindError


def json_to_struct(value: JsonObject) -> struct_pb2.Struct:
    """Write a JSON object as a Struct."""
    struct = struct_pb2.Struct()
    for key, item in value.items():
        _json_to_value(item, struct.fields[key])
    return struct


def _json_to_value(item: JsonValue, value: struct_pb2.Value) -> None:
    if item is None:
        value.null_value = struct_pb2.NULL_VALUE
    elif isinstance(item, bool):
        value.bool_value = item
    elif isinstance(item, str):
        value.string_value = item
    elif isinstance(item, int | float):
        value.number_value = item
    elif isinstance(item, Mapping):
        value.struct_value.CopyFrom(json_to_struct(item))
    else:
        value.list_value.SetInParent()
        for element in item:
            _json_to_value(element, value.list_value.values.add())


def to_timestamp(microseconds: int) -> timestamp_pb2.Timestamp:
    """Write microseconds since the epoch; what lies outside the years 1 to 9999 becomes their nearest end."""
    timestamp = timestamp_pb2.Timestamp()
    write_timestamp(microseconds, timestamp)
    return timestamp


def write_timestamp(microseconds: int, timestamp: timestamp_pb2.Timestamp) -> None:
    """Write as `to_timestamp` does, into a message that is there."""
    timestamp.seconds, rest = divmod(max(_FIRST, min(microseconds, _LAST)), MICROSECONDS)
    timestamp.nanos = rest * 1000


def from_timestamp(timestamp: timestamp_pb2.Timestamp, field: str) -> int:
    """Read microseconds since the epoch; raises InvalidInputError for what is no time of years 1 to 9999."""
    in_range = _FIRST <= timestamp.seconds * MICROSECONDS <= _LAST
    if not in_range or not 0 <= timestamp.nanos < 1_000_000_000:
        raise invalid_field(ErrorReason.FIELD_INVALID, field, "is not a time of the years 1 to 9999")
    return timestamp.seconds * MICROSECONDS + timestamp.nanos // 1000


def unknown_field_numbers(message: Message) -> list[int]:
    """Return the numbers of the fields anywhere in a message that its contract does not know, in order."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    # Discarding and comparing sizes is native code; the walk that names the numbers is for the rare case.
    if known.ByteSize() == message.ByteSize():
        return []
    return sorted(set(_walk_unknown(message)))


def _walk_unknown(message: Message) -> list[int]:
    unknown = UnknownFieldSet(message)
    numbers = [unknown[index].field_number for index in range(len(unknown))]
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        items: Sequence[Message]
        if descriptor.message_type.GetOptions().map_entry:
            items = [item for item in value.values() if isinstance(item, Message)]
        else:
            # A ListValue is a message that counts as a sequence too.
            items = [value] if isinstance(value, Message) else value
        for item in items:
            numbers.extend(_walk_unknown(item))
    return numbers
