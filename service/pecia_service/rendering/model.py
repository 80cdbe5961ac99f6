"""What a render works on and what it gives: resolved bundles, parts, results, receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model import (
    Bundle,
    Role,
    Slot,
    Template,
    TemplateRef,
    compute_bundle_hash,
    damaged_bundle,
    lost_template,
    missing_reference,
)
from pecia_service.registry.placeholders import Placeholder
from pecia_service.rendering.plan import Plan
from pecia_service.rendering.uses import TemplateUses


@dataclass(frozen=True, slots=True)
class PayloadPath:
    """A path that a bundle's templates read; `required` when one placeholder for it has no default."""

    path: str
    slots: tuple[Slot, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class ResolvedBundle:
    """A bundle with its four templates, ready to render; make it with `resolve`."""

    bundle: Bundle
    templates: Mapping[Slot, Template]
    bundle_hash: str
    constraints: Constraints
    weight: int
    plan: Plan = field(compare=False, repr=False)
    uses: TemplateUses = field(compare=False, repr=False)

    @classmethod
    def resolve(cls, bundle: Bundle, found: Mapping[TemplateRef, Template]) -> ResolvedBundle:
        """Put a bundle and its templates together, in assembly order.

        Raises PreconditionError (TEMPLATE_REFERENCE_MISSING) for a slot whose template is not in `found`, or
        DataLossError (PIECE_DAMAGED) if the bundle was stored, and so had its templates; the same when it was
        stored under another bundle_hash.
        """
        templates: dict[Slot, Template] = {}
        for slot, ref in bundle.slots.items():
            if ref not in found:
                raise (
                    missing_reference(slot, ref) if bundle.stored_bundle_hash is None else lost_template(ref)
                )
            templates[slot] = found[ref]
        bundle_hash = compute_bundle_hash(bundle, templates)
        if bundle.stored_bundle_hash not in (None, bundle_hash):
            raise damaged_bundle(bundle.bundle_id, bundle.semver, "bundle_hash")
        constraints = Constraints.merge(template.constraints for template in templates.values())
        plan = Plan.of(templates, constraints.canonical.decode())
        return cls(
            bundle,
            templates,
            bundle_hash,
            constraints,
            weight=sum(template.weight for template in templates.values())
            + len(constraints.canonical)
            + plan.weight,
            plan=plan,
            uses=TemplateUses.of(templates),
        )

    def payload_paths(self) -> list[PayloadPath]:
        """Return what the templates read from a payload, ordered by path."""
        slots: dict[str, list[Slot]] = {}
        required: set[str] = set()
        for slot, template in self.templates.items():
            for segment in template.segments:
                if not isinstance(segment, Placeholder) or segment.path[0] == "constraints":
                    continue
                readers = slots.setdefault(segment.dotted, [])
                if slot not in readers:
                    readers.append(slot)
                if segment.default is None:
                    required.add(segment.dotted)
        return [PayloadPath(path, tuple(slots[path]), path in required) for path in sorted(slots)]


@dataclass(frozen=True, slots=True)
class PromptPart:
    """The text that one slot gave."""

    slot: Slot
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class RenderResult:
    """A prompt and its hashes; the same for the same bundle and payload, always.

    The prompt is the `texts` of its parts joined by two line feeds.
    """

    prompt: str
    texts: tuple[str, ...]
    prompt_hash: str
    payload_hash: str
    resolved: ResolvedBundle
    renderer_version: str

    @property
    def parts(self) -> tuple[PromptPart, ...]:
        """What each slot gave."""
        templates = self.resolved.templates.items()
        return tuple(
            PromptPart(slot, template.role, text)
            for (slot, template), text in zip(templates, self.texts, strict=True)
        )

    @property
    def bundle_hash(self) -> str:
        """The identity of what was rendered."""
        return self.resolved.bundle_hash


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was rendered, for the caller to keep.

    `render_id` is a UUIDv7, empty when nothing is recorded; `created_at` is in microseconds since the epoch.
    """

    render_id: str
    prompt_hash: str
    bundle_hash: str
    payload_hash: str
    bundle_id: str
    semver: str
    renderer_version: str
    adapter_version: str
    created_at: int
