"""Constraints on what a model may answer: normalised, hashed, and merged over a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from pecia_service.canonical import (
    JsonObject,
    JsonValue,
    canonical_json,
    casefold,
    exact_numbers,
    normalise_json,
    normalise_name,
    sha256_hex,
)
from pecia_service.errors import ErrorReason, Findings, InvalidInputError, invalid_field, size_exceeded

MAX_TOKENS = 256
MAX_TOKEN_LENGTH = 128
MAX_SENTENCE_LENGTH = 1000
MAX_PARAGRAPHS = 100
MAX_FURTHER_KEYS = 64
MAX_FURTHER_DEPTH = 8
MAX_CANONICAL_BYTES = 32_768

_Number = TypeVar("_Number", int, float)

_KNOWN_KEYS = ("FORBIDDEN_TOKENS", "MAX_SENTENCE_LENGTH", "MAX_PARAGRAPHS", "NO_EMOJI", "ASSERTIVENESS_LEVEL")


@dataclass(frozen=True)
class Constraints:
    """The normalised constraints of one template, or the effective ones of a bundle.

    Make them with `normalise`; the constructor takes values that are normal already.
    """

    forbidden_tokens: tuple[str, ...] = ()
    max_sentence_length: int | None = None
    max_paragraphs: int | None = None
    no_emoji: bool = False
    assertiveness_level: float | None = None
    further: JsonObject = field(default_factory=dict)

    @classmethod
    def normalise(cls, value: JsonObject, path: str = "constraints") -> Constraints:
        """Make constraints from an object with the canonical keys (see `pecia.v1.Constraints`).

        Raises InvalidInputError: CONSTRAINTS_INVALID, SIZE_EXCEEDED, TEXT_INVALID, KEY_COLLISION; `path` is
        the path of the object that errors name.
        """
        findings = Findings()
        constraints = cls._gather(value, path, findings)
        findings.raise_if_any()
        if len(constraints.canonical) > MAX_CANONICAL_BYTES:
            raise size_exceeded(path, "bytes", len(constraints.canonical), MAX_CANONICAL_BYTES)
        return constraints

    @classmethod
    def salvage(cls, value: JsonObject) -> Constraints:
        """Make constraints of what can be read of an unproved stored object; the rest is left out."""
        try:
            exact = {key: exact_numbers(item) for key, item in value.items()}
        except RecursionError:
            return cls()
        constraints = cls._gather(exact, "", Findings())
        return constraints if len(constraints.canonical) <= MAX_CANONICAL_BYTES else cls()

    @classmethod
    def _gather(cls, value: JsonObject, path: str, findings: Findings) -> Constraints:
        """Make constraints of what is right with an object, and gather what is wrong with it."""
        tokens: tuple[str, ...] = ()
        sentence = paragraphs = level = None
        emoji = False
        further: JsonObject = {}
        with findings.gather():
            tokens = _tokens(value.get("FORBIDDEN_TOKENS"), f"{path}.FORBIDDEN_TOKENS")
        with findings.gather():
            sentence = _limit(
                value.get("MAX_SENTENCE_LENGTH"), MAX_SENTENCE_LENGTH, f"{path}.MAX_SENTENCE_LENGTH"
            )
        with findings.gather():
            paragraphs = _limit(value.get("MAX_PARAGRAPHS"), MAX_PARAGRAPHS, f"{path}.MAX_PARAGRAPHS")
        with findings.gather():
            emoji = _flag(value.get("NO_EMOJI"), f"{path}.NO_EMOJI")
        with findings.gather():
            level = _level(value.get("ASSERTIVENESS_LEVEL"), f"{path}.ASSERTIVENESS_LEVEL")
        with findings.gather():
            further = _further(value, path)
        return cls(tokens, sentence, paragraphs, emoji, level, further)

    @classmethod
    def restore(cls, value: JsonObject) -> Constraints | None:
        """Make constraints from their stored canonical object, or None if it can't be one.

        Nothing is normalised again, so that the hash tells whether the object is the one that was stored.
        """
        tokens = value.get("FORBIDDEN_TOKENS", ())
        if isinstance(tokens, str) or not isinstance(tokens, Sequence):
            return None
        try:
            exact = {key: exact_numbers(item) for key, item in value.items()}
            constraints = cls(
                forbidden_tokens=tuple(token for token in tokens if isinstance(token, str)),
                max_sentence_length=_limit(exact.get("MAX_SENTENCE_LENGTH"), MAX_SENTENCE_LENGTH, ""),
                max_paragraphs=_limit(exact.get("MAX_PARAGRAPHS"), MAX_PARAGRAPHS, ""),
                no_emoji=_flag(exact.get("NO_EMOJI"), ""),
                assertiveness_level=_level(exact.get("ASSERTIVENESS_LEVEL"), ""),
                further={key: item for key, item in exact.items() if key not in _KNOWN_KEYS},
            )
            # Another object can mean the same, as one with "NO_EMOJI": false; it was not the one stored.
            return constraints if constraints.canonical == canonical_json(exact) else None
        except (InvalidInputError, ValueError, OverflowError, RecursionError):
            return None

    @classmethod
    def merge(cls, parts: Iterable[Constraints]) -> Constraints:
        """Return the effective constraints: tokens united, the least limits, and no further keys."""
        every = list(parts)
        return cls(
            forbidden_tokens=_distinct(token for part in every for token in part.forbidden_tokens),
            max_sentence_length=_least(part.max_sentence_length for part in every),
            max_paragraphs=_least(part.max_paragraphs for part in every),
            no_emoji=any(part.no_emoji for part in every),
            assertiveness_level=_least(part.assertiveness_level for part in every),
        )

    def to_json(self) -> dict[str, JsonValue]:
        """Return the canonical object; what says nothing is left out, so that {} means no constraints."""
        known: dict[str, JsonValue] = {
            "FORBIDDEN_TOKENS": list(self.forbidden_tokens) or None,
            "MAX_SENTENCE_LENGTH": self.max_sentence_length,
            "MAX_PARAGRAPHS": self.max_paragraphs,
            "NO_EMOJI": self.no_emoji or None,
            "ASSERTIVENESS_LEVEL": self.assertiveness_level,
        }
        return {**self.further, **{key: item for key, item in known.items() if item is not None}}

    @cached_property
    def canonical(self) -> bytes:
        """The canonical form: RFC 8785 JSON of `to_json`."""
        return canonical_json(self.to_json())

    @cached_property
    def constraints_hash(self) -> str:
        """SHA-256 of the canonical form."""
        return sha256_hex(self.canonical)


def _invalid(path: str, description: str) -> InvalidInputError:
    return invalid_field(ErrorReason.CONSTRAINTS_INVALID, path, description)


def _further(value: JsonObject, path: str) -> JsonObject:
    further = normalise_json(
        {key: item for key, item in value.items() if key not in _KNOWN_KEYS},
        path,
        max_keys=MAX_FURTHER_KEYS,
        max_depth=MAX_FURTHER_DEPTH,
        reason=ErrorReason.CONSTRAINTS_INVALID,
    )
    assert isinstance(further, Mapping)
    for key in _KNOWN_KEYS:
        if key in further:
            raise invalid_field(
                ErrorReason.KEY_COLLISION, path, f"has the key {key} in two forms; give it once"
            )
    return further


def _tokens(value: JsonValue, path: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _invalid(path, "must be a list of words or phrases")
    if len(value) > MAX_TOKENS:
        raise size_exceeded(path, "tokens", len(value), MAX_TOKENS)
    tokens: list[str] = []
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        if not isinstance(item, str):
            raise _invalid(place, "must be text; quote it")
        token = normalise_name(item, place)
        if not token:
            raise _invalid(place, "is empty; leave it out")
        if len(token) > MAX_TOKEN_LENGTH:
            raise size_exceeded(place, "characters", len(token), MAX_TOKEN_LENGTH)
        tokens.append(token)
    return _distinct(tokens)


def _distinct(tokens: Iterable[str]) -> tuple[str, ...]:
    """Sort by code point and keep the first of the tokens that are equal after case folding."""
    first: dict[str, str] = {}
    for token in sorted(tokens):
        first.setdefault(casefold(token), token)
    return tuple(first.values())


def _limit(value: JsonValue, maximum: int, path: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise _invalid(path, f"must be a whole number from 1 to {maximum}")
    return value


def _flag(value: JsonValue, path: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _invalid(path, "must be true or false")


def _level(value: JsonValue, path: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _invalid(path, "must be a number from 0 to 1")
    return float(value)


def _least(values: Iterable[_Number | None]) -> _Number | None:
    return min((value for value in values if value is not None), default=None)
