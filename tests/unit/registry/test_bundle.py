"""Bundles are four references, hashed by a documented form and proved when they are read back."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from pecia_service.errors import DataLossError, ErrorReason, InvalidInputError
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef, compute_bundle_hash

SLOTS: Mapping[Slot, TemplateRef] = {
    Slot.TASK: TemplateRef("t", "4.0.0"),
    Slot.SYSTEM: TemplateRef("s", "1.0.0"),
    Slot.ACTIVITY: TemplateRef("a", "3.0.0"),
    Slot.PERSONALITY: TemplateRef("p", "2.0.0+b"),
}


def define(**fields: Any) -> Bundle:
    """Define a bundle that is complete but for what the test gives."""
    return Bundle.define(**{"bundle_id": "companion", "semver": "1.2.0", "slots": SLOTS, **fields})


def error_of(**fields: Any) -> InvalidInputError:
    """Return the error that a definition is refused with."""
    with pytest.raises(InvalidInputError) as caught:
        define(**fields)
    return caught.value


def stored(bundle: Bundle) -> dict[str, Any]:
    """Return what a store keeps of a bundle: the arguments of `Bundle.restore`."""
    return {
        "bundle_id": bundle.bundle_id,
        "semver": bundle.semver,
        "slots": bundle.slots,
        "tags": bundle.tags,
        "description": bundle.description,
        "definition_hash": bundle.definition_hash,
        "bundle_hash": "b" * 64,
    }


def template(slot: Slot, role: Role = Role.SYSTEM, content: str = "x") -> Template:
    """Define the template that SLOTS names for a slot."""
    ref = SLOTS[slot]
    return Template.define(template_id=ref.template_id, semver=ref.semver, role=role, content=content)


def test_slots_are_in_assembly_order() -> None:
    """Whatever the order they were given in, slots come in the order of the prompt."""
    assert list(define().slots) == [Slot.SYSTEM, Slot.PERSONALITY, Slot.ACTIVITY, Slot.TASK]


def test_definition_hash_is_that_of_the_documented_bytes() -> None:
    """The hash is the SHA-256 of the canonical form that the contract writes down."""
    bundle = define(tags=["gpt-4o", " default "], description="\u00e5")
    expected = (
        '{"bundle_id":"companion","description":"\u00e5","format":"pecia.bundle-definition.v1","semver":"1.2.0",'
        '"slots":{"activity":{"semver":"3.0.0","template_id":"a"},"personality":{"semver":"2.0.0+b",'
        '"template_id":"p"},"system":{"semver":"1.0.0","template_id":"s"},"task":{"semver":"4.0.0",'
        '"template_id":"t"}},"tags":["gpt-4o","default"]}'
    )
    assert bundle.definition_hash == hashlib.sha256(expected.encode()).hexdigest()


def test_bundle_hash_is_that_of_the_documented_bytes() -> None:
    """The hash covers identities, roles, contents and constraints of all four slots."""
    templates = {
        Slot.SYSTEM: template(Slot.SYSTEM),
        Slot.PERSONALITY: template(Slot.PERSONALITY, Role.DEVELOPER),
        Slot.ACTIVITY: template(Slot.ACTIVITY, Role.USER),
        Slot.TASK: template(Slot.TASK, Role.USER),
    }
    content, none = hashlib.sha256(b"x").hexdigest(), hashlib.sha256(b"{}").hexdigest()
    hashes = f'"constraints_hash":"{none}","content_hash":"{content}"'
    expected = (
        '{"bundle_id":"companion","format":"pecia.bundle.v1","semver":"1.2.0","slots":{'
        f'"activity":{{{hashes},"role":"user","semver":"3.0.0","template_id":"a"}},'
        f'"personality":{{{hashes},"role":"developer","semver":"2.0.0+b","template_id":"p"}},'
        f'"system":{{{hashes},"role":"system","semver":"1.0.0","template_id":"s"}},'
        f'"task":{{{hashes},"role":"user","semver":"4.0.0","template_id":"t"}}}}}}'
    )
    assert compute_bundle_hash(define(), templates) == hashlib.sha256(expected.encode()).hexdigest()


def test_tags_and_description_are_not_in_the_bundle_hash() -> None:
    """What does not change a prompt does not change its bundle_hash."""
    templates = {slot: template(slot) for slot in Slot}
    tagged = define(tags=["a"], description="d")
    assert compute_bundle_hash(tagged, templates) == compute_bundle_hash(define(), templates)
    assert tagged.definition_hash != define().definition_hash


@pytest.mark.parametrize("slot", Slot)
@pytest.mark.parametrize("change", [{"content": "y"}, {"role": Role.USER}], ids=str)
def test_any_change_of_a_template_changes_the_bundle_hash(slot: Slot, change: dict[str, Any]) -> None:
    """Content and role of every slot are covered."""
    templates = {each: template(each) for each in Slot}
    changed = {**templates, slot: template(slot, **change)}
    assert compute_bundle_hash(define(), changed) != compute_bundle_hash(define(), templates)


def test_tags_are_normalised_and_keep_their_order() -> None:
    """Tags are stripped and normalised; nobody sorts them."""
    assert define(tags=[" b\r\n", "a", "\ufeffA\u030a"]).tags == ("b", "a", "\u00c5")


@pytest.mark.parametrize(
    ("tags", "reason", "message"),
    [
        (["a", " "], ErrorReason.FIELD_INVALID, "tags[1]: is empty; leave it out"),
        (["a", "b", " a"], ErrorReason.FIELD_INVALID, "tags[2]: is there twice; give each tag once"),
        (["A\u030a", "\u00c5"], ErrorReason.FIELD_INVALID, "tags[1]: is there twice; give each tag once"),
        (["\x00"], ErrorReason.TEXT_INVALID, "tags[0]: holds U+0000 at character 0"),
        (["x" * 65], ErrorReason.SIZE_EXCEEDED, "tags[0]: has 65 characters; at most 64 are allowed"),
        ([str(n) for n in range(65)], ErrorReason.SIZE_EXCEEDED, "tags: has 65 tags; at most 64 are allowed"),
    ],
    ids=["empty", "twice", "twice after NFC", "NUL", "long", "many"],
)
def test_refuses_bad_tags(tags: list[str], reason: ErrorReason, message: str) -> None:
    """A bad tag is refused by its place in the list."""
    error = error_of(tags=tags)
    assert error.reason is reason
    assert error.message == message


def test_tags_up_to_their_limits() -> None:
    """64 tags of 64 code points are allowed, and tags that differ in case are two."""
    tags = [f"{n:02d}" + "\U0001f600" * 62 for n in range(62)] + ["a", "A"]
    assert define(tags=tags).tags == tuple(tags)


@pytest.mark.parametrize("slot", Slot)
def test_every_slot_is_required(slot: Slot) -> None:
    """A missing slot is refused by name."""
    error = error_of(slots={each: ref for each, ref in SLOTS.items() if each is not slot})
    assert error.reason is ErrorReason.FIELD_INVALID
    assert error.message == f"slots.{slot.value}: is missing; name a template"


def test_reports_all_that_is_wrong_at_once() -> None:
    """An author sees every bad field in one error, below the bundle's path."""
    error = error_of(
        bundle_id="",
        semver="v1",
        slots={Slot.SYSTEM: TemplateRef("", "1"), Slot.PERSONALITY: SLOTS[Slot.PERSONALITY]},
        tags=["", ""],
        description="x" * 4097,
        field="inline_bundle.bundle",
    )
    assert error.reason is ErrorReason.IDENTIFIER_INVALID
    assert [violation.field.removeprefix("inline_bundle.bundle.") for violation in error.violations] == [
        "bundle_id",
        "semver",
        "slots.system.template_id",
        "slots.system.semver",
        "slots.activity",
        "slots.task",
        "tags[0]",
        "tags[1]",
        "description",
    ]


