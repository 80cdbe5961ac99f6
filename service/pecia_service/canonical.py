"""Text normalisation, RFC 8785 JSON, and digests: the canonical forms that everything hashed goes through."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson
import rfc8785
import unicodedata2

from pecia_service.errors import ErrorReason, InvalidInputError, invalid_field, size_exceeded

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = Mapping[str, JsonValue]

UNICODE_VERSION = "18.0.0"
"""The Unicode version of the normalisation, the same on every Python."""

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that JSON readers in every language hold exactly (RFC 8785, appendix D)."""

# Python counts these as sequences of integers; JSON has nothing like them.
_BINARY = (bytes, bytearray, memoryview)
# The usual types stand first: to ask an abstract class costs several times as much.
_CONTAINERS = (dict, list, Mapping, Sequence)

_LINE_END = re.compile("\r\n?")
_REFUSED = re.compile("[\x00\ud800-\udfff]")

# Case folding is taken from the running Python. Upper-case letters that came after Unicode 14 (that of
# Python 3.11), up to Unicode 18, fold to themselves, so that a newer Python gives the same hashes.
_LETTERS_SINCE_UNICODE_15 = frozenset(
    chr(point)
    for point in (
        *(0x1C89, 0xA7CB, 0xA7CC, 0xA7CE, 0xA7D2, 0xA7D4, 0xA7DA, 0xA7DC, 0xA7DD, 0xA7E2, 0xAB6C, 0xAB6D),
        *range(0x10D50, 0x10D66),
        *range(0x16EA0, 0x16EB9),
        *(0x1DF40, 0x1DF48, 0x1DF4A, 0x1DF4D, 0x1DF51, 0x1DF68, 0x1DF6A, 0x1DF6C),
        *(0x1DF6E, 0x1DF72, 0x1DF74, 0x1DF76, 0x1DF78, 0x1DF7A, 0x1DF7C, 0x1DF7E),
    )
)

# The shortest decimal form that orjson writes differs from ECMAScript's below this and from 2**53 on.
_ORJSON_EXACT_FROM = 1e-5


