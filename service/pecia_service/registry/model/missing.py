"""The errors for pieces and labels that do not exist."""

from __future__ import annotations

from pecia_service.errors import ErrorReason, NotFoundError, PreconditionError
from pecia_service.registry.model.common import Slot, TemplateRef


def template_not_found(template_id: str, semver: str) -> NotFoundError:
    """Make the error for a template version that does not exist."""
    return NotFoundError(
        ErrorReason.TEMPLATE_NOT_FOUND,
        f"there is no template {template_id}@{semver}",
        metadata={"template_id": template_id, "semver": semver},
    )


def bundle_not_found(bundle_id: str, semver: str) -> NotFoundError:
    """Make the error for a bundle version that does not exist."""
    return NotFoundError(
        ErrorReason.BUNDLE_NOT_FOUND,
        f"there is no bundle {bundle_id}@{semver}",
        metadata={"bundle_id": bundle_id, "semver": semver},
    )


def label_not_found(bundle_id: str, label: str) -> NotFoundError:
    """Make the error for a label that does not exist."""
    return NotFoundError(
        ErrorReason.LABEL_NOT_FOUND,
        f"bundle {bundle_id} has no label {label}",
        metadata={"bundle_id": bundle_id, "label": label},
    )


def missing_reference(slot: Slot, ref: TemplateRef) -> PreconditionError:
    """Make the error for a slot that names a template version that does not exist."""
    return PreconditionError(
        ErrorReason.TEMPLATE_REFERENCE_MISSING,
        f"slot {slot.value} names template {ref}, which does not exist; "
        "publish it first, or correct the reference",
        metadata={"slot": slot.value, "template_id": ref.template_id, "semver": ref.semver},
    )
