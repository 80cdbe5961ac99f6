"""A bundle version: four template references, normalised, hashed, and proved when it is read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pecia_service.canonical import JsonValue, canonical_json, normalise_name, sha256_hex
from pecia_service.errors import DataLossError, ErrorReason, Findings, invalid_field, size_exceeded
from pecia_service.registry.identifiers import require_identifier, require_semver
from pecia_service.registry.model.common import Slot, TemplateRef, check_description, damaged
from pecia_service.registry.model.template import Template

MAX_TAGS = 64
MAX_TAG_LENGTH = 64


@dataclass(frozen=True)
class Bundle:
    """A bundle version: four references, in assembly order.

    `stored_bundle_hash` is what the registry recorded when it was published; None when it was never stored.
    """

    bundle_id: str
    semver: str
    slots: Mapping[Slot, TemplateRef]
    tags: tuple[str, ...]
    description: str
    definition_hash: str
    stored_bundle_hash: str | None = None

    @classmethod
    def define(
        cls,
        *,
        bundle_id: str,
        semver: str,
        slots: Mapping[Slot, TemplateRef],
        tags: Sequence[str] = (),
        description: str = "",
        field: str = "",
    ) -> Bundle:
        """Make a bundle from what an author wrote: normalise, check everything, hash.

        Raises InvalidInputError with all that is wrong; `field` is as for `Template.define`.
        """
        at = f"{field}." if field else ""
        findings = Findings()
        with findings.gather():
            require_identifier(bundle_id, f"{at}bundle_id")
        with findings.gather():
            require_semver(semver, f"{at}semver")
        ordered: dict[Slot, TemplateRef] = {}
        for slot in Slot:
            with findings.gather():
                if slot not in slots:
                    raise invalid_field(
                        ErrorReason.FIELD_INVALID, f"{at}slots.{slot.value}", "is missing; name a template"
                    )
                ref = slots[slot]
                ordered[slot] = TemplateRef.checked(ref.template_id, ref.semver, f"{at}slots.{slot.value}")
        normal_tags: tuple[str, ...] = ()
        with findings.gather():
            normal_tags = _check_tags(tags, f"{at}tags")
        with findings.gather():
            description = check_description(description, f"{at}description")
        findings.raise_if_any()
        return cls._make(
            bundle_id=bundle_id, semver=semver, slots=ordered, tags=normal_tags, description=description
        )

    @classmethod
    def restore(
        cls,
        *,
        bundle_id: str,
        semver: str,
        slots: Mapping[Slot, TemplateRef],
        tags: Sequence[str],
        description: str,
        definition_hash: str,
        bundle_hash: str,
    ) -> Bundle:
        """Make a bundle from what was stored, and prove it; raises DataLossError (PIECE_DAMAGED)."""
        ordered = {slot: slots[slot] for slot in Slot}
        bundle = cls._make(
            bundle_id=bundle_id,
            semver=semver,
            slots=ordered,
            tags=tuple(tags),
            description=description,
            stored_bundle_hash=bundle_hash,
        )
        if bundle.definition_hash != definition_hash:
            raise damaged_bundle(bundle_id, semver, "definition")
        return bundle

    @classmethod
    def _make(
        cls,
        *,
        bundle_id: str,
        semver: str,
        slots: Mapping[Slot, TemplateRef],
        tags: tuple[str, ...],
        description: str,
        stored_bundle_hash: str | None = None,
    ) -> Bundle:
        definition: JsonValue = {
            "format": "pecia.bundle-definition.v1",
            "bundle_id": bundle_id,
            "semver": semver,
            "slots": {
                slot.value: {"template_id": ref.template_id, "semver": ref.semver}
                for slot, ref in slots.items()
            },
            "tags": list(tags),
            "description": description,
        }
        try:
            definition_hash = sha256_hex(canonical_json(definition))
        except ValueError:
            raise damaged_bundle(bundle_id, semver, "definition") from None
        return cls(bundle_id, semver, slots, tags, description, definition_hash, stored_bundle_hash)

    def __str__(self) -> str:
        return f"{self.bundle_id}@{self.semver}"


def compute_bundle_hash(bundle: Bundle, templates: Mapping[Slot, Template]) -> str:
    """Return the SHA-256 of what a bundle renders: its identity and that of its four templates."""
    return sha256_hex(
        canonical_json(
            {
                "format": "pecia.bundle.v1",
                "bundle_id": bundle.bundle_id,
                "semver": bundle.semver,
                "slots": {
                    slot.value: {
                        "template_id": template.template_id,
                        "semver": template.semver,
                        "role": template.role.value,
                        "content_hash": template.content_hash,
                        "constraints_hash": template.constraints_hash,
                    }
                    for slot, template in templates.items()
                },
            }
        )
    )


def damaged_bundle(bundle_id: str, semver: str, part: str) -> DataLossError:
    """Make the error for a stored bundle whose `part` (definition, bundle_hash) was changed."""
    return damaged("bundle", bundle_id, semver, part)


def _check_tags(tags: Sequence[str], field: str) -> tuple[str, ...]:
    if len(tags) > MAX_TAGS:
        raise size_exceeded(field, "tags", len(tags), MAX_TAGS)
    findings = Findings()
    normal: list[str] = []
    for index, tag in enumerate(tags):
        with findings.gather():
            text = _check_tag(tag, f"{field}[{index}]")
            if text in normal:
                raise invalid_field(
                    ErrorReason.FIELD_INVALID, f"{field}[{index}]", "is there twice; give each tag once"
                )
            normal.append(text)
    findings.raise_if_any()
    return tuple(normal)


def _check_tag(tag: str, field: str) -> str:
    text = normalise_name(tag, field)
    if not text:
        raise invalid_field(ErrorReason.FIELD_INVALID, field, "is empty; leave it out")
    if len(text) > MAX_TAG_LENGTH:
        raise size_exceeded(field, "characters", len(text), MAX_TAG_LENGTH)
    return text
