"""Build payloads and JSON objects for the wire without losing anything silently."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value
from pecia.v1.payload_pb2 import DerivedPayload

_KEYS = ("semantic_traits", "activity_level", "stress", "task")
# In this order, because a bool of Python is an int.
_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bool,), "a boolean"),
    ((int, float), "a number"),
    ((str,), "a string"),
    ((list, tuple), "an array"),
    ((Mapping,), "an object"),
)
_MAX_EXACT_INTEGER = 2**53 - 1
# Protobuf decoders stop at 100 nested messages, and a level of JSON is three of them.
_MAX_DEPTH = 32


def payload_from_mapping(mapping: Mapping[str, object]) -> DerivedPayload:
    """Build a payload from the keys semantic_traits, activity_level, stress and task.

    A missing key stays unset, so that the server refuses the payload; ranges and sizes are the
    server's to check.

    Raises:
        ValueError: It is no mapping, or there is any other key, or a value that the contract cannot carry
            exactly: a wrong type, an integer beyond ±(2^53 − 1), a lone surrogate, more than 32 levels.

    """
    if not isinstance(mapping, Mapping):
        raise ValueError(
            f"a payload is an object with the keys {', '.join(_KEYS)}, not {json_kind(mapping)}; "
            "parse JSON text first"
        )
    unknown = sorted(str(key) for key in mapping if key not in _KEYS)
    if unknown:
        raise ValueError(f"unknown payload keys {', '.join(unknown)}: a payload has only {', '.join(_KEYS)}")
    payload = DerivedPayload()
    if "semantic_traits" in mapping:
        payload.semantic_traits.CopyFrom(struct_from_mapping(mapping["semantic_traits"], "semantic_traits"))
    if "activity_level" in mapping:
        payload.activity_level = number(mapping["activity_level"], "activity_level")
    if "stress" in mapping:
        payload.stress = number(mapping["stress"], "stress")
    if "task" in mapping:
        payload.task = text(mapping["task"], "task")
    return payload


def struct_from_mapping(mapping: object, path: str) -> Struct:
    """Build a Struct from a JSON object; `path` names it in errors.

    Raises:
        ValueError: As for `payload_from_mapping`.

    """
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{path} must be a JSON object, not {json_kind(mapping)}")
    return _struct(mapping, path, 1)


def number(value: object, path: str) -> float:
    """Give a JSON number as a double.

    Raises:
        ValueError: It is no number, or an integer that a double cannot hold exactly.

    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{path} must be a number, not {json_kind(value)}")
    if isinstance(value, int) and abs(value) > _MAX_EXACT_INTEGER:
        raise ValueError(f"{path} is an integer beyond ±(2^53 - 1): write it as a string")
    return float(value)


def text(value: object, path: str) -> str:
    """Give a string that UTF-8 can carry.

    Raises:
        ValueError: It is no string, or holds a lone surrogate.

    """
    if not isinstance(value, str):
        raise ValueError(f"{path} must be a string, not {json_kind(value)}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{path} holds a lone surrogate: it is not Unicode text")
    return value


def json_kind(value: object) -> str:
    """Say what a value is in JSON's words; what JSON does not have keeps its name in Python."""
    if value is None:
        return "null"
    for types, words in _KINDS:
        if isinstance(value, types):
            return words
    return type(value).__name__


def _struct(mapping: Mapping[object, object], path: str, depth: int) -> Struct:
    struct = Struct()
    for key, item in mapping.items():
        name = text(key, f"a key of {path}")
        struct.fields[name].CopyFrom(_value(item, f"{path}.{name}", depth))
    return struct


def _value(item: object, path: str, depth: int) -> Value:
    if depth > _MAX_DEPTH:
        raise ValueError(f"{path} lies deeper than {_MAX_DEPTH} levels")
    if item is None:
        return Value(null_value=NULL_VALUE)
    if isinstance(item, bool):
        return Value(bool_value=item)
    if isinstance(item, str):
        return Value(string_value=text(item, path))
    if isinstance(item, Mapping):
        return Value(struct_value=_struct(item, path, depth + 1))
    if isinstance(item, list | tuple):
        values = [_value(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(item)]
        return Value(list_value=ListValue(values=values))
    return Value(number_value=number(item, path))
