"""Replay over pieces in memory: which finding tells which change, and what can't be proved."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from pecia_service.audit.comparison import ReplayCause, ReplayResult, ReplayVerdict
from pecia_service.audit.ports import Sources
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.replay import ReplayClaim, Replayer
from pecia_service.audit.resolution import Resolver
from pecia_service.canonical import sha256_hex
from pecia_service.errors import ErrorReason, InvalidInputError, UnavailableError
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef, damaged_template
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.renderer import Renderer
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
from support.audit_sinks import away

Told = list[tuple[ReplayCause, Slot | None]]


def told(result: ReplayResult) -> Told:
    """Return causes and slots of the findings."""
    return [(finding.cause, finding.slot) for finding in result.findings]


def published() -> PieceShelf:
    """Make a shelf with the published pieces."""
    return PieceShelf(make_pieces())


def shelved_inline(record: AuditRecord) -> PieceShelf:
    """Make a shelf with the pieces of an inline record."""
    shelf = PieceShelf()
    shelf.pieces.update({piece.definition_hash: piece for piece in record.pieces})
    return shelf


def as_stored(bundle: Bundle, templates: Mapping[Slot, Template]) -> Bundle:
    """Return a bundle as the registry gives it, with the hash that it was stored under."""
    resolved = ResolvedBundle.resolve(bundle, {piece.ref: piece for piece in templates.values()})
    return dataclasses.replace(bundle, stored_bundle_hash=resolved.bundle_hash)


async def test_an_untouched_record_matches() -> None:
    """The same pieces and payload give the same prompt."""
    record = record_render()
    result = await published().replayer().replay(record)
    assert result == ReplayResult(
        record.render_id,
        ReplayVerdict.MATCH,
        (),
        None,
        renderer_version_differs=False,
        recorded_prompt_hash=record.receipt.prompt_hash,
        replayed_prompt_hash=record.receipt.prompt_hash,
    )


async def test_a_record_without_its_prompt_matches_by_its_hash() -> None:
    """The prompt's text is not needed to prove it."""
    result = await published().replayer().replay(record_render(keep_prompt=False))
    assert result.verdict is ReplayVerdict.MATCH


async def test_an_inline_record_matches_from_its_pieces() -> None:
    """What came with the request is proved from what the record kept."""
    record = record_render(inline=True)
    result = await shelved_inline(record).replayer().replay(record)
    assert result.verdict is ReplayVerdict.MATCH


async def test_another_renderer_version_is_flagged() -> None:
    """A match by another version of the renderer is a match."""
    result_of = render()
    receipt = dataclasses.replace(make_receipt(result_of), renderer_version="0")
    record = make_record(
        TENANT, receipt, result_of, make_payload(), inline=False, keep_prompt=True, keep_payload=True
    )
    result = await published().replayer().replay(record)
    assert (result.verdict, result.renderer_version_differs) == (ReplayVerdict.MATCH, True)


async def test_a_changed_record_is_damaged() -> None:
    """When the receipt was changed the record is to blame, and what can be rendered is."""
    record = record_render()
    result = await published().replayer().replay(with_receipt(record, prompt_hash="0" * 64))
    assert (result.verdict, told(result), result.replayed_prompt_hash) == (
        ReplayVerdict.MISMATCH,
        [(ReplayCause.RECORD_DAMAGED, None)],
        record.receipt.prompt_hash,
    )


@pytest.mark.parametrize("bundle_id", ["other", "no name", "\udcff"])
async def test_a_changed_name_is_damage_of_the_record_and_nothing_else(bundle_id: str) -> None:
    """That the changed name leads to no bundle is a consequence, not a finding."""
    result = await published().replayer().replay(with_receipt(record_render(), bundle_id=bundle_id))
    assert (told(result), result.replayed_prompt_hash) == ([(ReplayCause.RECORD_DAMAGED, None)], "")


async def test_lost_templates_of_a_record_are_damage_of_the_record() -> None:
    """A template list that can't be read leaves nothing to resolve."""
    record = dataclasses.replace(record_render(inline=True), templates=())
    result = await PieceShelf().replayer().replay(record)
    assert told(result) == [(ReplayCause.RECORD_DAMAGED, None)]


async def test_a_redacted_record_with_a_text_is_damaged() -> None:
    """The finding says what is contradictory."""
    record = dataclasses.replace(record_render(), redacted_at=1)
    result = await published().replayer().replay(record)
    assert [finding.detail for finding in result.findings] == [
        "the record says that it was redacted, yet it has a prompt or a payload"
    ]


async def test_a_changed_prompt_is_shown_where_it_differs() -> None:
    """The stored prompt is compared with the replayed one, by slot and byte."""
    record = record_render()
    assert record.prompt is not None
    changed = dataclasses.replace(record, prompt=record.prompt.replace("Mood", "Food"))
    result = await published().replayer().replay(changed)
    assert result.first_difference is not None
    assert (told(result), result.first_difference.slot, result.first_difference.byte_offset) == (
        [(ReplayCause.RECORD_DAMAGED, None)],
        Slot.PERSONALITY,
        record.prompt.encode().index(b"Mood"),
    )


