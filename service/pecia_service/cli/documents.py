"""Turn messages of the contract into plain JSON values with the contract's field names.

Every field is there: what is unset is null. Enums are written by name without their prefix, slots and roles
by their canonical names; times as RFC 3339 in UTC with microseconds; bytes, which are JSON text, as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from pecia_client.messages import Slot

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


def slot_names(numbers: Iterable[Slot]) -> list[str]:
    """Return slots by their canonical names."""
    return [_short_name(Slot.Name(number), "Slot") for number in numbers]


def timestamp_text(moment: Timestamp) -> str:
    """Return a moment as RFC 3339 in UTC with microseconds."""
    return _text(moment.ToDatetime(UTC))


def time_cell(moment: Timestamp) -> str:
    """Return a moment to the second, for a table."""
    return _cell(moment.ToDatetime(UTC))


def microseconds_text(moment: int) -> str:
    """Return a moment in microseconds since the epoch as `timestamp_text` does."""
    return _of_microseconds(moment, _text)


def microseconds_cell(moment: int) -> str:
    """Return a moment in microseconds since the epoch to the second, for a table."""
    return _of_microseconds(moment, _cell)


def _of_microseconds(moment: int, write: Callable[[datetime], str]) -> str:
    try:
        return write(_EPOCH + timedelta(microseconds=moment))
    except OverflowError:
        # Only what somebody changed has such a time.
        return str(moment)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cell(moment: datetime) -> str:
    # strftime would write years before 1000 with fewer digits.
    return f"{moment.isoformat(' ', timespec='seconds').removesuffix('+00:00')}Z"


def _field(message: Message, name: str) -> object:
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if field.has_presence and not message.HasField(name):
        return None
    enum = field.enum_type
    if enum is not None:
        numbers = value if field.is_repeated else [value]
        known = enum.values_by_number
        # A newer server may answer what this client has no name for.
        names = [
            _short_name(known[number].name, enum.name) if number in known else str(number)
            for number in numbers
        ]
        return names if field.is_repeated else names[0]
    return [_value(item) for item in value] if field.is_repeated else _value(value)


def _value(value: object) -> object:
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Struct):
        return MessageToDict(value)
    if isinstance(value, Message):
        return document(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value


def _short_name(name: str, enum: str) -> str:
    """Take the enum's prefix off, and give slots and roles their canonical names."""
    short = name.removeprefix(f"{_WORD_START.sub('_', enum).upper()}_")
    return short.lower() if enum in _CANONICAL_ENUMS else short
