"""Struct and Timestamp: to the domain and back, and whatever a contract does not know is seen."""

import math

import pytest
from google.protobuf import struct_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st
from pecia.v1 import payload_pb2
from pecia_service.canonical import JsonObject, JsonValue, normalise_json
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.server.convert.structs import (
    from_timestamp,
    json_to_struct,
    struct_to_json,
    to_text,
    to_timestamp,
    unknown_field_numbers,
)
from support.raw import group, nested, number
from support.strategies import any_text, json_values

REASON = ErrorReason.PAYLOAD_INVALID
FIRST = -62_135_596_800
LAST = 253_402_300_799

TRUE = number(4, 1)
"""A Value that is true."""


def entry(key: str, *value: bytes) -> bytes:
    """Write one entry of a Struct's map, whose value is a Value made of parts."""
    return nested(1, nested(1, key.encode()), nested(2, *value))


def list_value(*values: bytes) -> bytes:
    """Write what makes a Value a list."""
    return nested(6, *(nested(1, value) for value in values))


def struct_value(*entries: bytes) -> bytes:
    """Write what makes a Value a Struct."""
    return nested(5, *entries)


def as_doubles(value: JsonValue) -> JsonValue:
    """Return a value with every number as the double that a Struct can hold."""
    if isinstance(value, dict):
        return {key: as_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(st.dictionaries(any_text, json_values, max_size=6))
def test_round_trip(value: dict[str, JsonValue]) -> None:
    """An object comes back as it was, over the wire too; its numbers are doubles."""
    struct = struct_pb2.Struct.FromString(json_to_struct(value).SerializeToString())
    assert as_doubles(value) == struct_to_json(struct, "x", REASON)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"": None},
        {"a": {}, "b": []},
        {"a": [[], [{}], [None, True, False, "", 0.0, -0.0]]},
        {"\U0001f600": 5e-324, "n": 1.7976931348623157e308},
    ],
    ids=ascii,
)
def test_empty_and_extreme(value: JsonObject) -> None:
    """Empty objects and lists stay what they are, and so do the least and the greatest doubles."""
    assert value == struct_to_json(json_to_struct(value), "x", REASON)


def test_booleans_stay_booleans() -> None:
    """True is not one, and null is not false."""
    found = struct_to_json(json_to_struct({"a": [True, 1, None, False, 0]}), "x", REASON)
    assert "[True, 1.0, None, False, 0.0]" == repr(found["a"])


def test_numbers_that_json_lacks_pass_through() -> None:
    """NaN and infinities are read as they are: the payload refuses them, and can say where."""
    struct = struct_pb2.Struct()
    struct.fields["a"].number_value = math.inf
    found = struct_to_json(struct, "x", REASON)
    with pytest.raises(InvalidInputError) as caught:
        normalise_json(found, "x", max_keys=9, max_depth=9, reason=REASON)
    assert {"field": "x.a"} == caught.value.metadata


def test_null_is_null_by_any_number() -> None:
    """An enum that is open has one value here; a number beyond it is still null."""
    struct = struct_pb2.Struct.FromString(entry("a", number(1, 7)))
    assert {"a": None} == struct_to_json(struct, "x", REASON)


@pytest.mark.parametrize(
    "data",
    [
        entry("a"),
        nested(1, nested(1, b"a")),
        entry("a", list_value(TRUE, b"")),
        entry("a", struct_value(entry("b", struct_value(entry("c"))))),
        entry("a", list_value(list_value(struct_value(entry("b"))))),
    ],
    ids=["empty", "absent", "in a list", "in structs", "deep"],
)
@pytest.mark.parametrize("reason", [ErrorReason.PAYLOAD_INVALID, ErrorReason.CONSTRAINTS_INVALID])
def test_a_value_without_a_kind_is_refused(data: bytes, reason: ErrorReason) -> None:
    """A Value that says nothing is no JSON value, and not null, at whatever depth."""
    with pytest.raises(InvalidInputError) as caught:
        struct_to_json(struct_pb2.Struct.FromString(data), "payload.semantic_traits", reason)
    assert reason is caught.value.reason
    assert caught.value.metadata["field"].startswith("payload.semantic_traits")
    assert "set null_value for null" in caught.value.message


@given(st.integers(FIRST * 10**6, LAST * 10**6 + 999_999))
def test_timestamps_round_trip(microseconds: int) -> None:
    """Every microsecond of the years 1 to 9999 comes back, also before 1970."""
    timestamp = to_timestamp(microseconds)
    assert 0 <= timestamp.nanos < 10**9
    assert microseconds == from_timestamp(timestamp, "x")


def test_a_timestamp() -> None:
    """Microseconds since the epoch are seconds and nanoseconds; what is finer is dropped."""
    assert timestamp_pb2.Timestamp(seconds=1_750_000_000, nanos=123_456_000) == to_timestamp(
        1_750_000_000_123_456
    )
    assert 1_500_000 == from_timestamp(timestamp_pb2.Timestamp(seconds=1, nanos=500_000_999), "x")
    assert timestamp_pb2.Timestamp(seconds=-1, nanos=999_999_000) == to_timestamp(-1)


