"""Canonical JSON is RFC 8785 to the byte, and mostly without its slow implementation."""

import struct
from collections.abc import Sequence

import orjson
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from pecia_service.canonical import JsonObject, JsonValue, canonical_json, canonical_object, exact_numbers
from support.strategies import any_double, any_text, json_objects, json_values

# RFC 8785, appendix B: IEEE 754 bits and the text that they are written as.
RFC_8785_NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


class CountingDumps:
    """Stands in for `rfc8785.dumps` and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0
        self._dumps = rfc8785.dumps

    def __call__(self, value: JsonValue) -> bytes:
        """Count, and answer like the original."""
        self.calls += 1
        return self._dumps(value)


@pytest.fixture
def slow_path(monkeypatch: pytest.MonkeyPatch) -> CountingDumps:
    """Count the uses of the slow path."""
    counting = CountingDumps()
    monkeypatch.setattr(rfc8785, "dumps", counting)
    return counting


@settings(max_examples=500)
@given(json_values)
def test_is_what_the_reference_writes(value: JsonValue) -> None:
    """Any JSON value has the bytes that the rfc8785 package gives it."""
    assert canonical_json(value) == rfc8785.dumps(value)


@settings(max_examples=2000)
@given(any_double)
def test_writes_every_double_as_the_reference(value: float) -> None:
    """A number of any magnitude is written as ECMAScript writes it."""
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.dictionaries(any_text, st.none(), max_size=12))
def test_orders_keys_as_the_reference(value: dict[str, JsonValue]) -> None:
    """Keys of every plane stand in UTF-16 order."""
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("levels", [1, 100, 253, 254, 255, 300])
def test_writes_deep_nesting(levels: int) -> None:
    """Nesting deeper than orjson takes is written like any other."""
    value: JsonValue = 0.5
    for _ in range(levels):
        value = [value]
    assert canonical_json(value) == b"[" * levels + b"0.5" + b"]" * levels


@pytest.mark.parametrize(("bits", "text"), RFC_8785_NUMBERS.items())
def test_writes_the_numbers_of_the_rfc(bits: str, text: str) -> None:
    """The table of RFC 8785, appendix B, holds."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(value).decode() == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0"),
        (1.0, "1"),
        (1e-5, "0.00001"),
        (9.999999999999999e-6, "0.000009999999999999999"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (2**53 - 1, "9007199254740991"),
        (2.0**53 - 1, "9007199254740991"),
        (2.0**53, "9007199254740992"),
        (4503599627370495.5, "4503599627370495.5"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_writes_numbers(value: JsonValue, text: str) -> None:
    """Each number at which implementations differ has its RFC 8785 form."""
    assert canonical_json(value).decode() == text


def test_writes_the_example_of_the_rfc() -> None:
    """The sample of RFC 8785, 3.2.2 and 3.2.4, gives its bytes."""
    value: JsonValue = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_json(value).decode() == expected


def test_orders_the_keys_of_the_rfc() -> None:
    """The sample of RFC 8785, 3.2.3, is in its order: U+1F600 before U+FB33."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written: dict[str, JsonValue] = orjson.loads(canonical_json(dict.fromkeys(keys)))
    assert list(written) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_escapes_only_what_json_must() -> None:
    """Control characters are escaped as the RFC says; everything else stands as it is."""
    text = '\x08\t\n\x0c\r\x01\x1f"\\/\x7f\u2028\U0001f600'
    assert canonical_json(text).decode() == '"\\b\\t\\n\\f\\r\\u0001\\u001f\\"\\\\/\x7f\u2028\U0001f600"'


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        2**53,
        -(2**53),
        10**400,
        "\ud800",
        "a\udfffb",
        {"\ud83d": 1},
        b"bytes",
        bytearray(b"bytes"),
        pytest.param(memoryview(b"bytes"), id="memoryview"),
    ],
    ids=ascii,
)
def test_refuses_what_has_no_form(value: Sequence[int] | str | float) -> None:
    """NaN, infinities, unsafe integers, lone surrogates and bytes are errors wherever they stand."""
    with pytest.raises(ValueError, match="RFC 8785"):
        canonical_json(value)
    with pytest.raises(ValueError, match="RFC 8785"):
        canonical_json({"list": [1, value]})


def test_refuses_nesting_without_end() -> None:
    """A value too deep for the interpreter is a ValueError and not a RecursionError."""
    value: JsonValue = None
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="RFC 8785"):
        canonical_json(value)


@pytest.mark.parametrize(
    "value",
    [
        {"task": "Plan the day.", "stress": 0.25, "activity_level": 1.0, "semantic_traits": {"mood": "calm"}},
        {"\u00e5": "\U0001f600", "\uffff": [1, 0.5, -0.0, None, True]},
        1e-5,
        2.0**53 - 1,
    ],
    ids=ascii,
)
def test_needs_no_slow_path_for_common_values(value: JsonValue, slow_path: CountingDumps) -> None:
    """What payloads usually hold is written by orjson."""
    canonical_json(value)
    assert slow_path.calls == 0


@pytest.mark.parametrize(
    "value",
    [1e-6, 2.0**53, -1e300, {"\U0001f600": 1}, {"a": [{"b": 1e21}]}],
    ids=ascii,
)
def test_takes_the_slow_path_where_orjson_differs(value: JsonValue, slow_path: CountingDumps) -> None:
    """What orjson writes otherwise goes to the reference implementation, as a whole."""
    canonical_json(value)
    assert slow_path.calls == 1


def test_leaves_its_input_alone() -> None:
    """Writing a value changes neither its numbers nor its order."""
    value: dict[str, JsonValue] = {"b": [1.0, {"d": 2.0, "c": 3.0}], "a": 1.0}
    canonical_json(value)
    assert repr(value) == "{'b': [1.0, {'d': 2.0, 'c': 3.0}], 'a': 1.0}"


@given(json_values)
def test_can_be_read_back(value: JsonValue) -> None:
    """Canonical bytes, parsed and written again, are the same bytes."""
    written = canonical_json(value)
    assert canonical_json(exact_numbers(orjson.loads(written))) == written


def test_reading_back_makes_large_integers_doubles_again() -> None:
    """Integers beyond 2**53 - 1 in canonical JSON stand for doubles; others stay as they are."""
    value: JsonValue = {"a": [100000000000000000, -(2**53), 2**53 - 1, True, "x", None, 0.5]}
    assert repr(exact_numbers(value)) == (
        "{'a': [1e+17, -9007199254740992.0, 9007199254740991, True, 'x', None, 0.5]}"
    )


@given(members=json_objects, value=json_values)
def test_an_object_takes_what_is_canonical_already(members: JsonObject, value: JsonValue) -> None:
    """An object with a member that was written before is the one with the member's value."""
    assert canonical_object(members, given=canonical_json(value)) == canonical_json(
        {**members, "given": value}
    )


def test_an_object_with_a_member_of_no_canonical_form_is_refused() -> None:
    """What RFC 8785 has no form for is a ValueError also beside a member that has one."""
    with pytest.raises(ValueError, match="RFC 8785 has no form"):
        canonical_object({"text": "\ud800"}, given=b"[]")