def sha256_hex(data: bytes) -> str:
    """Return the lower-case hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def normalise_text(text: str, field: str) -> str:
    """Return `text` in NFC with LF line ends and without leading byte-order marks.

    Doing so twice is the same as once, so that it does not matter who normalises first. `field` is the path
    that an error names. Raises InvalidInputError (TEXT_INVALID) for U+0000 and lone surrogates.
    """
    try:
        return _normalised(text)
    except _RefusedTextError as error:
        raise invalid_field(ErrorReason.TEXT_INVALID, field, str(error)) from None


class _RefusedTextError(Exception):
    """The text holds a character that is refused everywhere."""


def _normalised(text: str) -> str:
    # Most text is plain, and this tells so without the regular expression, which costs three times as much.
    if text.isascii() and "\x00" not in text and "\r" not in text:
        return text
    if found := _REFUSED.search(text):
        what = "U+0000" if found.group() == "\x00" else "a lone surrogate"
        raise _RefusedTextError(f"holds {what} at character {found.start()}")
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    if text.isascii():
        return text
    normalised: str = unicodedata2.normalize("NFC", text.lstrip("\ufeff"))
    return normalised


def normalise_name(text: str, field: str) -> str:
    """Return `text` normalised and without white space at either end; raises as `normalise_text`."""
    text = normalise_text(text, field)
    # What lies behind leading white space can be another byte-order mark, and the other way round.
    while (stripped := text.strip().lstrip("\ufeff")) != text:
        text = stripped
    return text


def casefold(text: str) -> str:
    """Return `text` case-folded as of Unicode 14, the same on every Python."""
    if text.isascii():
        return text.lower()
    return "".join(
        character if character in _LETTERS_SINCE_UNICODE_15 else character.casefold() for character in text
    )


def normalise_json(
    value: JsonValue, field: str, *, max_keys: int, max_depth: int, reason: ErrorReason
) -> JsonValue:
    """Return a JSON value with every string normalised, and whole numbers below 2**53 as integers.

    Depth counts nested objects and arrays, the value itself being level 1; keys are counted over all
    objects. Raises InvalidInputError: TEXT_INVALID, KEY_COLLISION, SIZE_EXCEEDED for keys and depth, and
    `reason` for numbers that are not finite, integers beyond 2**53 - 1, and values that are not JSON.
    """
    return _Normaliser(field, max_keys, max_depth, reason).visit(value, 1)


class _Normaliser:
    """One walk over one value; counts keys as it goes."""

    def __init__(self, field: str, max_keys: int, max_depth: int, reason: ErrorReason) -> None:
        # Joined only for an error: a path for each item would cost its keys' lengths again and again.
        self._root = field
        self._path: list[str | int] = []
        self._max_keys = max_keys
        self._max_depth = max_depth
        self._reason = reason
        self._keys = 0

    def visit(self, value: JsonValue, depth: int) -> JsonValue:
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if abs(value) > MAX_SAFE_INTEGER:
                raise self._invalid("is an integer beyond 2**53 - 1; give it as a string")
            return value
        if isinstance(value, float):
            return self._number(value)
        if not isinstance(value, _CONTAINERS) or isinstance(value, _BINARY):
            raise self._invalid(f"is a {type(value).__name__}, which JSON does not have; quote it as text")
        if depth > self._max_depth:
            raise size_exceeded(self._field(), "levels or more", depth, self._max_depth)
        if isinstance(value, (dict, Mapping)):
            return self._object(value, depth)
        return [self._member(index, item, depth + 1) for index, item in enumerate(value)]

    def _member(self, key: str | int, value: JsonValue, depth: int) -> JsonValue:
        self._path.append(key)
        normal = self.visit(value, depth)
        self._path.pop()
        return normal

    def _text(self, value: str) -> str:
        try:
            return _normalised(value)
        except _RefusedTextError as error:
            raise invalid_field(ErrorReason.TEXT_INVALID, self._field(), str(error)) from None

    def _number(self, value: float) -> int | float:
        if not math.isfinite(value):
            raise self._invalid("is NaN or infinite, which JSON does not have")
        return int(value) if value.is_integer() and abs(value) <= MAX_SAFE_INTEGER else value

    def _object(self, value: Mapping[str, JsonValue], depth: int) -> dict[str, JsonValue]:
        self._keys += len(value)
        if self._keys > self._max_keys:
            raise size_exceeded(self._field(), "keys or more", self._keys, self._max_keys)
        result: dict[str, JsonValue] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise self._invalid("has a key that is not text; quote it")
            name = self._text(key)
            if name in result:
                raise invalid_field(
                    ErrorReason.KEY_COLLISION,
                    self._field(),
                    "has two keys that are equal after normalisation",
                )
            result[name] = self._member(name, item, depth + 1)
        return result

    def _field(self) -> str:
        steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self._path)
        return self._root + "".join(steps)

    def _invalid(self, description: str) -> InvalidInputError:
        return invalid_field(self._reason, self._field(), description)


def canonical_json(value: JsonValue) -> bytes:
    """Return the RFC 8785 (JCS) form of a JSON value, in UTF-8.

    orjson writes what it writes exactly as the RFC says; the rfc8785 package writes the rest: keys beyond
    the BMP, fractions below 1e-5, and magnitudes from 2**53 on. Raises ValueError for what RFC 8785 forbids
    (NaN, infinities, integers beyond 2**53 - 1, lone surrogates), and for hundreds of nested levels.
    """
    try:
        return orjson.dumps(_for_orjson(value), option=orjson.OPT_SORT_KEYS)
    except (_NotExactError, orjson.JSONEncodeError, RecursionError):
        try:
            return rfc8785.dumps(value)
        except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
            raise ValueError(f"RFC 8785 has no form for this value: {error}") from error


def canonical_object(members: Mapping[str, JsonValue], **canonical: bytes) -> bytes:
    """Return the canonical JSON of an object, some of whose members are given in that form already.

    Raises as `canonical_json`.
    """
    try:
        written = {name: orjson.Fragment(form) for name, form in canonical.items()}
        return orjson.dumps({**_object_for_orjson(members), **written}, option=orjson.OPT_SORT_KEYS)
    except (_NotExactError, orjson.JSONEncodeError, RecursionError):
        read = {name: exact_numbers(orjson.loads(form)) for name, form in canonical.items()}
        return canonical_json({**members, **read})


def exact_numbers(value: JsonValue) -> JsonValue:
    """Return a value read from canonical JSON with the numbers that it was written from.

    RFC 8785 writes the double 1e17 as 100000000000000000, which a parser reads as an integer beyond
    2**53 - 1; this makes it the double again.
    """
    if isinstance(value, (str, float)) or value is None:
        return value
    if isinstance(value, int):
        return float(value) if abs(value) > MAX_SAFE_INTEGER else value
    if isinstance(value, (dict, Mapping)):
        return {key: exact_numbers(item) for key, item in value.items()}
    return value if isinstance(value, _BINARY) else [exact_numbers(item) for item in value]


class _NotExactError(Exception):
    """The value holds something that orjson writes otherwise than RFC 8785."""


def _for_orjson(value: JsonValue) -> JsonValue:
    """Copy a value with whole floats as integers; raise _NotExactError where orjson is not exact."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise _NotExactError
        return value
    if isinstance(value, float):
        magnitude = abs(value)
        if not magnitude <= MAX_SAFE_INTEGER:
            raise _NotExactError
        if value.is_integer():
            return int(value)
        if magnitude < _ORJSON_EXACT_FROM:
            raise _NotExactError
        return value
    if isinstance(value, (dict, Mapping)):
        return _object_for_orjson(value)
    if isinstance(value, _BINARY):
        raise _NotExactError
    return [_for_orjson(item) for item in value]


def _object_for_orjson(value: JsonObject) -> dict[str, JsonValue]:
    copy: dict[str, JsonValue] = {}
    for key, item in value.items():
        if not key.isascii() and max(key) > "\uffff":
            raise _NotExactError
        # Strings are most of what there is, and need no call.
        copy[key] = item if isinstance(item, str) else _for_orjson(item)
    return copy