@pytest.mark.parametrize(
    ("microseconds", "expected"),
    [
        (FIRST * 10**6 - 1, timestamp_pb2.Timestamp(seconds=FIRST)),
        (-(2**63), timestamp_pb2.Timestamp(seconds=FIRST)),
        ((LAST + 1) * 10**6, timestamp_pb2.Timestamp(seconds=LAST, nanos=999_999_000)),
        (2**63 - 1, timestamp_pb2.Timestamp(seconds=LAST, nanos=999_999_000)),
    ],
)
def test_times_that_no_timestamp_can_tell(microseconds: int, expected: timestamp_pb2.Timestamp) -> None:
    """A damaged row's time is told as the nearest that a Timestamp may hold, so that the row can be read."""
    assert expected == to_timestamp(microseconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain", "plain"), ("\u00e9\U0001f600", "\u00e9\U0001f600"), ("a\udc80b\ud800", "a?b?")],
)
def test_texts_that_protobuf_can_not_take(text: str, expected: str) -> None:
    """What a damaged row holds of no character is told as question marks, the rest as it is."""
    assert expected == to_text(text)


@pytest.mark.parametrize(("seconds", "nanos"), [(FIRST, 0), (LAST, 999_999_999), (0, 0)])
def test_first_and_last_timestamps(seconds: int, nanos: int) -> None:
    """The first and the last time that a Timestamp may hold are times."""
    timestamp = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)
    assert seconds * 10**6 + nanos // 1000 == from_timestamp(timestamp, "x")


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(FIRST - 1, 0), (LAST + 1, 0), (0, -1), (0, 10**9), (2**63 - 1, 0), (-(2**63), 0), (0, 2**31 - 1)],
)
def test_timestamps_out_of_range(seconds: int, nanos: int) -> None:
    """Anything beyond is refused by name, as the contract of Timestamp wants it."""
    with pytest.raises(InvalidInputError) as caught:
        from_timestamp(timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos), "filter.from")
    assert (ErrorReason.FIELD_INVALID, {"field": "filter.from"}) == (
        caught.value.reason,
        caught.value.metadata,
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (nested(1, entry("a", TRUE), entry("b", list_value(TRUE, struct_value(entry("c", TRUE))))), []),
        (nested(4, b"task"), []),
        (number(9), [9]),
        (number(17) + nested(9, b"x") + number(17), [9, 17]),
        (number(536_870_911), [536_870_911]),
        (group(7, number(1)), [7]),
        (nested(1, number(7)), [7]),
        (nested(1, entry("a", TRUE, number(9))), [9]),
        (nested(1, entry("a", list_value(TRUE, TRUE + number(10)))), [10]),
        (nested(1, entry("a", nested(6, nested(1, TRUE), number(11)))), [11]),
        (nested(1, entry("a", struct_value(number(12)))), [12]),
        (
            nested(1, entry("a", struct_value(entry("b", list_value(struct_value(entry("c", number(13)))))))),
            [13],
        ),
        (nested(1, entry("a", list_value(list_value(list_value(number(14)))))), [14]),
        (number(20) + nested(1, entry("a", number(5, 1), TRUE), entry("b", TRUE, number(19))), [5, 19, 20]),
    ],
    ids=[
        *(
            "nothing",
            "all known",
            "task",
            "top",
            "two at the top",
            "greatest number",
            "group",
            "in the struct",
        ),
        *("in a value", "in a list's value", "in a list", "in an inner struct", "deep", "lists in lists"),
        "at three levels",
    ],
)
def test_unknown_fields(data: bytes, expected: list[int]) -> None:
    """Fields that the contract does not know are found at every level, each number once, in order."""
    assert expected == unknown_field_numbers(payload_pb2.DerivedPayload.FromString(data))


@pytest.mark.parametrize(
    "data",
    [
        nested(1, nested(1, b"a"), nested(2, TRUE), number(3)),
        nested(1, number(3), nested(1, b"a"), nested(2, TRUE)),
        nested(1, nested(1, b"a"), nested(2, TRUE), nested(15, b"vector")),
        nested(1, number(1), nested(2, TRUE)),
        nested(1, nested(1, b"a"), number(2)),
    ],
    ids=["after", "before", "bytes", "wrong type of key", "wrong type of value"],
)
def test_unknown_fields_of_map_entries(data: bytes) -> None:
    """Something unknown beside a map entry's key and value makes the entry unknown, by the map's number."""
    message = payload_pb2.DerivedPayload.FromString(nested(1, entry("b", TRUE), data))
    assert [1] == unknown_field_numbers(message)


@pytest.mark.parametrize("data", [number(4), nested(2, b"x" * 8), nested(3, b"x"), number(1)])
def test_known_numbers_of_another_type_are_unknown(data: bytes) -> None:
    """A field with a known number and another wire type is not that field."""
    message = payload_pb2.DerivedPayload.FromString(data)
    assert 1 == len(unknown_field_numbers(message))


def test_the_message_stays_as_it_was() -> None:
    """Looking for unknown fields does not remove them."""
    data = number(9) + nested(1, entry("a", TRUE, number(9)))
    message = payload_pb2.DerivedPayload.FromString(data)
    size = message.ByteSize()
    assert [9] == unknown_field_numbers(message)
    assert (size, [9]) == (message.ByteSize(), unknown_field_numbers(message))
