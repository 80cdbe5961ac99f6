"""Replay over pieces in memory: which finding tells which change of a template or bundle."""

import dataclasses
from collections.abc import Mapping

import pytest
from pecia_service.audit.comparison import ReplayCause, ReplayVerdict
from pecia_service.audit.record import make_record
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef, damaged_template
from pecia_service.rendering.model import ResolvedBundle
from support.audit import (
    TENANT,
    PieceShelf,
    make_bundle,
    make_payload,
    make_pieces,
    make_receipt,
    make_template,
    record_render,
    render,
    with_receipt,
)
from support.replays import Told, published, shelved_inline, told


def as_stored(bundle: Bundle, templates: Mapping[Slot, Template]) -> Bundle:
    """Return a bundle as the registry gives it, with the hash that it was stored under."""
    resolved = ResolvedBundle.resolve(bundle, {piece.ref: piece for piece in templates.values()})
    return dataclasses.replace(bundle, stored_bundle_hash=resolved.bundle_hash)


@pytest.mark.parametrize(
    ("part", "cause"),
    [
        ("content", ReplayCause.TEMPLATE_CONTENT),
        ("constraints", ReplayCause.CONSTRAINTS),
        ("definition", ReplayCause.BUNDLE),
    ],
)
async def test_a_damaged_template_is_named(part: str, cause: ReplayCause) -> None:
    """The finding has the slot and the template whose stored form lost its hash."""
    shelf = published()
    shelf.damaged["juna-activity", "1.0.0"] = part
    [finding] = (await shelf.replayer().replay(record_render())).findings
    assert (finding.cause, finding.slot, finding.template) == (
        cause,
        Slot.ACTIVITY,
        TemplateRef("juna-activity", "1.0.0"),
    )


async def test_all_damaged_templates_are_named() -> None:
    """One damaged template does not hide another, nor one that is gone."""
    shelf = published()
    shelf.damaged["juna-system", "1.0.0"] = "constraints"
    shelf.damaged["juna-task", "1.0.0"] = "content"
    del shelf.templates[TemplateRef("juna-activity", "1.0.0")]
    result = await shelf.replayer().replay(record_render())
    assert (result.verdict, told(result)) == (
        ReplayVerdict.MISMATCH,
        [
            (ReplayCause.TEMPLATE_CONTENT, Slot.TASK),
            (ReplayCause.CONSTRAINTS, Slot.SYSTEM),
            (ReplayCause.PIECE_MISSING, Slot.ACTIVITY),
        ],
    )


async def test_damage_of_pieces_is_told_beside_that_of_the_record() -> None:
    """Damage that proves itself counts whatever the record says."""
    shelf = published()
    shelf.damaged["juna-task", "1.0.0"] = "content"
    result = await shelf.replayer().replay(with_receipt(record_render(), adapter_version="changed"))
    assert told(result) == [(ReplayCause.RECORD_DAMAGED, None), (ReplayCause.TEMPLATE_CONTENT, Slot.TASK)]


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        (make_template(Slot.TASK, "Do that: {{task}}"), ReplayCause.TEMPLATE_CONTENT),
        (make_template(Slot.TASK, constraints={"NO_EMOJI": True}), ReplayCause.CONSTRAINTS),
        (make_template(Slot.TASK, role=Role.USER), ReplayCause.BUNDLE),
        (make_template(Slot.TASK, description="changed"), ReplayCause.BUNDLE),
    ],
    ids=["content", "constraints", "role", "description"],
)
async def test_a_template_that_was_changed_with_its_hashes_is_named(
    changed: Template, cause: ReplayCause
) -> None:
    """Whoever recomputes the stored hashes is found out by those of the record."""
    shelf = published()
    shelf.put(changed)
    result = await shelf.replayer().replay(record_render())
    assert (result.verdict, told(result)) == (ReplayVerdict.MISMATCH, [(cause, Slot.TASK)])


async def test_a_template_that_was_changed_twice_is_named_twice() -> None:
    """Content and constraints are findings of their own."""
    shelf = published()
    shelf.put(make_template(Slot.TASK, "Do that: {{task}}", constraints={"NO_EMOJI": True}))
    result = await shelf.replayer().replay(record_render())
    assert told(result) == [(ReplayCause.TEMPLATE_CONTENT, Slot.TASK), (ReplayCause.CONSTRAINTS, Slot.TASK)]


async def test_a_template_that_was_changed_with_its_hashes_is_shown() -> None:
    """The prompt that the changed template gives is compared with the stored one."""
    shelf = published()
    shelf.put(make_template(Slot.TASK, "Do that: {{task}}"))
    result = await shelf.replayer().replay(record_render())
    assert result.first_difference is not None
    assert result.first_difference.slot is Slot.TASK


