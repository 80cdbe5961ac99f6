"""Payloads from plain values."""

import pytest
from google.protobuf.json_format import MessageToDict
from pecia_client import payload_from_mapping

FULL: dict[str, object] = {
    "semantic_traits": {"mood": "calm", "voice": {"warmth": 0.9}, "list": [1, True, None, "x", {"k": []}]},
    "activity_level": 1,
    "stress": 0.25,
    "task": "Plan the day.",
}


def test_every_json_value_arrives() -> None:
    """Objects, arrays, numbers, booleans, strings and null keep their type and place."""
    payload = payload_from_mapping(FULL)
    assert MessageToDict(payload, preserving_proto_field_name=True) == FULL


@pytest.mark.parametrize("key", ["semantic_traits", "activity_level", "stress", "task"])
def test_a_missing_key_stays_unset(key: str) -> None:
    """The server must be able to see that a field was forgotten."""
    payload = payload_from_mapping({name: value for name, value in FULL.items() if name != key})
    assert not payload.HasField(key)


@pytest.mark.parametrize("key", ["semantic_traits", "activity_level", "stress", "task"])
def test_an_empty_value_is_set(key: str) -> None:
    """Zero, the empty string and the empty object are values."""
    empty: dict[str, object] = {"semantic_traits": {}, "activity_level": 0, "stress": 0.0, "task": ""}
    assert payload_from_mapping(empty).HasField(key)


def test_unknown_keys_are_named() -> None:
    """A raw vector cannot slip in beside the four keys."""
    with pytest.raises(ValueError, match="unknown payload keys extra, vector_32"):
        payload_from_mapping(FULL | {"vector_32": [0.1], "extra": 1})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("semantic_traits", [], "semantic_traits must be a JSON object"),
        ("semantic_traits", {"a": {"b": {1, 2}}}, "semantic_traits.a.b must be a number"),
        ("semantic_traits", {"a": [2**53]}, r"semantic_traits.a\[0\] is an integer beyond"),
        ("semantic_traits", {"a": "\ud800"}, "semantic_traits.a holds a lone surrogate"),
        ("semantic_traits", {"\udfff": 1}, "a key of semantic_traits holds a lone surrogate"),
        ("semantic_traits", {1: 1}, "a key of semantic_traits must be a string"),
        ("activity_level", True, "activity_level must be a number, not a boolean"),
        ("stress", None, "stress must be a number, not null"),
        ("task", 5, "task must be a string"),
        ("task", "\ud800", "task holds a lone surrogate"),
    ],
)
def test_what_the_wire_cannot_carry_exactly_is_refused(key: str, value: object, message: str) -> None:
    """A value that would change its meaning on the way raises ValueError with its path."""
    with pytest.raises(ValueError, match=message):
        payload_from_mapping(FULL | {key: value})


def test_the_largest_exact_integers_pass() -> None:
    """±(2^53 − 1) is what a double still holds exactly."""
    payload = payload_from_mapping(FULL | {"semantic_traits": {"a": 2**53 - 1, "b": -(2**53 - 1)}})
    assert dict(payload.semantic_traits) == {"a": float(2**53 - 1), "b": -float(2**53 - 1)}


def test_bottomless_nesting_is_refused() -> None:
    """Nesting is bounded here, because a decoder would refuse the bytes without saying why."""
    deep: dict[str, object] = {}
    for _ in range(2000):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="lies deeper than 32 levels"):
        payload_from_mapping(FULL | {"semantic_traits": deep})


def test_json_text_is_no_payload() -> None:
    """A caller who did not parse it learns what is expected."""
    with pytest.raises(
        ValueError, match=r"is an object with the keys .*, not a string; parse JSON text first"
    ):
        payload_from_mapping('{"task": "Plan."}')  # type: ignore[arg-type]  # a caller without types
