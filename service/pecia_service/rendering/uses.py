"""Which templates a prompt is rendered from, with the hashes that they had; records keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pecia_service.canonical import canonical_json
from pecia_service.registry.model import Slot, Template, TemplateRef


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """The template that a slot was rendered from, with the hashes that it had."""

    slot: Slot
    template_id: str
    semver: str
    content_hash: str
    constraints_hash: str
    definition_hash: str

    @classmethod
    def of(cls, slot: Slot, template: Template) -> TemplateUse:
        """Note down a template."""
        return cls(
            slot,
            template.template_id,
            template.semver,
            template.content_hash,
            template.constraints_hash,
            template.definition_hash,
        )

    @property
    def ref(self) -> TemplateRef:
        """The template's identity."""
        return TemplateRef(self.template_id, self.semver)

    def to_json(self) -> dict[str, str]:
        """Return the object that is hashed and stored."""
        return {
            "slot": self.slot.value,
            "template_id": self.template_id,
            "semver": self.semver,
            "content_hash": self.content_hash,
            "constraints_hash": self.constraints_hash,
            "definition_hash": self.definition_hash,
        }


class TemplateUses(tuple[TemplateUse, ...]):
    """The templates of a render, in assembly order; all renders of one bundle share them, and their JSON."""

    @classmethod
    def of(cls, templates: Mapping[Slot, Template]) -> TemplateUses:
        """Note down the templates of a bundle."""
        return cls(TemplateUse.of(slot, template) for slot, template in templates.items())

    @cached_property
    def canonical(self) -> bytes:
        """The canonical JSON of the list; raises ValueError for texts of a damaged row that have none."""
        return canonical_json([use.to_json() for use in self])

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(self))

    def __hash__(self) -> int:
        return self._hash
