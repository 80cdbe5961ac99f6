"""Audit records: what they keep, and which change of them their hashes tell."""

import dataclasses
import hashlib
import json

import pytest
from pecia_service.audit.record import AuditRecord, Damage, damage
from pecia_service.canonical import sha256_hex
from pecia_service.registry.model import Slot
from pecia_service.rendering.uses import TemplateUse, TemplateUses
from support.audit import make_payload, make_pieces, record_render, with_receipt

SOUND = Damage(record=False, prompt=False, payload=False)
RECORD = Damage(record=True, prompt=False, payload=False)


def test_a_fresh_record_has_all_its_hashes() -> None:
    """Nothing of a record that was just made is damaged."""
    assert damage(record_render()) == SOUND


def test_a_sound_record_has_no_damage() -> None:
    """Damage is false when nothing is damaged and true when anything is."""
    assert [bool(SOUND), bool(RECORD)] == [False, True]


def test_a_record_keeps_prompt_and_payload() -> None:
    """The texts are those that the receipt's hashes are of."""
    record = record_render()
    assert record.prompt is not None
    assert record.payload is not None
    hashes = sha256_hex(record.prompt.encode()), sha256_hex(record.payload)
    assert hashes == (record.receipt.prompt_hash, record.receipt.payload_hash)


def test_texts_are_left_out_when_they_are_not_to_be_kept() -> None:
    """Hashes stay when prompt and payload are not kept."""
    record = record_render(keep_prompt=False, keep_payload=False)
    kept = record_render()
    assert (record.prompt, record.payload, record.receipt) == (None, None, kept.receipt)


def test_the_record_hash_does_not_depend_on_the_texts_or_the_tenant() -> None:
    """Keeping less, and another tenant, give the same record hash."""
    other = record_render(keep_prompt=False, keep_payload=False, tenant_id="other")
    assert other.record_hash == record_render().record_hash


def test_the_record_hash_is_the_documented_one() -> None:
    """The form that is hashed never changes, so that old records stay provable."""
    record = record_render(inline=True)
    hashed = {
        "format": "pecia.audit-record.v1",
        "inline": True,
        "templates": [
            {**dataclasses.asdict(use), "slot": slot}
            for slot, use in zip(("system", "personality", "activity", "task"), record.templates, strict=True)
        ],
        **dataclasses.asdict(record.receipt),
    }
    canonical = json.dumps(hashed, sort_keys=True, separators=(",", ":"))
    assert record.record_hash == hashlib.sha256(canonical.encode()).hexdigest()


def test_templates_are_noted_in_assembly_order() -> None:
    """A record names the four templates with their hashes."""
    _, templates = make_pieces()
    expected = tuple(TemplateUse.of(slot, templates[slot]) for slot in Slot)
    assert record_render().templates == expected


def test_a_use_names_its_template() -> None:
    """The reference of a use is the template's."""
    _, templates = make_pieces()
    assert TemplateUse.of(Slot.TASK, templates[Slot.TASK]).ref == templates[Slot.TASK].ref


def test_only_inline_records_carry_pieces() -> None:
    """Published pieces are in the registry; those of an inline render go with its record."""
    inline = record_render(inline=True)
    assert (len(inline.pieces), record_render().pieces) == (4, ())


def test_a_piece_in_two_slots_is_carried_once() -> None:
    """Pieces are told apart by their definition hash."""
    bundle, templates = make_pieces()
    twice = {**templates, Slot.ACTIVITY: templates[Slot.TASK]}
    bundle = dataclasses.replace(bundle, slots={slot: piece.ref for slot, piece in twice.items()})
    assert len(record_render(pieces=(bundle, twice), inline=True).pieces) == 3


def test_weight_grows_with_the_texts() -> None:
    """A record weighs at least what its prompt, payload and pieces do."""
    bare = record_render(keep_prompt=False, keep_payload=False)
    full = record_render(payload=make_payload("x" * 10_000), inline=True)
    assert full.weight - bare.weight > 20_000 + sum(piece.weight for piece in full.pieces)


