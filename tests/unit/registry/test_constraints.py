"""Constraints are normalised, hashed and merged the same wherever they come from."""

import hashlib
import itertools
from collections.abc import Mapping
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.canonical import JsonObject, JsonValue, casefold, normalise_name
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.registry.constraints import Constraints
from support.strategies import clean_text

TOKENS = st.lists(clean_text.filter(lambda text: normalise_name(text, "token")), max_size=8)

canonical_objects: st.SearchStrategy[dict[str, JsonValue]] = st.fixed_dictionaries(
    {},
    optional={
        "FORBIDDEN_TOKENS": TOKENS,
        "MAX_SENTENCE_LENGTH": st.integers(1, 1000),
        "MAX_PARAGRAPHS": st.integers(1, 100),
        "NO_EMOJI": st.booleans(),
        "ASSERTIVENESS_LEVEL": st.floats(0, 1),
        "TONE": st.none() | st.integers(-5, 5) | st.floats(1e16, 1e22) | clean_text,
    },
)
constraints = canonical_objects.map(Constraints.normalise)


def error_of(value: JsonObject) -> InvalidInputError:
    """Return the error that an object is refused with."""
    with pytest.raises(InvalidInputError) as caught:
        Constraints.normalise(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ({}, "{}"),
        (
            {"FORBIDDEN_TOKENS": ["Sure", "AI", "sure"], "MAX_PARAGRAPHS": 2, "NO_EMOJI": True},
            '{"FORBIDDEN_TOKENS":["AI","Sure"],"MAX_PARAGRAPHS":2,"NO_EMOJI":true}',
        ),
        ({"FORBIDDEN_TOKENS": []}, "{}"),
        ({"NO_EMOJI": False}, "{}"),
        (
            {
                "FORBIDDEN_TOKENS": None,
                "MAX_SENTENCE_LENGTH": None,
                "MAX_PARAGRAPHS": None,
                "NO_EMOJI": None,
                "ASSERTIVENESS_LEVEL": None,
            },
            "{}",
        ),
        ({"ASSERTIVENESS_LEVEL": 0}, '{"ASSERTIVENESS_LEVEL":0}'),
        ({"ASSERTIVENESS_LEVEL": -0.0}, '{"ASSERTIVENESS_LEVEL":0}'),
        ({"ASSERTIVENESS_LEVEL": 1.0}, '{"ASSERTIVENESS_LEVEL":1}'),
        ({"MAX_SENTENCE_LENGTH": 1000.0, "MAX_PARAGRAPHS": 100}, None),
        ({"further": 1e21, "MAX_PARAGRAPHS": 1}, '{"MAX_PARAGRAPHS":1,"further":1e+21}'),
        ({"TONE": {"A\u030a": [1.0, None]}}, '{"TONE":{"\u00c5":[1,null]}}'),
        ({"max_paragraphs": "kept"}, '{"max_paragraphs":"kept"}'),
    ],
    ids=ascii,
)
def test_canonical_form(value: JsonObject, canonical: str | None) -> None:
    """The canonical object leaves out what says nothing, and keeps further keys."""
    expected = canonical or '{"MAX_PARAGRAPHS":100,"MAX_SENTENCE_LENGTH":1000}'
    normal = Constraints.normalise(value)
    assert normal.canonical.decode() == expected
    assert normal.constraints_hash == hashlib.sha256(expected.encode()).hexdigest()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["b", "a"], ["a", "b"]),
        (["a", "a"], ["a"]),
        (["a", "A"], ["A"]),
        ([" a ", "\ta\n", "\u3000a"], ["a"]),
        (["stra\u00dfe", "STRASSE", "Stra\u1e9ee"], ["STRASSE"]),
        (["\u03c3", "\u03c2", "\u03a3"], ["\u03a3"]),
        (["A\u030a", "\u00c5", "\u00e5"], ["\u00c5"]),
        (["\U0001f600", "\ue000", "\uffff", "z"], ["z", "\ue000", "\uffff", "\U0001f600"]),
        (["as an AI", "As An Ai"], ["As An Ai"]),
        (["a\r\nb"], ["a\nb"]),
        (["\u0130", "i\u0307"], ["i\u0307"]),
        ([" \ufeff a", "a"], ["a"]),
    ],
    ids=ascii,
)
def test_tokens_are_stripped_folded_and_sorted(tokens: list[str], expected: list[str]) -> None:
    """Tokens are in order of code points, and of those equal after case folding the first stays."""
    assert list(Constraints.normalise({"FORBIDDEN_TOKENS": tokens}).forbidden_tokens) == expected


