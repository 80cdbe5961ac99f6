"""Erasures: the text of a published template is gone for good, its identity and its hashes stay."""

from __future__ import annotations

from dataclasses import dataclass

from pecia_service.canonical import normalise_name
from pecia_service.errors import ErrorReason, PreconditionError, invalid_field
from pecia_service.registry.model.common import TemplateRef, check_bytes

MAX_REASON_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class TemplateErasure:
    """The act of erasing a template's text, as it is stored; texts may hold lone surrogates.

    `definition_hash` is the one that the template had, `erased_at` is in microseconds since the epoch, and
    `erased_by` is the principal.
    """

    ref: TemplateRef
    definition_hash: str
    erased_at: int
    erased_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Erased:
    """The outcome of erasing; `erased` is False when the text was gone already, by `erasure`."""

    erasure: TemplateErasure
    erased: bool


@dataclass(frozen=True, slots=True)
class ErasureNotice:
    """What whoever keeps text must know of an erasure; `erased_at` is in microseconds since the epoch."""

    tenant_id: str
    ref: TemplateRef
    erased_at: int


class TemplateErasedError(PreconditionError):
    """What was asked for needs the text of a template that was erased."""

    def __init__(self, ref: TemplateRef) -> None:
        super().__init__(
            ErrorReason.TEMPLATE_ERASED,
            f"the text of template {ref} was erased by an administrator; publish a new version and use that",
            metadata={"template_id": ref.template_id, "semver": ref.semver},
        )


def check_reason(value: str, field: str) -> str:
    """Return the normalised reason of an erasure, 1 to 1,024 bytes, or raise InvalidInputError."""
    reason = normalise_name(value, field)
    if not reason:
        raise invalid_field(ErrorReason.FIELD_INVALID, field, "is missing; say why, for the history")
    check_bytes(reason, MAX_REASON_BYTES, field)
    return reason