def test_one_template_may_fill_several_slots() -> None:
    """Nothing asks that the four references differ."""
    bundle = define(slots=dict.fromkeys(Slot, TemplateRef("one", "1.0.0")))
    assert set(bundle.slots.values()) == {TemplateRef("one", "1.0.0")}


def test_restores_what_was_stored() -> None:
    """A bundle read back is the same bundle, and remembers the hash that it was stored under."""
    bundle = define(tags=["b", "a"], description="d")
    restored = Bundle.restore(**stored(bundle))
    assert restored.definition_hash == bundle.definition_hash
    assert list(restored.slots.items()) == list(bundle.slots.items())
    assert (restored.tags, restored.description) == (("b", "a"), "d")
    assert (restored.stored_bundle_hash, bundle.stored_bundle_hash) == ("b" * 64, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bundle_id", "companion2"),
        ("semver", "1.2.1"),
        ("slots", {**SLOTS, Slot.TASK: TemplateRef("t", "4.0.1")}),
        ("slots", {**SLOTS, Slot.TASK: SLOTS[Slot.SYSTEM], Slot.SYSTEM: SLOTS[Slot.TASK]}),
        ("tags", ("a", "b")),
        ("tags", ("b",)),
        ("description", "e"),
        ("description", "\ud800"),
        ("definition_hash", "0" * 64),
    ],
    ids=ascii,
)
def test_restore_refuses_what_was_changed(field: str, value: object) -> None:
    """One changed field of a stored bundle is DATA_LOSS."""
    changed = {**stored(define(tags=["b", "a"], description="d")), field: value}
    with pytest.raises(DataLossError) as caught:
        Bundle.restore(**changed)
    assert caught.value.reason is ErrorReason.PIECE_DAMAGED
    assert caught.value.metadata == {
        "piece": "bundle",
        "part": "definition",
        "id": changed["bundle_id"],
        "semver": changed["semver"],
    }


def test_reads_as_id_and_version() -> None:
    """A bundle prints as people write it."""
    assert str(define()) == "companion@1.2.0"
