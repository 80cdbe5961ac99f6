"""Replay over pieces in memory: what becomes of whole, damaged and redacted records, and of renderers."""

import dataclasses
from collections.abc import Collection, Mapping

import pytest
from pecia_service.audit.comparison import ReplayCause, ReplayResult, ReplayVerdict
from pecia_service.audit.ports import Sources
from pecia_service.audit.record import make_record
from pecia_service.audit.replay import Replayer
from pecia_service.audit.resolution import Resolver
from pecia_service.canonical import sha256_hex
from pecia_service.errors import UnavailableError
from pecia_service.registry.model import Slot, Template, TemplateRef
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.uses import TemplateUses
from support.audit import (
    TENANT,
    PieceShelf,
    make_payload,
    make_pieces,
    make_receipt,
    record_render,
    render,
    with_receipt,
)
from support.audit_sinks import away
from support.replays import published, shelved_inline, told


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
    record = dataclasses.replace(record_render(inline=True), templates=TemplateUses())
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
