"""Replay of claims: a receipt, its payload and perhaps its pieces, without a record."""

import dataclasses
from typing import Any

import pytest
from pecia_service.audit.comparison import ReplayCause, ReplayVerdict
from pecia_service.audit.replay import ReplayClaim
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.registry.model import Slot
from pecia_service.rendering.payload import Payload
from support.audit import PieceShelf, make_payload, make_pieces, make_receipt, render
from support.replays import published, told


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
