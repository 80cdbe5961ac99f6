"""Pieces and payloads from the JSON that golden vectors and generated cases give them as."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.payload import Payload

Definition: TypeAlias = Mapping[str, Any]
"""A definition with the field names of the contract; roles and slots by their canonical names."""


def define_template(definition: Definition) -> Template:
    """Define a template; constraints have the canonical keys."""
    return Template.define(
        template_id=definition["template_id"],
        semver=definition["semver"],
        role=Role(definition["role"]),
        content=definition["content"],
        constraints=definition.get("constraints"),
        adapter_version=definition.get("adapter_version", ""),
        description=definition.get("description", ""),
    )


def define_bundle(definition: Definition) -> Bundle:
    """Define a bundle."""
    return Bundle.define(
        bundle_id=definition["bundle_id"],
        semver=definition["semver"],
        slots={
            Slot(name): TemplateRef(ref["template_id"], ref["semver"])
            for name, ref in definition["slots"].items()
        },
        tags=definition.get("tags", ()),
        description=definition.get("description", ""),
    )


def create_payload(definition: Definition) -> Payload:
    """Make a payload; a field that is not there is missing."""
    return Payload.create(
        semantic_traits=definition.get("semantic_traits"),
        activity_level=definition.get("activity_level"),
        stress=definition.get("stress"),
        task=definition.get("task"),
    )


def resolve(bundle: Bundle, templates: list[Template]) -> ResolvedBundle:
    """Put a bundle and its templates together."""
    return ResolvedBundle.resolve(bundle, {template.ref: template for template in templates})