async def test_a_changed_payload_is_named_and_its_effect_shown() -> None:
    """A payload that still is one is rendered, so that one sees what the change did."""
    record = record_render()
    assert record.payload is not None
    changed = dataclasses.replace(record, payload=record.payload.replace(b"Plan the day", b"Plan the bay"))
    result = await published().replayer().replay(changed)
    assert result.first_difference is not None
    assert (told(result), result.first_difference.slot) == ([(ReplayCause.PAYLOAD, None)], Slot.TASK)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b'{"task":1}'])
async def test_a_payload_that_is_none_any_more_is_named(payload: bytes) -> None:
    """Nothing can be rendered then."""
    changed = dataclasses.replace(record_render(), payload=payload)
    result = await published().replayer().replay(changed)
    assert (told(result), result.replayed_prompt_hash) == ([(ReplayCause.PAYLOAD, None)], "")


@pytest.mark.parametrize(
    "form", [b"not a payload", b'{"stress":0,"task":"","activity_level":0,"semantic_traits":{}}']
)
async def test_a_payload_with_its_hash_must_be_canonical(form: bytes) -> None:
    """Bytes that the service would never have hashed are not a payload, even if they have their hash."""
    payload = dataclasses.replace(make_payload(), canonical=form)
    payload = dataclasses.replace(payload, payload_hash=sha256_hex(form))
    result_of = dataclasses.replace(render(), payload_hash=payload.payload_hash)
    record = make_record(
        TENANT,
        make_receipt(result_of),
        result_of,
        payload,
        inline=False,
        keep_prompt=False,
        keep_payload=True,
    )
    assert told(await published().replayer().replay(record)) == [(ReplayCause.PAYLOAD, None)]


async def test_another_renderer_is_blamed_last() -> None:
    """When pieces and payload are intact and the prompt differs, another renderer made it."""
    result_of = dataclasses.replace(render(), prompt="another", prompt_hash=sha256_hex(b"another"))
    record = make_record(
        TENANT,
        make_receipt(result_of),
        result_of,
        make_payload(),
        inline=False,
        keep_prompt=True,
        keep_payload=True,
    )
    result = await published().replayer().replay(record)
    assert result.first_difference is not None
    assert (told(result), result.first_difference.byte_offset) == ([(ReplayCause.RENDERER, None)], 0)


async def test_a_renderer_that_refuses_is_another_renderer() -> None:
    """What was rendered once can be rendered again, unless the renderer or its limit changed."""
    shelf = published()
    replayer = Replayer(Resolver(Sources(shelf, shelf), shelf.load_pieces), Renderer(max_prompt_bytes=10))
    result = await replayer.replay(record_render())
    assert (told(result), result.replayed_prompt_hash) == ([(ReplayCause.RENDERER, None)], "")


async def test_a_renderer_that_refuses_a_changed_payload_is_not_blamed() -> None:
    """What explains the failure already is the only finding."""
    pieces = make_pieces(personality="Mood: {{semantic_traits.mood}}.")
    record = record_render(pieces=pieces, payload=make_payload(mood="calm"))
    assert record.payload is not None
    changed = dataclasses.replace(record, payload=record.payload.replace(b"mood", b"food"))
    result = await PieceShelf(pieces).replayer().replay(changed)
    assert (told(result), result.replayed_prompt_hash) == ([(ReplayCause.PAYLOAD, None)], "")


async def test_a_redacted_record_can_not_be_verified() -> None:
    """Without its payload nothing can be rendered."""
    redacted = dataclasses.replace(record_render(), prompt=None, payload=None, redacted_at=1)
    result = await published().replayer().replay(redacted)
    assert (result.verdict, told(result)) == (ReplayVerdict.UNVERIFIABLE, [(ReplayCause.REDACTED, None)])


async def test_a_record_without_its_payload_can_not_be_verified() -> None:
    """A server that keeps no payloads can replay claims only."""
    result = await published().replayer().replay(record_render(keep_payload=False))
    assert (result.verdict, told(result)) == (
        ReplayVerdict.UNVERIFIABLE,
        [(ReplayCause.PAYLOAD_MISSING, None)],
    )


async def test_damage_is_told_although_the_payload_is_gone() -> None:
    """What can be proved without a payload is, and comes first."""
    shelf = published()
    shelf.damaged["juna-task", "1.0.0"] = "content"
    result = await shelf.replayer().replay(record_render(keep_payload=False))
    assert (result.verdict, told(result)) == (
        ReplayVerdict.MISMATCH,
        [(ReplayCause.TEMPLATE_CONTENT, Slot.TASK), (ReplayCause.PAYLOAD_MISSING, None)],
    )


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


