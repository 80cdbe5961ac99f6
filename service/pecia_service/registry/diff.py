"""How two bundle versions differ, slot by slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pecia_service.canonical import canonical_json
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.line_diff import unified_diff
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef


@dataclass(frozen=True, slots=True)
class Side:
    """A bundle version with its four templates, as one side of a comparison."""

    bundle: Bundle
    templates: Mapping[Slot, Template]
    bundle_hash: str


@dataclass(frozen=True, slots=True)
class SlotDiff:
    """What two bundle versions have in one slot.

    The diffs are unified diffs, empty where there is no difference. `changed` tells whether role, content or
    constraints differ; a template under another name or version with the same of these is not changed.
    """

    slot: Slot
    before: TemplateRef
    after: TemplateRef
    before_role: Role
    after_role: Role
    changed: bool
    content_diff: str
    constraints_diff: str


@dataclass(frozen=True, slots=True)
class BundleDiff:
    """How two bundle versions differ; `identical` when they have the same bundle_hash."""

    slots: tuple[SlotDiff, ...]
    identical: bool
    before_hash: str
    after_hash: str


def diff_bundles(before: Side, after: Side) -> BundleDiff:
    """Compare two bundle versions, which may be of different bundles; slots are in assembly order."""
    return BundleDiff(
        tuple(_diff_slot(slot, before.templates[slot], after.templates[slot]) for slot in Slot),
        before.bundle_hash == after.bundle_hash,
        before.bundle_hash,
        after.bundle_hash,
    )


def _diff_slot(slot: Slot, before: Template, after: Template) -> SlotDiff:
    names = str(before.ref), str(after.ref)
    # Lines end at line feeds only; str.splitlines would break U+2028 and form feeds, too.
    content_diff = unified_diff(before.content.split("\n"), after.content.split("\n"), *names)
    constraints_diff = unified_diff(
        _constraint_lines(before.constraints), _constraint_lines(after.constraints), *names
    )
    return SlotDiff(
        slot,
        before.ref,
        after.ref,
        before.role,
        after.role,
        changed=before.role != after.role or bool(content_diff) or bool(constraints_diff),
        content_diff=content_diff,
        constraints_diff=constraints_diff,
    )


def _constraint_lines(constraints: Constraints) -> list[str]:
    """Return the canonical form, one key a line, in the order of RFC 8785 (UTF-16 code units)."""
    values = constraints.to_json()
    ordered = sorted(values, key=lambda key: key.encode("utf-16-be"))
    return [canonical_json({key: values[key]})[1:-1].decode() for key in ordered]
