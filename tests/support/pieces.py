"""Short ways to make pieces in tests that are about something else."""

from collections.abc import Mapping, Sequence

from pecia_service.canonical import JsonObject
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.payload import Payload

NO_CONSTRAINTS: Mapping[Slot, JsonObject] = {}


def make_template(
    template_id: str = "t",
    semver: str = "1.0.0",
    *,
    content: str = "text",
    role: Role = Role.SYSTEM,
    constraints: JsonObject | None = None,
) -> Template:
    """Define a template."""
    return Template.define(
        template_id=template_id, semver=semver, role=role, content=content, constraints=constraints
    )


def make_bundle(slots: Mapping[Slot, TemplateRef], bundle_id: str = "b", semver: str = "1.0.0") -> Bundle:
    """Define a bundle."""
    return Bundle.define(bundle_id=bundle_id, semver=semver, slots=slots)


def resolve_contents(
    contents: Sequence[str], constraints: Mapping[Slot, JsonObject] = NO_CONSTRAINTS
) -> ResolvedBundle:
    """Make a bundle b@1.0.0 of four templates, named like their slots, with these contents in order."""
    templates = [
        make_template(slot.value, content=content, constraints=constraints.get(slot))
        for slot, content in zip(Slot, contents, strict=True)
    ]
    slots = {slot: template.ref for slot, template in zip(Slot, templates, strict=True)}
    return ResolvedBundle.resolve(make_bundle(slots), {template.ref: template for template in templates})


def make_payload(
    task: str = "task",
    traits: JsonObject | None = None,
    activity_level: float = 0.5,
    stress: float = 0.25,
) -> Payload:
    """Make a payload."""
    return Payload.create(
        semantic_traits=traits or {}, activity_level=activity_level, stress=stress, task=task
    )