@pytest.mark.parametrize(
    "field",
    [
        "render_id",
        "prompt_hash",
        "bundle_hash",
        "payload_hash",
        "bundle_id",
        "semver",
        "renderer_version",
        "adapter_version",
    ],
)
def test_a_changed_receipt_is_damage_of_the_record(field: str) -> None:
    """Each name and hash of the receipt is in the record hash."""
    record = record_render(keep_prompt=False, keep_payload=False)
    changed = with_receipt(record, **{field: getattr(record.receipt, field)[:-1] + "?"})
    assert damage(changed) == RECORD


@pytest.mark.parametrize("created_at", [0, 2**62, -1])
def test_a_changed_time_is_damage_of_the_record(created_at: int) -> None:
    """The time is in the record hash, also one that JSON numbers can't hold."""
    assert damage(with_receipt(record_render(), created_at=created_at)) == RECORD


@pytest.mark.parametrize(
    "field", ["template_id", "semver", "content_hash", "constraints_hash", "definition_hash"]
)
def test_a_changed_template_is_damage_of_the_record(field: str) -> None:
    """Each name and hash of a template is in the record hash."""
    record = record_render()
    first = dataclasses.replace(record.templates[0], **{field: "changed"})  # type: ignore[arg-type] # text only
    changed = TemplateUses((first, *record.templates[1:]))
    assert damage(dataclasses.replace(record, templates=changed)) == RECORD


def test_a_swapped_slot_is_damage_of_the_record() -> None:
    """Which slot a template was in is in the record hash."""
    record = record_render()
    first = dataclasses.replace(record.templates[0], slot=Slot.TASK)
    changed = TemplateUses((first, *record.templates[1:]))
    assert damage(dataclasses.replace(record, templates=changed)) == RECORD


@pytest.mark.parametrize(
    "changes",
    [{"inline": True}, {"record_hash": "0" * 64}, {"templates": TemplateUses()}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_changed_flag_or_hash_is_damage_of_the_record(changes: dict[str, object]) -> None:
    """The flag and the list are in the record hash, and the hash must be its own."""
    changed: AuditRecord = dataclasses.replace(record_render(), **changes)  # type: ignore[arg-type] # any field
    assert damage(changed) == RECORD


def test_text_that_utf8_has_no_form_for_is_damage_of_the_record() -> None:
    """A lone surrogate stands for a byte that is no UTF-8."""
    assert damage(with_receipt(record_render(), adapter_version="\udcff")) == RECORD


@pytest.mark.parametrize("prompt", ["", "other", "\udcff"])
def test_a_changed_prompt_is_damage_of_the_prompt(prompt: str) -> None:
    """The prompt must have the receipt's prompt_hash."""
    changed = dataclasses.replace(record_render(), prompt=prompt)
    assert damage(changed) == Damage(record=False, prompt=True, payload=False)


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff"])
def test_a_changed_payload_is_damage_of_the_payload(payload: bytes) -> None:
    """The payload must have the receipt's payload_hash."""
    changed = dataclasses.replace(record_render(), payload=payload)
    assert damage(changed) == Damage(record=False, prompt=False, payload=True)


def test_a_redacted_record_is_sound() -> None:
    """Erasing the texts changes no hash of the record."""
    redacted = dataclasses.replace(record_render(), prompt=None, payload=None, redacted_at=1)
    assert damage(redacted) == SOUND


@pytest.mark.parametrize("kept", ["prompt", "payload"])
def test_a_redacted_record_with_a_text_is_damaged(kept: str) -> None:
    """Redaction erases both texts at once, so that one of them came back from elsewhere."""
    record = record_render()
    gone = dataclasses.replace(record, prompt=None, payload=None, redacted_at=1)
    back = dataclasses.replace(gone, **{kept: getattr(record, kept)})
    assert damage(back) == RECORD
