"""From rows to pieces, proved, and back; a row that can't be read is a damaged piece."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import orjson

from pecia_service.canonical import JsonObject, canonical_json, sha256_hex
from pecia_service.errors import DataLossError
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.identifiers import precedence_key
from pecia_service.registry.model import (
    Bundle,
    BundleSummary,
    Role,
    Slot,
    StoredBundle,
    StoredTemplate,
    Template,
    TemplateRef,
    TemplateSummary,
    damaged_bundle,
    damaged_template,
)
from pecia_service.storage.column_values import stored_number, stored_text

RowValues: TypeAlias = Mapping[Any, Any]

_BUNDLE_COLUMNS = (*(f"{slot.value}_{part}" for slot in Slot for part in ("id", "semver")), "description")


def template_to_row(template: Template, published_at: int) -> dict[str, object]:
    """Return the columns of a template, without the tenant."""
    return {
        "template_id": template.template_id,
        "semver": template.semver,
        "precedence": precedence_key(template.semver),
        "role": template.role.value,
        "content": template.content,
        "constraints_json": template.constraints.canonical.decode(),
        "adapter_version": template.adapter_version,
        "description": template.description,
        "content_hash": template.content_hash,
        "constraints_hash": template.constraints_hash,
        "definition_hash": template.definition_hash,
        "content_bytes": template.content_bytes,
        "published_at": published_at,
    }


def template_from_row(row: RowValues) -> StoredTemplate:
    """Make a template of its columns, and prove it; raises DataLossError (PIECE_DAMAGED)."""
    ref = TemplateRef(row["template_id"], row["semver"])
    if not _all_text(row, ("content",)):
        raise damaged_template(ref, "content")
    constraints = _constraints(row, ref)
    if not _all_text(row, ("role", "adapter_version", "description")):
        raise damaged_template(ref, "definition")
    template = Template.restore(
        template_id=ref.template_id,
        semver=ref.semver,
        role=row["role"],
        content=row["content"],
        constraints=constraints,
        adapter_version=row["adapter_version"],
        description=row["description"],
        content_hash=row["content_hash"],
        constraints_hash=row["constraints_hash"],
        definition_hash=row["definition_hash"],
    )
    return StoredTemplate(template, stored_number(row["published_at"]))


def template_summary_from_row(row: RowValues) -> TemplateSummary:
    """Make a summary of a template's columns without its content, whatever they hold."""
    return TemplateSummary(
        template_id=stored_text(row["template_id"]),
        semver=stored_text(row["semver"]),
        role=next((role for role in Role if role.value == row["role"]), None),
        constraints=_readable_constraints(row["constraints_json"]),
        adapter_version=stored_text(row["adapter_version"]),
        description=stored_text(row["description"]),
        content_hash=stored_text(row["content_hash"]),
        constraints_hash=stored_text(row["constraints_hash"]),
        definition_hash=stored_text(row["definition_hash"]),
        content_bytes=stored_number(row["content_bytes"]),
        published_at=stored_number(row["published_at"]),
        erased_at=None if row["erased_at"] is None else stored_number(row["erased_at"]),
    )


def bundle_to_row(bundle: Bundle, published_at: int) -> dict[str, object]:
    """Return the columns of a bundle, without the tenant."""
    row: dict[str, object] = {
        "bundle_id": bundle.bundle_id,
        "semver": bundle.semver,
        "precedence": precedence_key(bundle.semver),
        "tags_json": canonical_json(bundle.tags).decode(),
        "description": bundle.description,
        "bundle_hash": bundle.stored_bundle_hash,
        "definition_hash": bundle.definition_hash,
        "published_at": published_at,
    }
    for slot, ref in bundle.slots.items():
        row[f"{slot.value}_id"] = ref.template_id
        row[f"{slot.value}_semver"] = ref.semver
    return row


def bundle_from_row(row: RowValues) -> StoredBundle:
    """Make a bundle of its columns, and prove its definition; raises DataLossError (PIECE_DAMAGED).

    Its bundle_hash is proved when its templates are there: see `ResolvedBundle.resolve`.
    """
    bundle_id, semver = row["bundle_id"], row["semver"]
    if not _all_text(row, _BUNDLE_COLUMNS):
        raise damaged_bundle(bundle_id, semver, "definition")
    bundle = Bundle.restore(
        bundle_id=bundle_id,
        semver=semver,
        slots={slot: TemplateRef(row[f"{slot.value}_id"], row[f"{slot.value}_semver"]) for slot in Slot},
        tags=_tags(row["tags_json"], damaged_bundle(bundle_id, semver, "definition")),
        description=row["description"],
        definition_hash=row["definition_hash"],
        bundle_hash=row["bundle_hash"],
    )
    return StoredBundle(bundle, stored_number(row["published_at"]))


def bundle_summary_from_row(row: RowValues) -> BundleSummary:
    """Make a summary of a bundle's columns, whatever they hold."""
    return BundleSummary(
        bundle_id=stored_text(row["bundle_id"]),
        semver=stored_text(row["semver"]),
        slots={
            slot: TemplateRef(stored_text(row[f"{slot.value}_id"]), stored_text(row[f"{slot.value}_semver"]))
            for slot in Slot
        },
        tags=tuple(_parse_tags(row["tags_json"]) or ()),
        description=stored_text(row["description"]),
        definition_hash=stored_text(row["definition_hash"]),
        published_at=stored_number(row["published_at"]),
    )


def _all_text(row: RowValues, columns: Iterable[str]) -> bool:
    """Tell whether columns hold text: SQLite keeps a blob in them too."""
    return all(isinstance(row[column], str) for column in columns)


def _constraints(row: RowValues, ref: TemplateRef) -> JsonObject:
    """Return the object whose canonical form is stored; its hash is that of the text, to the byte."""
    stored = row["constraints_json"]
    if not isinstance(stored, str) or _hash(stored) != row["constraints_hash"]:
        raise damaged_template(ref, "constraints")
    try:
        value = orjson.loads(stored)
    except orjson.JSONDecodeError:
        raise damaged_template(ref, "constraints") from None
    if not isinstance(value, dict):
        raise damaged_template(ref, "constraints")
    return value


def _readable_constraints(stored: object) -> Constraints:
    try:
        value = orjson.loads(stored_text(stored))
    except orjson.JSONDecodeError:
        return Constraints()
    return Constraints.salvage(value) if isinstance(value, dict) else Constraints()


def _tags(stored: object, damage: DataLossError) -> list[str]:
    tags = _parse_tags(stored)
    if tags is None or canonical_json(tags).decode() != stored:
        raise damage
    return tags


def _parse_tags(stored: object) -> list[str] | None:
    """Return the list of texts whose JSON form is stored, None if it is no such thing."""
    try:
        tags: list[str] = orjson.loads(stored_text(stored))
    except orjson.JSONDecodeError:
        return None
    return tags if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else None


def _hash(stored: str) -> str:
    # Bytes that are no UTF-8 come from SQLite as lone surrogates.
    return sha256_hex(stored.encode(errors="surrogatepass"))