async def test_a_changed_template_explains_the_bundles_hash() -> None:
    """That the stored bundle_hash no longer fits is a consequence, not a finding."""
    bundle, templates = make_pieces()
    shelf = PieceShelf((as_stored(bundle, templates), templates))
    shelf.put(make_template(Slot.TASK, "Do that: {{task}}"))
    result = await shelf.replayer().replay(record_render())
    assert told(result) == [(ReplayCause.TEMPLATE_CONTENT, Slot.TASK)]


async def test_a_damaged_bundle_is_named() -> None:
    """The bundle's definition lost its hash."""
    shelf = published()
    shelf.damaged["juna", "1.0.0"] = "definition"
    result = await shelf.replayer().replay(record_render())
    assert (result.verdict, told(result)) == (ReplayVerdict.MISMATCH, [(ReplayCause.BUNDLE, None)])


async def test_a_damaged_bundle_does_not_hide_a_damaged_template() -> None:
    """The record knows which templates to look at."""
    shelf = published()
    shelf.damaged |= {("juna", "1.0.0"): "definition", ("juna-task", "1.0.0"): "content"}
    result = await shelf.replayer().replay(record_render())
    assert told(result) == [(ReplayCause.TEMPLATE_CONTENT, Slot.TASK), (ReplayCause.BUNDLE, None)]


async def test_a_bundle_whose_hash_was_changed_is_named() -> None:
    """The stored bundle_hash must be that of the bundle and its templates."""
    bundle, templates = make_pieces()
    shelf = PieceShelf((dataclasses.replace(bundle, stored_bundle_hash="0" * 64), templates))
    result = await shelf.replayer().replay(record_render())
    assert (result.verdict, told(result)) == (ReplayVerdict.MISMATCH, [(ReplayCause.BUNDLE, None)])


async def test_a_slot_that_names_another_template_is_named() -> None:
    """A bundle that was changed with its hashes names other templates than the record."""
    _, templates = make_pieces()
    other = {**templates, Slot.TASK: make_template(Slot.TASK, "Do that: {{task}}", "2.0.0")}
    shelf = PieceShelf((make_bundle(other), other))
    result = await shelf.replayer().replay(record_render())
    assert told(result) == [(ReplayCause.BUNDLE, Slot.TASK)]


async def test_a_record_of_another_bundle_hash_is_told() -> None:
    """A record that is whole, but whose bundle_hash is not that of its templates, does not match."""
    result_of = render()
    receipt = dataclasses.replace(make_receipt(result_of), bundle_hash="0" * 64)
    record = make_record(
        TENANT, receipt, result_of, make_payload(), inline=False, keep_prompt=True, keep_payload=True
    )
    assert told(await published().replayer().replay(record)) == [(ReplayCause.BUNDLE, None)]


async def test_a_bundle_that_is_gone_can_not_be_verified() -> None:
    """What no longer exists proves nothing; the record's templates are looked at nevertheless."""
    shelf = published()
    shelf.bundles.clear()
    gone = told(await shelf.replayer().replay(record_render()))
    shelf.damaged["juna-task", "1.0.0"] = "content"
    damaged = told(await shelf.replayer().replay(record_render()))
    missing: Told = [(ReplayCause.PIECE_MISSING, None)]
    assert (gone, damaged) == (missing, [(ReplayCause.TEMPLATE_CONTENT, Slot.TASK), *missing])


async def test_a_template_that_is_gone_can_not_be_verified() -> None:
    """The finding names slot and template."""
    shelf = published()
    del shelf.templates[TemplateRef("juna-task", "1.0.0")]
    [finding] = (await shelf.replayer().replay(record_render())).findings
    assert (finding.cause, finding.slot, finding.template) == (
        ReplayCause.PIECE_MISSING,
        Slot.TASK,
        TemplateRef("juna-task", "1.0.0"),
    )


async def test_a_damaged_inline_piece_is_named() -> None:
    """The pieces that a record keeps are proved like published ones."""
    record = record_render(inline=True)
    shelf = shelved_inline(record)
    use = record.templates[1]
    shelf.pieces[use.definition_hash] = damaged_template(use.ref, "constraints")
    result = await shelf.replayer().replay(record)
    assert told(result) == [(ReplayCause.CONSTRAINTS, Slot.PERSONALITY)]


async def test_an_inline_piece_that_is_gone_can_not_be_verified() -> None:
    """The finding names the slot."""
    record = record_render(inline=True)
    shelf = shelved_inline(record)
    del shelf.pieces[record.templates[3].definition_hash]
    result = await shelf.replayer().replay(record)
    assert (result.verdict, told(result)) == (
        ReplayVerdict.UNVERIFIABLE,
        [(ReplayCause.PIECE_MISSING, Slot.TASK)],
    )
