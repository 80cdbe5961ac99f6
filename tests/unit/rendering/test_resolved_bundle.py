"""A resolved bundle has its four templates, its hash, its constraints, and what it reads."""

import dataclasses
import gc
import tracemalloc

import pytest
from pecia_service.errors import DataLossError, ErrorReason, PreconditionError
from pecia_service.registry.model import Slot, TemplateRef, compute_bundle_hash
from pecia_service.rendering.model import PayloadPath, ResolvedBundle
from support.pieces import make_bundle, make_template, resolve_contents


def test_resolves_in_assembly_order() -> None:
    """The order in which templates were found does not matter."""
    resolved = resolve_contents(["S", "P", "A", "T"])
    found = {template.ref: template for template in reversed(list(resolved.templates.values()))}
    again = ResolvedBundle.resolve(resolved.bundle, found)
    assert [template.content for template in again.templates.values()] == ["S", "P", "A", "T"]
    assert list(again.templates) == list(Slot)
    assert again.bundle_hash == resolved.bundle_hash == compute_bundle_hash(again.bundle, again.templates)


def test_unused_templates_are_left_out() -> None:
    """What was found but is not named has no part in the bundle."""
    resolved = resolve_contents(["S", "P", "A", "T"])
    found = {template.ref: template for template in resolved.templates.values()}
    other = make_template("other")
    assert ResolvedBundle.resolve(resolved.bundle, {**found, other.ref: other}) == resolved


def test_one_template_can_fill_all_slots() -> None:
    """A template is used as often as it is named."""
    template = make_template(content="x")
    resolved = ResolvedBundle.resolve(
        make_bundle(dict.fromkeys(Slot, template.ref)), {template.ref: template}
    )
    assert list(resolved.templates.values()) == [template] * 4


@pytest.mark.parametrize("slot", Slot)
def test_a_missing_template_is_refused_by_name(slot: Slot) -> None:
    """The error names the slot and the template version that does not exist."""
    template = make_template()
    slots = {**dict.fromkeys(Slot, template.ref), slot: TemplateRef("gone", "9.0.0")}
    with pytest.raises(PreconditionError) as caught:
        ResolvedBundle.resolve(make_bundle(slots), {template.ref: template})
    assert caught.value.reason is ErrorReason.TEMPLATE_REFERENCE_MISSING
    assert caught.value.metadata == {"slot": slot.value, "template_id": "gone", "semver": "9.0.0"}


def test_a_stored_bundle_hash_is_proved() -> None:
    """A bundle that was stored under its hash resolves; under any other it is damaged."""
    resolved = resolve_contents(["S", "P", "A", "T"])
    found = {template.ref: template for template in resolved.templates.values()}
    intact = dataclasses.replace(resolved.bundle, stored_bundle_hash=resolved.bundle_hash)
    damaged = dataclasses.replace(resolved.bundle, stored_bundle_hash="0" * 64)
    assert ResolvedBundle.resolve(intact, found).bundle_hash == resolved.bundle_hash
    with pytest.raises(DataLossError) as caught:
        ResolvedBundle.resolve(damaged, found)
    assert caught.value.reason is ErrorReason.PIECE_DAMAGED
    assert caught.value.metadata == {"piece": "bundle", "part": "bundle_hash", "id": "b", "semver": "1.0.0"}


def test_merges_constraints_once() -> None:
    """The effective constraints and their canonical form are ready before any render."""
    resolved = resolve_contents(
        ["S", "P", "A", "T"], {Slot.SYSTEM: {"MAX_PARAGRAPHS": 3}, Slot.TASK: {"MAX_PARAGRAPHS": 2}}
    )
    assert resolved.constraints.max_paragraphs == 2
    assert resolved.constraints.canonical == b'{"MAX_PARAGRAPHS":2}'


def test_weighs_at_least_its_templates() -> None:
    """A cache that counts bytes does not take a large bundle for a small one."""
    resolved = resolve_contents(["S" * 10_000, "P", "A", "T"])
    assert resolved.weight >= sum(template.weight for template in resolved.templates.values()) > 10_000


def test_weighs_what_a_plan_of_many_placeholders_takes() -> None:
    """A cache that counts bytes counts those of the plan too, which outweighs templates of placeholders."""
    contents = ["".join(f"{{{{semantic_traits.{name}{i}}}}}" for i in range(2_000)) for name in "abcd"]
    tracemalloc.start()
    try:
        resolved = resolve_contents(contents)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 1.1 * resolved.weight


def test_tells_what_it_reads_from_a_payload() -> None:
    """Paths are in order, each with its slots, and required unless every placeholder has a default."""
    resolved = resolve_contents(
        [
            "{{task}} {{semantic_traits.b | 1}} {{constraints}}",
            '{{semantic_traits.a | "x"}} {{json:task}} {{task | "t"}}',
            r"{{semantic_traits.b}} \{{stress}}",
            '{{semantic_traits}} {{semantic_traits.a | "y"}} {{semantic_traits.a.c}}',
        ]
    )
    assert resolved.payload_paths() == [
        PayloadPath("semantic_traits", (Slot.TASK,), required=True),
        PayloadPath("semantic_traits.a", (Slot.PERSONALITY, Slot.TASK), required=False),
        PayloadPath("semantic_traits.a.c", (Slot.TASK,), required=True),
        PayloadPath("semantic_traits.b", (Slot.SYSTEM, Slot.ACTIVITY), required=True),
        PayloadPath("task", (Slot.SYSTEM, Slot.PERSONALITY), required=True),
    ]


def test_reads_nothing_without_placeholders() -> None:
    """Fixed text needs no payload path."""
    assert resolve_contents(["S", "P", "A", "{{constraints}}"]).payload_paths() == []
