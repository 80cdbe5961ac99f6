"""Templates, bundles and labels as the domain knows them: normalised, hashed, immutable."""

from pecia_service.registry.model.bundle import Bundle, compute_bundle_hash, damaged_bundle
from pecia_service.registry.model.common import Role, Slot, TemplateRef, check_adapter_version
from pecia_service.registry.model.erasure import TemplateErasedError, TemplateErasure
from pecia_service.registry.model.label import Label, LabelAction, LabelEvent
from pecia_service.registry.model.missing import (
    bundle_not_found,
    label_not_found,
    missing_reference,
    template_not_found,
)
from pecia_service.registry.model.stored import (
    BundleSummary,
    Published,
    StoredBundle,
    StoredTemplate,
    TemplateSummary,
)
from pecia_service.registry.model.template import (
    DamagedTemplateError,
    Template,
    damaged_template,
    lost_template,
)

__all__ = [
    "Bundle",
    "BundleSummary",
    "DamagedTemplateError",
    "Label",
    "LabelAction",
    "LabelEvent",
    "Published",
    "Role",
    "Slot",
    "StoredBundle",
    "StoredTemplate",
    "Template",
    "TemplateErasedError",
    "TemplateErasure",
    "TemplateRef",
    "TemplateSummary",
    "bundle_not_found",
    "check_adapter_version",
    "compute_bundle_hash",
    "damaged_bundle",
    "damaged_template",
    "label_not_found",
    "lost_template",
    "missing_reference",
    "template_not_found",
]