@given(TOKENS, st.randoms(use_true_random=False))
def test_order_of_tokens_does_not_matter(tokens: list[str], random: Random) -> None:
    """Any order of the same tokens gives the same hash."""
    shuffled = random.sample(tokens, len(tokens))
    assert (
        Constraints.normalise({"FORBIDDEN_TOKENS": shuffled}).constraints_hash
        == Constraints.normalise({"FORBIDDEN_TOKENS": tokens}).constraints_hash
    )


@given(TOKENS)
def test_tokens_are_distinct_and_ordered(tokens: list[str]) -> None:
    """Whatever is given, the tokens kept are sorted, distinct after folding, and stand for all given."""
    kept = Constraints.normalise({"FORBIDDEN_TOKENS": tokens}).forbidden_tokens
    assert list(kept) == sorted(kept)
    assert len({casefold(token) for token in kept}) == len(kept)


@pytest.mark.parametrize(
    ("key", "value", "description"),
    [
        ("FORBIDDEN_TOKENS", "AI", "must be a list of words or phrases"),
        ("FORBIDDEN_TOKENS", {"a": 1}, "must be a list of words or phrases"),
        ("FORBIDDEN_TOKENS", True, "must be a list of words or phrases"),
        ("MAX_SENTENCE_LENGTH", 0, "must be a whole number from 1 to 1000"),
        ("MAX_SENTENCE_LENGTH", 1001, "must be a whole number from 1 to 1000"),
        ("MAX_SENTENCE_LENGTH", 1.5, "must be a whole number from 1 to 1000"),
        ("MAX_SENTENCE_LENGTH", "20", "must be a whole number from 1 to 1000"),
        ("MAX_SENTENCE_LENGTH", True, "must be a whole number from 1 to 1000"),
        ("MAX_SENTENCE_LENGTH", float("nan"), "must be a whole number from 1 to 1000"),
        ("MAX_PARAGRAPHS", 0, "must be a whole number from 1 to 100"),
        ("MAX_PARAGRAPHS", 101, "must be a whole number from 1 to 100"),
        ("MAX_PARAGRAPHS", -1.0, "must be a whole number from 1 to 100"),
        ("MAX_PARAGRAPHS", float("inf"), "must be a whole number from 1 to 100"),
        ("MAX_PARAGRAPHS", [2], "must be a whole number from 1 to 100"),
        ("NO_EMOJI", 1, "must be true or false"),
        ("NO_EMOJI", "true", "must be true or false"),
        ("ASSERTIVENESS_LEVEL", -0.1, "must be a number from 0 to 1"),
        ("ASSERTIVENESS_LEVEL", 1.0000000000000002, "must be a number from 0 to 1"),
        ("ASSERTIVENESS_LEVEL", float("nan"), "must be a number from 0 to 1"),
        ("ASSERTIVENESS_LEVEL", float("inf"), "must be a number from 0 to 1"),
        ("ASSERTIVENESS_LEVEL", 10**400, "must be a number from 0 to 1"),
        ("ASSERTIVENESS_LEVEL", "0.5", "must be a number from 0 to 1"),
        ("ASSERTIVENESS_LEVEL", False, "must be a number from 0 to 1"),
        ("TONE", float("nan"), "is NaN or infinite, which JSON does not have"),
        ("TONE", 2**53, "is an integer beyond 2**53 - 1; give it as a string"),
    ],
    ids=lambda part: ascii(part)[:40],
)
def test_refuses_bad_values(key: str, value: JsonValue, description: str) -> None:
    """Each value that is not of the documented form is refused by name, with what it must be."""
    error = error_of({key: value})
    assert error.reason is ErrorReason.CONSTRAINTS_INVALID
    assert error.metadata == {"field": f"constraints.{key}"}
    assert error.message == f"constraints.{key}: {description}"


