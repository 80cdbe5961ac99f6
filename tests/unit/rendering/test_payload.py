"""The derived payload: four required fields within their limits, one canonical form, one hash."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.canonical import JsonObject, JsonValue
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.rendering.payload import MISSING, Payload
from support.strategies import clean_text, json_objects

levels = st.floats(0, 1) | st.sampled_from([0, 1, 0.0, -0.0, 1.0, 5e-324, 1e-7])


def create(**fields: Any) -> Payload:
    """Make a payload that is complete but for what the test gives."""
    given_fields = {"semantic_traits": {}, "activity_level": 0.5, "stress": 0.5, "task": "t", **fields}
    return Payload.create(**given_fields)


def error_of(**fields: Any) -> InvalidInputError:
    """Return the error that a payload is refused with."""
    with pytest.raises(InvalidInputError) as caught:
        create(**fields)
    return caught.value


def test_worked_example_of_the_contract() -> None:
    """The example in payload.proto has the bytes and the hash that stand there."""
    payload = Payload.create(
        semantic_traits={"openness": 0.8, "mood": "calm"},
        activity_level=1.0,
        stress=0.25,
        task="Plan the day.",
    )
    assert payload.canonical == (
        b'{"activity_level":1,"semantic_traits":{"mood":"calm","openness":0.8},"stress":0.25,'
        b'"task":"Plan the day."}'
    )
    assert payload.payload_hash == "f8ed78ee685f58f1777ef5e12ab8c49a89d2b41f3106b995da5c9e24ebd08cc6"


def test_normalises_text_and_numbers() -> None:
    """Task, trait keys and trait texts are normalised, whole numbers are integers, zero has no sign."""
    payload = create(
        semantic_traits={"A\u030a\r": ["\ufeffe\u0301\r\n", 2.0, 1e21]},
        activity_level=-0.0,
        task="\ufeffa\rb\n",
    )
    assert payload.canonical.decode() == (
        '{"activity_level":0,"semantic_traits":{"\u00c5\\n":["\u00e9\\n",2,1e+21]},"stress":0.5,"task":"a\\nb\\n"}'
    )


def test_a_task_keeps_its_trailing_line_feeds() -> None:
    """Only templates lose trailing line feeds; a value is the caller's."""
    assert create(task="a\r\n\r\n").task == "a\n\n"


def test_hash_does_not_depend_on_order_or_number_type() -> None:
    """Key order and the difference of 1 and 1.0 are not in the canonical form."""
    first = create(semantic_traits={"a": 1, "b": {"c": 2.0, "d": 3}}, activity_level=1, stress=0)
    second = create(semantic_traits={"b": {"d": 3.0, "c": 2}, "a": 1.0}, activity_level=1.0, stress=-0.0)
    assert first.payload_hash == second.payload_hash


@given(json_objects, levels, levels, clean_text)
def test_payload_hash_is_the_hash_of_the_canonical_form(
    traits: dict[str, JsonValue], activity_level: float, stress: float, task: str
) -> None:
    """Anyone with the canonical bytes can compute the hash."""
    payload = create(semantic_traits=traits, activity_level=activity_level, stress=stress, task=task)
    assert payload.payload_hash == hashlib.sha256(payload.canonical).hexdigest()


@given(json_objects, levels, levels, clean_text)
def test_restore_gives_what_was_stored(
    traits: dict[str, JsonValue], activity_level: float, stress: float, task: str
) -> None:
    """A payload read back from its canonical form is the same payload."""
    payload = create(semantic_traits=traits, activity_level=activity_level, stress=stress, task=task)
    assert Payload.restore(payload.canonical) == payload


def test_restore_normalises_nothing() -> None:
    """A stored text that today's rules would change is restored as it is."""
    stored = b'{"activity_level":1,"semantic_traits":{},"stress":0,"task":"A\xcc\x8a\\r"}'
    restored = Payload.restore(stored)
    assert restored is not None
    assert restored.task == "A\u030a\r"
    assert restored.canonical == stored


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"activity_level":1,"semantic_traits":{},"stress":0}',
        b'{"activity_level":1,"extra":1,"semantic_traits":{},"stress":0,"task":""}',
        b'{"activity_level":1,"semantic_traits":[],"stress":0,"task":""}',
        b'{"activity_level":1,"semantic_traits":null,"stress":0,"task":""}',
        b'{"activity_level":1,"semantic_traits":{},"stress":0,"task":1}',
        b'{"activity_level":1,"semantic_traits":{},"stress":0,"task":null}',
        b'{"activity_level":2,"semantic_traits":{},"stress":0,"task":""}',
        b'{"activity_level":1,"semantic_traits":{},"stress":-1,"task":""}',
        b'{"activity_level":1,"semantic_traits":{},"stress":true,"task":""}',
        b'{"activity_level":null,"semantic_traits":{},"stress":0,"task":""}',
        b'{"activity_level":"1","semantic_traits":{},"stress":0,"task":""}',
        b'{"activity_level":1,"semantic_traits":{},"stress":0,"task":"\xff"}',
        b'{"activity_level":1,"semantic_traits":{},"stress":0,"task":"\\ud800"}',
        b'{"activity_level":1,"semantic_traits":{"a":NaN},"stress":0,"task":""}',
    ],
)
def test_restore_refuses_what_is_no_payload(stored: bytes) -> None:
    """Bytes that are not the form of a payload give None."""
    assert Payload.restore(stored) is None


