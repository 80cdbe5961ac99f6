"""Text and JSON values are normalised once, the same on every Python."""

import hashlib
import re
import unicodedata

import pytest
import unicodedata2
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.canonical import (
    _LETTERS_SINCE_UNICODE_15,
    UNICODE_VERSION,
    JsonValue,
    canonical_json,
    casefold,
    normalise_json,
    normalise_name,
    normalise_text,
    sha256_hex,
)
from pecia_service.errors import ErrorReason, InvalidInputError
from support.strategies import any_text, clean_text, json_objects

CASEFOLD_DIGEST = "78249183e488bf8968a161a80ec41e8b61b71fa376dc0e96652c8c6161f44eec"
"""SHA-256 over the case folding of every code point but surrogates, in order, each with a line feed."""

BOM = "\ufeff"


def normalise(value: JsonValue, max_keys: int = 100, max_depth: int = 8) -> JsonValue:
    """Normalise a value under small limits."""
    return normalise_json(
        value, "value", max_keys=max_keys, max_depth=max_depth, reason=ErrorReason.PAYLOAD_INVALID
    )


def test_pins_one_unicode_version() -> None:
    """The normalisation is that of Unicode 18, whatever the running Python knows."""
    assert unicodedata2.unidata_version == UNICODE_VERSION == "18.0.0"


def test_uses_the_pinned_version_and_not_pythons() -> None:
    """A composition of Unicode 16, which the tables of Python 3.11 lack, is made."""
    assert normalise_text("\U000105d2\u0307", "f") == "\U000105c9"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("A\u030a", "\u00c5"),
        ("\u212b", "\u00c5"),
        ("q\u0307\u0323", "q\u0323\u0307"),
        ("\u1112\u1161\u11ab", "\ud55c"),
        ("\ufb01", "\ufb01"),
        ("a\r\nb\rc\nd\r\r\n", "a\nb\nc\nd\n\n"),
        ("\u00e9\r\n", "\u00e9\n"),
        (BOM + "a", "a"),
        (BOM + BOM + "a", "a"),
        (BOM + "\r" + BOM, "\n" + BOM),
        (BOM + "\u0301" + BOM + "a", "\u0301" + BOM + "a"),
        ("a" + BOM, "a" + BOM),
        (BOM + "A\u030a\r", "\u00c5\n"),
        (BOM, ""),
        ("\u2028\x85\x0b\x0c", "\u2028\x85\x0b\x0c"),
        ("\x01\x1f\x7f\ufffe\uffff", "\x01\x1f\x7f\ufffe\uffff"),
        (" end\n\n", " end\n\n"),
    ],
    ids=ascii,
)
def test_normalises(text: str, expected: str) -> None:
    """NFC (not NFKC), LF for CRLF and CR, and no leading byte-order marks; nothing else changes."""
    assert normalise_text(text, "f") == expected


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("\x00", "holds U+0000 at character 0"),
        ("ab\x00", "holds U+0000 at character 2"),
        ("\U0001f600\ud800", "holds a lone surrogate at character 1"),
        ("\udfff\x00", "holds a lone surrogate at character 0"),
    ],
    ids=ascii,
)
def test_refuses_what_no_text_may_hold(text: str, description: str) -> None:
    """U+0000 and lone surrogates are refused, with the field and the position in code points."""
    with pytest.raises(InvalidInputError) as caught:
        normalise_text(text, "payload.task")
    assert caught.value.reason is ErrorReason.TEXT_INVALID
    assert caught.value.message == f"payload.task: {description}"
    assert caught.value.metadata == {"field": "payload.task"}


@given(clean_text)
def test_normalising_again_changes_nothing(text: str) -> None:
    """Normalisation is idempotent, so that it does not matter who did it first."""
    once = normalise_text(text, "f")
    assert normalise_text(once, "f") == once
    assert normalise_text(f"{BOM}{once}", "f") == once


@given(any_text)
def test_result_is_nfc_without_carriage_returns(text: str) -> None:
    """What comes out is in NFC and has no CR, and what is refused holds U+0000."""
    try:
        result = normalise_text(text, "f")
    except InvalidInputError:
        assert "\x00" in text
    else:
        assert unicodedata2.normalize("NFC", result) == result
        assert "\r" not in result