@pytest.mark.parametrize(
    ("token", "reason", "description"),
    [
        (1, ErrorReason.CONSTRAINTS_INVALID, "must be text; quote it"),
        (None, ErrorReason.CONSTRAINTS_INVALID, "must be text; quote it"),
        ("", ErrorReason.CONSTRAINTS_INVALID, "is empty; leave it out"),
        (" \n", ErrorReason.CONSTRAINTS_INVALID, "is empty; leave it out"),
        ("\ufeff", ErrorReason.CONSTRAINTS_INVALID, "is empty; leave it out"),
        (" \ufeff ", ErrorReason.CONSTRAINTS_INVALID, "is empty; leave it out"),
        ("a\x00", ErrorReason.TEXT_INVALID, "holds U+0000 at character 1"),
        ("\ud800", ErrorReason.TEXT_INVALID, "holds a lone surrogate at character 0"),
        ("x" * 129, ErrorReason.SIZE_EXCEEDED, "has 129 characters; at most 128 are allowed"),
    ],
    ids=ascii,
)
def test_refuses_bad_tokens(token: JsonValue, reason: ErrorReason, description: str) -> None:
    """A bad token is refused by its place in the list."""
    error = error_of({"FORBIDDEN_TOKENS": ["ok", token]})
    assert error.reason is reason
    assert error.message == f"constraints.FORBIDDEN_TOKENS[1]: {description}"


def test_a_token_may_have_128_characters() -> None:
    """Characters are code points, counted after normalisation and stripping."""
    token = "\U0001f600" * 127 + "A\u030a"
    assert Constraints.normalise({"FORBIDDEN_TOKENS": [f" {token} "]}).forbidden_tokens == (
        "\U0001f600" * 127 + "\u00c5",
    )


def test_there_may_be_256_tokens() -> None:
    """The count is that of the tokens as they are given."""
    tokens = [f"{index:03d}" for index in range(256)]
    assert len(Constraints.normalise({"FORBIDDEN_TOKENS": tokens}).forbidden_tokens) == 256
    error = error_of({"FORBIDDEN_TOKENS": [*tokens, "000"]})
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "constraints.FORBIDDEN_TOKENS", "size": "257", "limit": "256"}


def test_there_may_be_64_further_keys() -> None:
    """Further keys are counted over all nested objects, the five known ones are not."""
    value: JsonObject = {"MAX_PARAGRAPHS": 1, "o": {str(index): index for index in range(63)}}
    assert Constraints.normalise(value).further == {"o": {str(index): index for index in range(63)}}
    error = error_of({**value, "p": None})
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "constraints.o", "size": "65", "limit": "64"}


def test_further_keys_may_nest_8_levels() -> None:
    """The object of further keys is level 1."""
    value: JsonValue = 1
    for _ in range(7):
        value = [value]
    assert Constraints.normalise({"deep": value}).further == {"deep": value}
    error = error_of({"deep": [value]})
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata["size"] == "9"
    assert error.metadata["limit"] == "8"


