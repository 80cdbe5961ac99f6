"""What templates and bundles share: roles, slots, references, and checks of their plain fields."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pecia_service.canonical import normalise_text
from pecia_service.errors import DataLossError, ErrorReason, Findings, size_exceeded
from pecia_service.registry.identifiers import require_identifier, require_semver

MAX_DESCRIPTION_BYTES = 4_096
MAX_ADAPTER_VERSION_LENGTH = 128


class Role(enum.Enum):
    """Who speaks a part; the value is the canonical name."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"

    # They are equal when they are one. Enum's own hash is a function in Python, of which a render needs many.
    __hash__ = object.__hash__


class Slot(enum.Enum):
    """A place in a bundle; iterating gives the assembly order, the value is the canonical name."""

    SYSTEM = "system"
    PERSONALITY = "personality"
    ACTIVITY = "activity"
    TASK = "task"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """The identity of a template version."""

    template_id: str
    semver: str

    @classmethod
    def checked(cls, template_id: str, semver: str, field: str) -> TemplateRef:
        """Make a reference from input; raises InvalidInputError naming fields below `field`."""
        findings = Findings()
        with findings.gather():
            require_identifier(template_id, f"{field}.template_id")
        with findings.gather():
            require_semver(semver, f"{field}.semver")
        findings.raise_if_any()
        return cls(template_id, semver)

    def __str__(self) -> str:
        return f"{self.template_id}@{self.semver}"


def damaged(piece: str, identifier: str, semver: str, part: str) -> DataLossError:
    """Make the error for a stored piece whose `part` was changed behind the service's back."""
    return DataLossError(
        ErrorReason.PIECE_DAMAGED,
        f"the stored {piece} {identifier}@{semver} is not what was published: its {part} has another hash; "
        "restore it from a backup, or publish a new version and use that",
        metadata={"piece": piece, "part": part, "id": identifier, "semver": semver},
    )


def check_adapter_version(value: str, field: str) -> str:
    """Return a normalised adapter version of at most 128 code points, or raise InvalidInputError."""
    text = normalise_text(value, field)
    if len(text) > MAX_ADAPTER_VERSION_LENGTH:
        raise size_exceeded(field, "characters", len(text), MAX_ADAPTER_VERSION_LENGTH)
    return text


def check_bytes(text: str, limit: int, field: str) -> None:
    """Raise InvalidInputError (SIZE_EXCEEDED) for more than `limit` bytes of UTF-8."""
    size = len(text.encode())
    if size > limit:
        raise size_exceeded(field, "bytes", size, limit)


def check_description(value: str, field: str) -> str:
    """Return a normalised description of at most 4,096 bytes, or raise InvalidInputError."""
    text = normalise_text(value, field)
    check_bytes(text, MAX_DESCRIPTION_BYTES, field)
    return text