@given(clean_text)
def test_canonically_equal_texts_become_one(text: str) -> None:
    """A text and its decomposition have one normal form."""
    decomposed = unicodedata2.normalize("NFD", text)
    assert normalise_text(decomposed, "f") == normalise_text(text, "f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" a b\r\n", "a b"),
        (f"{BOM} {BOM}\t{BOM}a{BOM} ", f"a{BOM}"),
        (f" {BOM} ", ""),
        ("\u3000A\u030a\u00a0", "\u00c5"),
        ("\u200ba", "\u200ba"),
    ],
    ids=ascii,
)
def test_names_are_stripped(text: str, expected: str) -> None:
    """A token or tag loses white space at both ends, and byte-order marks wherever that bares them."""
    assert normalise_name(text, "f") == expected


@given(st.text(alphabet=f"{BOM} \n\u3000a\u030a", max_size=12) | clean_text)
def test_normalising_names_again_changes_nothing(text: str) -> None:
    """The normal form of a name is its own."""
    once = normalise_name(text, "f")
    assert normalise_name(once, "f") == normalise_text(once, "f") == once == once.strip()


def test_names_are_refused_like_any_text() -> None:
    """U+0000 in a name is named with its place in the text as it was given."""
    with pytest.raises(InvalidInputError, match=re.escape("tags[0]: holds U+0000 at character 1")):
        normalise_name(" \x00", "tags[0]")


def test_case_folding_is_the_same_on_every_python() -> None:
    """The folding of all code points has a recorded digest, the same on Python 3.11, 3.12 and 3.13."""
    digest = hashlib.sha256()
    for point in (*range(0xD800), *range(0xE000, 0x110000)):
        digest.update(f"{casefold(chr(point))}\n".encode())
    assert digest.hexdigest() == CASEFOLD_DIGEST


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="compares with the tables of Python 3.11")
@given(any_text)
def test_case_folding_is_pythons_of_unicode_14(text: str) -> None:
    """On Python 3.11 the folding is `str.casefold` itself."""
    assert casefold(text) == text.casefold()


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="compares with the tables of Python 3.11")
def test_case_folding_leaves_every_newer_letter_alone() -> None:
    """Each upper-case letter that came after Unicode 14 folds to itself on this and every later Python."""
    newer = {
        character
        for character in map(chr, range(0x110000))
        if unicodedata.category(character) == "Cn" and unicodedata2.category(character) in ("Lu", "Lt")
    }
    assert newer == _LETTERS_SINCE_UNICODE_15


@pytest.mark.parametrize("letter", ["\u1c89", "\ua7dc", "\U00010d50", "\U00016eb8"], ids=ascii)
def test_case_folding_is_not_newer_than_unicode_14(letter: str) -> None:
    """Letters of Unicode 16 and 17 fold to themselves also where Python knows them."""
    assert casefold(f"{letter}A") == f"{letter}a"


def test_digests_are_lower_case_hex() -> None:
    """The digest of nothing is the well-known one."""
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_whole_floats_become_integers() -> None:
    """A whole number below 2**53 is an integer however it was given; others stay doubles."""
    given_value: JsonValue = [1.0, -0.0, 2.0**53 - 1, 2.0**53, 0.5, 7, True]
    assert repr(normalise(given_value)) == "[1, 0, 9007199254740991, 9007199254740992.0, 0.5, 7, True]"


def test_normalises_strings_and_keys_at_every_depth() -> None:
    """Keys and values inside arrays and objects are normalised like any text."""
    value: JsonValue = {"A\u030a": ["\r\n", {f"{BOM}k\r": "e\u0301"}], "t": ("x\r",)}
    assert normalise(value) == {"\u00c5": ["\n", {"k\n": "\u00e9"}], "t": ["x\n"]}


@given(json_objects)
def test_normalising_json_again_changes_nothing(value: JsonValue) -> None:
    """A normal value stays as it is, to the byte."""
    once = normalise(value, 1000, 100)
    assert canonical_json(normalise(once, 1000, 100)) == canonical_json(once)


