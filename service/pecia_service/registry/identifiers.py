"""Identifiers, versions and label names: their forms, and the order of versions."""

from __future__ import annotations

import re

from pecia_service.errors import ErrorReason, InvalidInputError, invalid_field

MAX_SEMVER_LENGTH = 255

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}", re.ASCII)
_LIKE_A_VERSION = re.compile(r"[vV][0-9].*", re.ASCII)
_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRERELEASE_PART = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_PRERELEASE_PART}(?:\.{_PRERELEASE_PART})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)


def require_identifier(value: str, field: str) -> str:
    """Return `value` if it is an identifier, else raise InvalidInputError (IDENTIFIER_INVALID)."""
    if _IDENTIFIER.fullmatch(value):
        return value
    raise _bad_name(value, field, "[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def require_label(value: str, field: str) -> str:
    """Return `value` if it can name a label, else raise InvalidInputError (IDENTIFIER_INVALID)."""
    if not _LABEL.fullmatch(value):
        raise _bad_name(value, field, "[A-Za-z][A-Za-z0-9._-]{0,62}")
    if _LIKE_A_VERSION.fullmatch(value):
        raise invalid_field(
            ErrorReason.IDENTIFIER_INVALID,
            field,
            "is shaped like a version; choose a name such as production",
        )
    return value


def _bad_name(value: str, field: str, form: str) -> InvalidInputError:
    problem = "is not of the form" if value else "is missing; give a name of the form"
    return invalid_field(ErrorReason.IDENTIFIER_INVALID, field, f"{problem} {form}")


def is_semver(value: str) -> bool:
    """Tell whether `value` is a strict SemVer 2.0 version (https://semver.org) of at most 255 characters."""
    return len(value) <= MAX_SEMVER_LENGTH and _SEMVER.fullmatch(value) is not None


def require_semver(value: str, field: str) -> str:
    """Return `value` if it is a strict SemVer 2.0 version, else raise InvalidInputError (SEMVER_INVALID)."""
    if is_semver(value):
        return value
    problem = "is not strict SemVer 2.0" if value else "is missing"
    raise invalid_field(
        ErrorReason.SEMVER_INVALID, field, f"{problem}; write MAJOR.MINOR.PATCH such as 1.2.0 or 1.2.0-rc.1"
    )


def precedence_key(semver: str) -> str:
    """Return an ASCII string whose byte order is SemVer precedence (SemVer 2.0, rule 11).

    Versions that differ only in build metadata have the same key. `semver` must be valid.
    """
    match = _SEMVER.fullmatch(semver)
    if match is None:
        raise ValueError("not a SemVer version")
    core = "".join(_number_key(number) for number in match.group(1, 2, 3))
    prerelease: str | None = match.group(4)
    if prerelease is None:
        return core + "~"
    # A space ends each part and sorts before every character of one, so that fewer parts come first.
    return core + "".join(f"{_part_key(part)} " for part in prerelease.split("."))


def _number_key(number: str) -> str:
    """Put the count of digits first, so that numbers of any size compare as text."""
    return f"{len(number):03d}{number}"


def _part_key(part: str) -> str:
    """Numeric parts come before alphanumeric ones."""
    return f"0{_number_key(part)}" if part.isdigit() else f"1{part}"