@pytest.mark.parametrize(
    "stored",
    [
        b' {"activity_level":1,"semantic_traits":{},"stress":0,"task":""}',
        b'{"activity_level":1.0,"semantic_traits":{},"stress":0,"task":""}',
        b'{"activity_level":1,"semantic_traits":{},"task":"","stress":0}',
        b'{"activity_level":1,"semantic_traits":{"a":1,"a":2},"stress":0,"task":""}',
        b'{"activity_level":1,"semantic_traits":{},"stress":0,"task":"\\u001F"}',
        b'{"activity_level":1,"semantic_traits":{},"stress":0,"task":"\\/"}',
        b'{"activity_level":1,"semantic_traits":{"a":1E-7},"stress":0,"task":""}',
    ],
)
def test_restore_refuses_equivalent_bytes(stored: bytes) -> None:
    """Bytes that mean a payload but are not its canonical form were not the ones stored."""
    assert Payload.restore(stored) is None


def test_restore_survives_hostile_nesting() -> None:
    """A stored value that is nested without end is no payload, and no crash."""
    nested = b'{"a":' * 1000 + b"1" + b"}" * 1000
    stored = b'{"activity_level":1,"semantic_traits":' + nested + b',"stress":0,"task":""}'
    assert Payload.restore(stored) is None


@pytest.mark.parametrize("field", ["semantic_traits", "activity_level", "stress", "task"])
def test_every_field_is_required(field: str) -> None:
    """A forgotten field is refused by name and not read as zero."""
    error = error_of(**{field: None})
    assert error.reason is ErrorReason.PAYLOAD_INVALID
    assert error.message == (
        f"payload.{field}: is missing; all of activity_level, semantic_traits, stress, task are required"
    )


def test_empty_values_are_values() -> None:
    """No traits, zero and the empty task are given, not missing."""
    payload = Payload.create(semantic_traits={}, activity_level=0, stress=0, task="")
    assert payload.canonical == b'{"activity_level":0,"semantic_traits":{},"stress":0,"task":""}'


@pytest.mark.parametrize("field", ["activity_level", "stress"])
@pytest.mark.parametrize(
    "value",
    [
        -5e-324,
        -1,
        1.0000000000000002,
        2,
        10**400,
        float("nan"),
        float("inf"),
        float("-inf"),
        True,
        "0.5",
        [0.5],
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_levels_are_numbers_from_0_to_1(field: str, value: JsonValue) -> None:
    """Anything else, NaN included, is refused by name."""
    error = error_of(**{field: value})
    assert error.reason is ErrorReason.PAYLOAD_INVALID
    assert error.message == f"payload.{field}: must be a number from 0 to 1"


@pytest.mark.parametrize(
    ("field", "value", "description"),
    [
        ("semantic_traits", [], "must be a JSON object"),
        ("semantic_traits", "{}", "must be a JSON object"),
        ("semantic_traits", 1, "must be a JSON object"),
        ("task", 1, "must be text"),
        ("task", ["t"], "must be text"),
    ],
    ids=ascii,
)
def test_fields_have_their_types(field: str, value: JsonValue, description: str) -> None:
    """Traits are an object and the task is text."""
    error = error_of(**{field: value})
    assert error.reason is ErrorReason.PAYLOAD_INVALID
    assert error.message == f"payload.{field}: {description}"


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"task": "\x00"}, ErrorReason.TEXT_INVALID, "payload.task"),
        ({"task": "\ud800"}, ErrorReason.TEXT_INVALID, "payload.task"),
        ({"semantic_traits": {"a": "\x00"}}, ErrorReason.TEXT_INVALID, "payload.semantic_traits.a"),
        ({"semantic_traits": {"\x00": "a"}}, ErrorReason.TEXT_INVALID, "payload.semantic_traits"),
        (
            {"semantic_traits": {"A\u030a": 1, "\u00c5": 1}},
            ErrorReason.KEY_COLLISION,
            "payload.semantic_traits",
        ),
        ({"semantic_traits": {"a": float("nan")}}, ErrorReason.PAYLOAD_INVALID, "payload.semantic_traits.a"),
        ({"semantic_traits": {"a": [2**53]}}, ErrorReason.PAYLOAD_INVALID, "payload.semantic_traits.a[0]"),
    ],
    ids=ascii,
)
def test_refuses_bad_text_and_numbers(fields: dict[str, Any], reason: ErrorReason, field: str) -> None:
    """What no payload may hold is refused with its own reason and path."""
    error = error_of(**fields)
    assert error.reason is reason
    assert error.metadata == {"field": field}