@pytest.mark.parametrize(
    "value",
    [
        {"A\u030a": 1, "\u00c5": 2},
        {"a": 1, f"{BOM}a": 2},
        {"a\r\n": 1, "a\r": 2},
        {"\u212b": 1, "\u00c5": 2},
    ],
    ids=ascii,
)
def test_refuses_keys_that_become_equal(value: JsonValue) -> None:
    """Keys that collide are refused, with the object that has them and without the keys."""
    with pytest.raises(InvalidInputError) as caught:
        normalise({"o": [value]})
    assert caught.value.reason is ErrorReason.KEY_COLLISION
    assert caught.value.message == "value.o[0]: has two keys that are equal after normalisation"


def test_equal_keys_of_different_objects_do_not_collide() -> None:
    """Only keys of one object collide."""
    assert normalise({"a": {"a": 1}, "b": {"a": 2}}) == {"a": {"a": 1}, "b": {"a": 2}}


@pytest.mark.parametrize(
    ("value", "field", "description"),
    [
        ({"x": float("nan")}, "value.x", "is NaN or infinite, which JSON does not have"),
        ([float("-inf")], "value[0]", "is NaN or infinite, which JSON does not have"),
        ([2**53], "value[0]", "is an integer beyond 2**53 - 1; give it as a string"),
        ([-(2**53)], "value[0]", "is an integer beyond 2**53 - 1; give it as a string"),
        ([{1: 2}], "value[0]", "has a key that is not text; quote it"),
        ({"d": {1}}, "value.d", "is a set, which JSON does not have; quote it as text"),
        ({"d": b"x"}, "value.d", "is a bytes, which JSON does not have; quote it as text"),
        ([bytearray(b"x")], "value[0]", "is a bytearray, which JSON does not have; quote it as text"),
    ],
    ids=ascii,
)
def test_refuses_what_json_does_not_have(value: JsonValue, field: str, description: str) -> None:
    """Each refusal has the given reason, the path, and what to do."""
    with pytest.raises(InvalidInputError) as caught:
        normalise(value)
    assert caught.value.reason is ErrorReason.PAYLOAD_INVALID
    assert [(v.field, v.description) for v in caught.value.violations] == [(field, description)]


def test_accepts_the_largest_safe_integers() -> None:
    """2**53 - 1 and its negative are integers that JSON holds."""
    assert normalise([2**53 - 1, -(2**53) + 1]) == [9007199254740991, -9007199254740991]


def test_names_the_path_of_bad_text() -> None:
    """A string deep inside is named by its path; a bad key by the object that has it."""
    with pytest.raises(InvalidInputError) as value_error:
        normalise({"a": [1, {"b": "\x00"}]})
    with pytest.raises(InvalidInputError) as key_error:
        normalise({"a": [1, {"\x00": "b"}]})
    assert value_error.value.metadata == {"field": "value.a[1].b"}
    assert key_error.value.metadata == {"field": "value.a[1]"}


def test_counts_keys_over_all_objects() -> None:
    """The limit of keys is one for the whole value, and is reached exactly."""
    value: JsonValue = {"a": {"b": 1, "c": 2}, "d": [{"e": 3}]}
    assert normalise(value, max_keys=5) == value
    with pytest.raises(InvalidInputError) as caught:
        normalise(value, max_keys=4)
    assert caught.value.reason is ErrorReason.SIZE_EXCEEDED
    assert caught.value.metadata == {"field": "value.d[0]", "size": "5", "limit": "4"}


def test_counts_levels_of_objects_and_arrays() -> None:
    """The value is level 1, each object or array one more; scalars are no level."""
    value: JsonValue = {"a": [{"b": "scalar"}]}
    assert normalise(value, max_depth=3) == value
    with pytest.raises(InvalidInputError) as caught:
        normalise(value, max_depth=2)
    assert caught.value.reason is ErrorReason.SIZE_EXCEEDED
    assert caught.value.metadata == {"field": "value.a[0]", "size": "3", "limit": "2"}


def test_hostile_nesting_is_refused_and_not_followed() -> None:
    """A value nested far beyond the limit is refused at the limit."""
    value: JsonValue = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidInputError, match="9 levels or more"):
        normalise(value)
