"""The derived payload: the only caller data that a prompt is made from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from pecia_service.canonical import (
    JsonObject,
    JsonValue,
    canonical_json,
    exact_numbers,
    normalise_json,
    normalise_text,
    sha256_hex,
)
from pecia_service.errors import ErrorReason, Findings, InvalidInputError, invalid_field, size_exceeded

MAX_TRAIT_KEYS = 256
MAX_TRAIT_DEPTH = 8
MAX_TRAITS_BYTES = 65_536
MAX_TASK_BYTES = 65_536

FIELDS: Final = ("activity_level", "semantic_traits", "stress", "task")


class Missing(enum.Enum):
    """What a payload has where it has nothing; most templates read traits that most payloads lack."""

    MISSING = enum.auto()


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Payload:
    """A normalised payload with its canonical form.

    `canonical` is RFC 8785 JSON in UTF-8 and `payload_hash` its SHA-256. Levels are from 0 to 1.
    """

    semantic_traits: JsonObject
    activity_level: float
    stress: float
    task: str
    canonical: bytes
    payload_hash: str

    @classmethod
    def create(
        cls,
        *,
        semantic_traits: JsonObject | None,
        activity_level: float | None,
        stress: float | None,
        task: str | None,
        field: str = "payload",
    ) -> Payload:
        """Normalise and check the four fields; None means that a field is missing.

        Raises InvalidInputError with all that is wrong: PAYLOAD_INVALID, SIZE_EXCEEDED, TEXT_INVALID,
        KEY_COLLISION; `field` is the path of the payload that errors name.
        """
        try:
            payload = cls._make(
                _traits(semantic_traits, f"{field}.semantic_traits"),
                _level(activity_level, f"{field}.activity_level"),
                _level(stress, f"{field}.stress"),
                _task(task, f"{field}.task"),
            )
        except InvalidInputError:
            payload = None
        # Traits are a part of the whole: most payloads are too small for theirs to be too large.
        if payload is None or len(payload.canonical) > MAX_TRAITS_BYTES:
            _raise_findings(semantic_traits, activity_level, stress, task, field)
        assert payload is not None
        return payload

    @classmethod
    def restore(cls, canonical: bytes) -> Payload | None:
        """Read a payload back from its canonical form, or answer None if it can't be one.

        Nothing is normalised again, so that the hash tells whether it is the payload that was stored.
        """
        try:
            value = exact_numbers(orjson.loads(canonical))
        except (orjson.JSONDecodeError, RecursionError):
            return None
        if not isinstance(value, dict) or tuple(sorted(value)) != FIELDS:
            return None
        traits, task = value["semantic_traits"], value["task"]
        if not isinstance(traits, dict) or not isinstance(task, str):
            return None
        try:
            activity_level = _level(value["activity_level"], "")
            stress = _level(value["stress"], "")
            payload = cls._make(traits, activity_level, stress, task)
        except (InvalidInputError, ValueError):
            return None
        # Other bytes can mean the same, as "\u001F" for "\u001f"; they were not the ones stored.
        return payload if payload.canonical == canonical else None

    @classmethod
    def _make(cls, traits: JsonObject, activity_level: float, stress: float, task: str) -> Payload:
        canonical = canonical_json(
            {"activity_level": activity_level, "semantic_traits": traits, "stress": stress, "task": task}
        )
        return cls(traits, activity_level, stress, task, canonical, sha256_hex(canonical))

    def find(self, path: tuple[str, ...]) -> JsonValue | Missing:
        """Return what a template's path names, MISSING if the payload does not have it (None is null)."""
        root = path[0]
        if root != "semantic_traits":
            return getattr(self, root) if root in FIELDS and len(path) == 1 else MISSING
        value: JsonValue | Missing = self.semantic_traits
        for key in path[1:]:
            if not isinstance(value, (dict, Mapping)):
                return MISSING
            value = value.get(key, MISSING)
        return value


def _raise_findings(
    semantic_traits: JsonObject | None,
    activity_level: float | None,
    stress: float | None,
    task: str | None,
    field: str,
) -> None:
    """Raise all that is wrong with a payload at once, if anything is."""
    findings = Findings()
    with findings.gather():
        _check_traits_size(_traits(semantic_traits, f"{field}.semantic_traits"), f"{field}.semantic_traits")
    with findings.gather():
        _level(activity_level, f"{field}.activity_level")
    with findings.gather():
        _level(stress, f"{field}.stress")
    with findings.gather():
        _task(task, f"{field}.task")
    findings.raise_if_any()


def _missing(field: str) -> InvalidInputError:
    return invalid_field(
        ErrorReason.PAYLOAD_INVALID, field, f"is missing; all of {', '.join(FIELDS)} are required"
    )


def _traits(value: JsonObject | None, field: str) -> JsonObject:
    if value is None:
        raise _missing(field)
    if not isinstance(value, (dict, Mapping)):
        raise invalid_field(ErrorReason.PAYLOAD_INVALID, field, "must be a JSON object")
    traits = normalise_json(
        value,
        field,
        max_keys=MAX_TRAIT_KEYS,
        max_depth=MAX_TRAIT_DEPTH,
        reason=ErrorReason.PAYLOAD_INVALID,
    )
    assert isinstance(traits, dict)
    return traits


def _check_traits_size(traits: JsonObject, field: str) -> None:
    size = len(canonical_json(traits))
    if size > MAX_TRAITS_BYTES:
        raise size_exceeded(field, "bytes of canonical JSON", size, MAX_TRAITS_BYTES)


def _level(value: JsonValue, field: str) -> float:
    if value is None:
        raise _missing(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise invalid_field(ErrorReason.PAYLOAD_INVALID, field, "must be a number from 0 to 1")
    return value


def _task(value: str | None, field: str) -> str:
    if value is None:
        raise _missing(field)
    if not isinstance(value, str):
        raise invalid_field(ErrorReason.PAYLOAD_INVALID, field, "must be text")
    text = normalise_text(value, field)
    size = len(text.encode())
    if size > MAX_TASK_BYTES:
        raise size_exceeded(field, "bytes", size, MAX_TASK_BYTES)
    return text