def test_reports_all_that_is_wrong_at_once() -> None:
    """A caller sees every bad field in one error."""
    error = error_of(semantic_traits=None, activity_level=2, stress=float("nan"), task=None)
    assert [violation.field for violation in error.violations] == [
        "payload.semantic_traits",
        "payload.activity_level",
        "payload.stress",
        "payload.task",
    ]


def test_names_the_given_path() -> None:
    """Errors name the path that the payload has in the request."""
    assert error_of(stress=2, field="requests[3].payload").metadata == {"field": "requests[3].payload.stress"}


def traits_with_keys(count: int) -> JsonObject:
    """Make traits with so many keys, over nested objects."""
    return {"nested": {f"n{index}": index for index in range(100)}} | {
        f"k{index}": index for index in range(count - 101)
    }


def traits_of_depth(depth: int) -> JsonObject:
    """Make traits of so many levels, objects and arrays in turn."""
    value: JsonValue = 1
    for level in range(depth - 1):
        value = [value] if level % 2 else {"k": value}
    return {"k": value}


def traits_of_size(size: int) -> JsonObject:
    """Make traits whose canonical JSON has so many bytes, most of them in characters of two bytes."""
    room = size - len('{"k":""}')
    return {"k": "\u00e5" * (room // 2) + "x" * (room % 2)}


def test_traits_may_have_256_keys() -> None:
    """Keys are counted over all nested objects."""
    assert len(create(semantic_traits=traits_with_keys(256)).semantic_traits) == 156
    error = error_of(semantic_traits=traits_with_keys(257))
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata["limit"] == "256"


def test_traits_may_have_8_levels() -> None:
    """Objects and arrays count, and the traits themselves are level 1."""
    assert create(semantic_traits=traits_of_depth(8)).semantic_traits == traits_of_depth(8)
    error = error_of(semantic_traits=traits_of_depth(9))
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata["limit"] == "8"


def test_traits_may_have_65536_bytes() -> None:
    """The size is that of the canonical JSON in UTF-8."""
    assert b'"semantic_traits":{"k":' in create(semantic_traits=traits_of_size(65_536)).canonical
    error = error_of(semantic_traits=traits_of_size(65_537))
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "payload.semantic_traits", "size": "65537", "limit": "65536"}


@pytest.mark.parametrize("character", ["x", "\u00e5", "\u2028", "\U0001f600"], ids=ascii)
def test_a_task_may_have_65536_bytes(character: str) -> None:
    """The size is that of the UTF-8 after normalisation: CRLF counts as one byte."""
    largest = "\r\n" * 2 + character * (65_534 // len(character.encode()))
    largest += "x" * (65_536 - len(largest.replace("\r\n", "\n").encode()))
    assert len(create(task=largest).task.encode()) == 65_536
    error = error_of(task=f"{largest}x")
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "payload.task", "size": "65537", "limit": "65536"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("task", "do"),
        ("activity_level", 0.25),
        ("stress", 1.0),
        ("semantic_traits", {"a": {"b": [1], "null": None}, "s": "text"}),
        ("semantic_traits.a", {"b": [1], "null": None}),
        ("semantic_traits.a.b", [1]),
        ("semantic_traits.a.null", None),
    ],
)
def test_finds_what_a_path_names(path: str, expected: JsonValue) -> None:
    """A path names a field or a trait at any depth; null is a value."""
    traits = {"a": {"b": [1], "null": None}, "s": "text"}
    payload = create(semantic_traits=traits, activity_level=0.25, stress=1.0, task="do")
    assert payload.find(tuple(path.split("."))) == expected


@pytest.mark.parametrize(
    "path",
    [
        "semantic_traits.b",
        "semantic_traits.a.c",
        "semantic_traits.s.x",
        "semantic_traits.s.0",
        "semantic_traits.null.x",
        "semantic_traits.list.0",
        "semantic_traits.a.b.c",
        "constraints",
        "task.x",
        "other",
    ],
)
def test_finds_nothing_where_nothing_is(path: str) -> None:
    """A missing key, and a path through anything but an object, is MISSING."""
    payload = create(semantic_traits={"a": {"b": 1}, "s": "text", "null": None, "list": [{"x": 1}]})
    assert payload.find(tuple(path.split("."))) is MISSING