def test_canonical_form_may_have_32768_bytes() -> None:
    """The size is that of the canonical JSON in UTF-8."""
    room = 32_768 - len('{"note":""}')
    assert len(Constraints.normalise({"note": "\u00e5" * (room // 2) + "x" * (room % 2)}).canonical) == 32_768
    error = error_of({"note": "\u00e5" * (room // 2) + "x" * (room % 2 + 1)})
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "constraints", "size": "32769", "limit": "32768"}


@pytest.mark.parametrize("key", ["\ufeffNO_EMOJI", "\ufeffMAX_PARAGRAPHS"], ids=ascii)
def test_a_further_key_can_not_become_a_known_one(key: str) -> None:
    """A key that only normalisation makes one of the five is refused, not counted twice."""
    error = error_of({key: 1, "NO_EMOJI": True})
    assert error.reason is ErrorReason.KEY_COLLISION


def test_further_keys_that_become_equal_are_refused() -> None:
    """Further keys collide like any keys."""
    assert error_of({"A\u030a": 1, "\u00c5": 2}).reason is ErrorReason.KEY_COLLISION


def test_reports_all_that_is_wrong_at_once() -> None:
    """An author sees every bad key in one error."""
    error = error_of(
        {
            "FORBIDDEN_TOKENS": [""],
            "MAX_SENTENCE_LENGTH": 0,
            "MAX_PARAGRAPHS": 0,
            "NO_EMOJI": 0,
            "ASSERTIVENESS_LEVEL": 2,
            "TONE": float("inf"),
        }
    )
    assert [violation.field.removeprefix("constraints.") for violation in error.violations] == [
        "FORBIDDEN_TOKENS[0]",
        "MAX_SENTENCE_LENGTH",
        "MAX_PARAGRAPHS",
        "NO_EMOJI",
        "ASSERTIVENESS_LEVEL",
        "TONE",
    ]


def test_names_the_given_path() -> None:
    """Errors name the path that the request has for the object."""
    with pytest.raises(InvalidInputError) as caught:
        Constraints.normalise({"MAX_PARAGRAPHS": 0}, "templates[3].constraints")
    assert caught.value.metadata == {"field": "templates[3].constraints.MAX_PARAGRAPHS"}


@given(canonical_objects)
def test_normalising_the_canonical_object_changes_nothing(value: dict[str, JsonValue]) -> None:
    """What GetTemplate answers can be published again as the same."""
    once = Constraints.normalise(value)
    assert Constraints.normalise(once.to_json()) == once


def test_merge_takes_the_strictest() -> None:
    """Tokens are united, the least of each limit counts, one NO_EMOJI is enough, further keys are left."""
    merged = Constraints.merge(
        [
            Constraints.normalise({"FORBIDDEN_TOKENS": ["sure", "b"], "MAX_PARAGRAPHS": 3, "TONE": "dry"}),
            Constraints.normalise({"FORBIDDEN_TOKENS": ["Sure", "a"], "MAX_PARAGRAPHS": 2, "NO_EMOJI": True}),
            Constraints.normalise({"MAX_SENTENCE_LENGTH": 30, "ASSERTIVENESS_LEVEL": 0.75}),
            Constraints.normalise({"MAX_SENTENCE_LENGTH": 40, "ASSERTIVENESS_LEVEL": 0.5, "NO_EMOJI": False}),
        ]
    )
    assert merged == Constraints(
        forbidden_tokens=("Sure", "a", "b"),
        max_sentence_length=30,
        max_paragraphs=2,
        no_emoji=True,
        assertiveness_level=0.5,
    )


def test_merging_nothing_is_no_constraints() -> None:
    """The neutral element is the empty object."""
    assert Constraints.merge([]).canonical == b"{}"


@given(st.lists(constraints, max_size=4))
def test_merge_is_commutative(parts: list[Constraints]) -> None:
    """The order of the templates does not matter."""
    results = {Constraints.merge(order).canonical for order in itertools.permutations(parts)}
    assert len(results) == 1


@given(constraints, constraints, constraints)
def test_merge_is_associative(first: Constraints, second: Constraints, third: Constraints) -> None:
    """Merging in steps is merging at once."""
    at_once = Constraints.merge([first, second, third])
    assert Constraints.merge([Constraints.merge([first, second]), third]) == at_once
    assert Constraints.merge([first, Constraints.merge([second, third])]) == at_once


@given(constraints)
def test_merge_is_idempotent(part: Constraints) -> None:
    """Merging a part with itself adds nothing, and loses nothing but further keys."""
    merged = Constraints.merge([part, part])
    assert Constraints.merge([merged, part, Constraints()]) == merged
    assert {**merged.to_json(), **part.further} == part.to_json()


@given(constraints)
def test_restore_gives_what_was_stored(part: Constraints) -> None:
    """The canonical JSON, parsed and restored, is the same constraints."""
    restored = Constraints.restore(orjson.loads(part.canonical))
    assert restored == part
    assert restored is not None
    assert restored.constraints_hash == part.constraints_hash


def test_restore_normalises_nothing() -> None:
    """Tokens that today's rules would order otherwise are restored as they are."""
    stored: Mapping[str, JsonValue] = {"FORBIDDEN_TOKENS": ["b", "a", " A "]}
    assert Constraints.restore(stored) == Constraints(forbidden_tokens=("b", "a", " A "))


@pytest.mark.parametrize(
    "value",
    [
        {"FORBIDDEN_TOKENS": "AI"},
        {"FORBIDDEN_TOKENS": 1},
        {"FORBIDDEN_TOKENS": {}},
        {"FORBIDDEN_TOKENS": []},
        {"FORBIDDEN_TOKENS": [1]},
        {"FORBIDDEN_TOKENS": ["\ud800"]},
        {"MAX_SENTENCE_LENGTH": 0},
        {"MAX_SENTENCE_LENGTH": None},
        {"MAX_PARAGRAPHS": "2"},
        {"NO_EMOJI": False},
        {"NO_EMOJI": 1},
        {"ASSERTIVENESS_LEVEL": 7},
        {"TONE": float("nan")},
        {"TONE": b"x"},
        {"\ud800": 1},
    ],
    ids=ascii,
)
def test_restore_refuses_what_was_never_stored(value: JsonObject) -> None:
    """An object that is not a canonical one gives None, not an error and not something equivalent."""
    assert Constraints.restore(value) is None


def test_restore_survives_hostile_nesting() -> None:
    """A stored value deeper than the interpreter can follow is damage like any other."""
    value: JsonValue = 1
    for _ in range(100_000):
        value = [value]
    assert Constraints.restore({"TONE": value}) is None


@given(constraints)
def test_salvage_gives_what_was_stored(part: Constraints) -> None:
    """Nothing is lost of an object that is as it was stored."""
    assert part == Constraints.salvage(orjson.loads(part.canonical))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"FORBIDDEN_TOKENS": "a", "NO_EMOJI": True}, Constraints(no_emoji=True)),
        ({"FORBIDDEN_TOKENS": ["a"], "NO_EMOJI": 1}, Constraints(forbidden_tokens=("a",))),
        ({"MAX_PARAGRAPHS": 0, "MAX_SENTENCE_LENGTH": 5}, Constraints(max_sentence_length=5)),
        ({"ASSERTIVENESS_LEVEL": 0.5, "a\x00": 1}, Constraints(assertiveness_level=0.5)),
        ({"NO_EMOJI": True, "a": "b" * 40_000}, Constraints()),
    ],
)
def test_salvage_leaves_out_what_can_not_be_read(value: JsonObject, expected: Constraints) -> None:
    """Each key is read by itself; constraints beyond their limit are none."""
    assert expected == Constraints.salvage(value)


def test_salvage_survives_hostile_nesting() -> None:
    """Thousands of levels are nothing that can be read."""
    value: JsonValue = 1
    for _ in range(5_000):
        value = [value]
    assert Constraints() == Constraints.salvage({"TONE": value})
