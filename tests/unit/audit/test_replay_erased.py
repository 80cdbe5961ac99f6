"""Replay of renders whose templates were erased: it can't be verified, and says which template that is."""

import dataclasses

from pecia_service.audit.comparison import ReplayCause, ReplayVerdict
from pecia_service.audit.replay import ReplayClaim
from pecia_service.registry.model import Slot, TemplateErasedError, TemplateRef
from support.audit import make_payload, make_receipt, record_render, render, with_receipt
from support.replays import published, shelved_inline, told

TASK = TemplateRef("juna-task", "1.0.0")
ERASED = ReplayCause.TEMPLATE_ERASED


async def test_an_erased_template_is_named() -> None:
    """The finding has slot and template; nothing could be rendered."""
    shelf = published()
    shelf.erased.add(TASK)
    result = await shelf.replayer().replay(record_render())
    [finding] = result.findings
    assert (result.verdict, finding.cause, finding.slot, finding.template, result.replayed_prompt_hash) == (
        ReplayVerdict.UNVERIFIABLE,
        ERASED,
        Slot.TASK,
        TASK,
        "",
    )


async def test_all_erased_templates_are_named() -> None:
    """One does not hide another."""
    shelf = published()
    shelf.erased.update(shelf.templates)
    result = await shelf.replayer().replay(record_render())
    assert told(result) == [(ERASED, slot) for slot in Slot]


async def test_damage_outweighs_an_erasure() -> None:
    """What was changed makes a mismatch, and what is gone is told beside it."""
    shelf = published()
    shelf.erased.add(TASK)
    shelf.damaged["juna-system", "1.0.0"] = "content"
    del shelf.templates[TemplateRef("juna-activity", "1.0.0")]
    result = await shelf.replayer().replay(record_render())
    assert (result.verdict, told(result)) == (
        ReplayVerdict.MISMATCH,
        [
            (ReplayCause.TEMPLATE_CONTENT, Slot.SYSTEM),
            (ReplayCause.PIECE_MISSING, Slot.ACTIVITY),
            (ERASED, Slot.TASK),
        ],
    )


async def test_a_damaged_record_stays_a_mismatch() -> None:
    """Its names can't be trusted, so that the erasure is not told."""
    shelf = published()
    shelf.erased.add(TASK)
    result = await shelf.replayer().replay(with_receipt(record_render(), adapter_version="changed"))
    assert (result.verdict, told(result)) == (
        ReplayVerdict.MISMATCH,
        [(ReplayCause.RECORD_DAMAGED, None)],
    )


async def test_a_changed_prompt_is_told_before_the_erasure() -> None:
    """A prompt that lost its hash proves damage though nothing can be rendered."""
    shelf = published()
    shelf.erased.add(TASK)
    result = await shelf.replayer().replay(dataclasses.replace(record_render(), prompt="Another."))
    assert (result.verdict, told(result)) == (
        ReplayVerdict.MISMATCH,
        [(ReplayCause.RECORD_DAMAGED, None), (ERASED, Slot.TASK)],
    )


async def test_a_redacted_record_tells_both() -> None:
    """Its texts are gone, and that of the template."""
    shelf = published()
    shelf.erased.add(TASK)
    record = dataclasses.replace(record_render(), prompt=None, payload=None, redacted_at=1)
    result = await shelf.replayer().replay(record)
    assert (result.verdict, told(result)) == (
        ReplayVerdict.UNVERIFIABLE,
        [(ReplayCause.REDACTED, None), (ERASED, Slot.TASK)],
    )


async def test_a_claim_on_an_erased_template_can_not_be_verified() -> None:
    """A receipt of a published bundle needs the bundle's text."""
    shelf = published()
    shelf.erased.add(TASK)
    claim = ReplayClaim.create(make_receipt(render()), make_payload())
    result = await shelf.replayer().replay_claim(claim)
    assert (result.verdict, told(result)) == (ReplayVerdict.UNVERIFIABLE, [(ERASED, Slot.TASK)])


async def test_inline_renders_keep_their_own_pieces() -> None:
    """They were rendered from text that came with the request."""
    record = record_render(inline=True)
    shelf = shelved_inline(record)
    shelf.erased.add(TASK)
    assert (await shelf.replayer().replay(record)).verdict is ReplayVerdict.MATCH


def test_an_erasure_proves_no_damage() -> None:
    """It is the least telling of all causes, and its error names the template."""
    assert (ERASED.proves_damage, max(ReplayCause, key=lambda cause: cause.value)) == (False, ERASED)
    assert TemplateErasedError(TASK).metadata == {"template_id": "juna-task", "semver": "1.0.0"}