class BrokenShelf(PieceShelf):
    """Is away."""

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Fail."""
        self.reads += 1
        raise away()


async def test_an_outage_is_an_error_and_no_verdict() -> None:
    """Storage that does not answer says nothing about a record, and is asked again the next time."""
    shelf = BrokenShelf(make_pieces())
    replayer = shelf.replayer()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await replayer.replay(record_render())
    assert shelf.reads == 4


@pytest.mark.parametrize(
    "damage", [{}, {("juna-task", "1.0.0"): "content"}, {("juna", "1.0.0"): "definition"}]
)
async def test_a_run_resolves_each_set_of_pieces_once(damage: dict[tuple[str, str], str]) -> None:
    """Whole and damaged pieces alike are read for the first record only."""
    shelf = published()
    shelf.damaged = damage
    replayer = shelf.replayer()
    await replayer.replay(record_render(0))
    once = shelf.reads
    await replayer.replay(record_render(1))
    assert shelf.reads == once


async def test_a_run_remembers_no_more_than_its_bound() -> None:
    """What is used least is resolved anew."""
    many = [make_pieces(f"{major}.0.0") for major in range(1, 4)]
    shelf = PieceShelf(*many)
    replayer = Replayer(Resolver(Sources(shelf, shelf), shelf.load_pieces, max_entries=2), Renderer())
    verdicts = [(await replayer.replay(record_render(pieces=pieces))).verdict for pieces in [*many, *many]]
    assert (verdicts, shelf.reads) == ([ReplayVerdict.MATCH] * 6, 12)


def claim(payload: Payload | None = None, **fields: Any) -> ReplayClaim:
    """Make the claim of a render; fields of its receipt may be others."""
    receipt = dataclasses.replace(make_receipt(render()), **fields)
    return ReplayClaim.create(receipt, payload or make_payload())


async def test_a_claim_matches() -> None:
    """A receipt with its payload needs no record."""
    result = await published().replayer().replay_claim(claim())
    assert (result.verdict, result.first_difference) == (ReplayVerdict.MATCH, None)


async def test_a_claim_with_its_pieces_matches() -> None:
    """An inline render is proved from pieces that the caller brings."""
    bundle, templates = make_pieces()
    made = ReplayClaim.create(make_receipt(render()), make_payload(), bundle, templates.values())
    result = await PieceShelf().replayer().replay_claim(made)
    assert result.verdict is ReplayVerdict.MATCH


async def test_a_claim_without_one_of_its_pieces_can_not_be_verified() -> None:
    """What the caller did not bring is missing."""
    bundle, templates = make_pieces()
    given = [templates[slot] for slot in Slot if slot is not Slot.ACTIVITY]
    made = ReplayClaim.create(make_receipt(render()), make_payload(), bundle, given)
    result = await PieceShelf().replayer().replay_claim(made)
    assert (result.verdict, told(result)) == (
        ReplayVerdict.UNVERIFIABLE,
        [(ReplayCause.PIECE_MISSING, Slot.ACTIVITY)],
    )


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (claim(make_payload("another")), ReplayCause.PAYLOAD),
        (claim(bundle_hash="0" * 64), ReplayCause.BUNDLE),
        (claim(prompt_hash="0" * 64), ReplayCause.RENDERER),
        (claim(bundle_id="other"), ReplayCause.PIECE_MISSING),
    ],
    ids=["payload", "bundle", "prompt", "name"],
)
async def test_a_false_claim_is_told(made: ReplayClaim, cause: ReplayCause) -> None:
    """Each hash of a receipt is compared."""
    assert told(await published().replayer().replay_claim(made)) == [(cause, None)]


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"prompt_hash": ""}, "claim.receipt.prompt_hash", ErrorReason.FIELD_INVALID),
        ({"bundle_hash": "G" * 64}, "claim.receipt.bundle_hash", ErrorReason.FIELD_INVALID),
        ({"payload_hash": "0"}, "claim.receipt.payload_hash", ErrorReason.FIELD_INVALID),
        ({"bundle_id": ""}, "claim.receipt.bundle_id", ErrorReason.IDENTIFIER_INVALID),
        ({"semver": "1"}, "claim.receipt.semver", ErrorReason.SEMVER_INVALID),
        ({"renderer_version": ""}, "claim.receipt.renderer_version", ErrorReason.FIELD_INVALID),
    ],
)
def test_a_malformed_claim_is_refused(fields: dict[str, str], path: str, reason: ErrorReason) -> None:
    """What is compared must be there and well-formed."""
    with pytest.raises(InvalidInputError) as caught:
        claim(None, **fields)
    assert (caught.value.reason, [violation.field for violation in caught.value.violations]) == (
        reason,
        [path],
    )


def test_what_is_not_compared_may_be_empty() -> None:
    """A claim needs no render_id, adapter version or time."""
    made = claim(render_id="", adapter_version="", created_at=0)
    assert made.receipt.render_id == ""
