"""Make a bundle that can be rendered of what a server answered, and prove that it is what was published."""

from __future__ import annotations

from collections.abc import Iterable

from pecia.v1 import bundle_pb2, template_pb2
from pecia_service.errors import InvalidInputError
from pecia_service.registry.model import (
    Bundle,
    Slot,
    Template,
    TemplateErasedError,
    TemplateRef,
    damaged_template,
)
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.server.convert.pieces import ROLE_TO_PROTO, constraints_from_proto

_ROLES = {number: role.value for role, number in ROLE_TO_PROTO.items()}


def template_refs(bundle: bundle_pb2.Bundle) -> list[template_pb2.TemplateRef]:
    """Return the templates that a bundle's slots name, each once."""
    refs = {
        (ref.template_id, ref.semver): ref
        for ref in (getattr(bundle.definition.slots, slot.value) for slot in Slot)
    }
    return list(refs.values())


def prove(bundle: bundle_pb2.Bundle, templates: Iterable[template_pb2.Template]) -> ResolvedBundle:
    """Put answers together after computing every hash anew from what it stands for.

    Raises DataLossError (PIECE_DAMAGED) for a piece that does not have the hash that it came with or is not
    the one that was asked for, and TemplateErasedError (TEMPLATE_ERASED).
    """
    proved = {template.ref: template for template in map(_template, templates)}
    return ResolvedBundle.resolve(prove_definition(bundle), proved)


def prove_definition(message: bundle_pb2.Bundle) -> Bundle:
    """Return a bundle that has the hash of its definition; raises DataLossError (PIECE_DAMAGED)."""
    definition = message.definition
    refs: dict[Slot, TemplateRef] = {}
    for slot in Slot:
        ref = getattr(definition.slots, slot.value)
        refs[slot] = TemplateRef(ref.template_id, ref.semver)
    return Bundle.restore(
        bundle_id=definition.bundle_id,
        semver=definition.semver,
        slots=refs,
        tags=definition.tags,
        description=definition.description,
        definition_hash=message.definition_hash,
        bundle_hash=message.bundle_hash,
    )


def _template(message: template_pb2.Template) -> Template:
    definition = message.definition
    ref = TemplateRef(definition.template_id, definition.semver)
    if message.HasField("erased_at"):
        raise TemplateErasedError(ref)
    try:
        constraints = constraints_from_proto(definition.constraints, "constraints")
    except InvalidInputError:
        raise damaged_template(ref, "constraints") from None
    return Template.restore(
        template_id=definition.template_id,
        semver=definition.semver,
        role=_ROLES.get(definition.role, ""),
        content=definition.content,
        constraints=constraints,
        adapter_version=definition.adapter_version,
        description=definition.description,
        content_hash=message.content_hash,
        constraints_hash=message.constraints_hash,
        definition_hash=message.definition_hash,
    )
