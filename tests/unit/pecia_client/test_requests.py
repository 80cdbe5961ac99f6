"""Requests from what callers have at hand."""

from datetime import UTC, datetime

import pytest
from pecia_client import audit_filter, bundle_definition, inline_bundle, payload_from_mapping, render_request
from pecia_client.messages import BundleRef, DerivedPayload, Receipt
from pecia_client.requests import check_output_request, prune_request, replay_request

PAYLOAD: dict[str, object] = {"semantic_traits": {}, "activity_level": 0, "stress": 0, "task": "x"}
SLOTS = {"system": "s@1.0.0", "personality": "p@1.0.0", "activity": "a@1.0.0", "task": "t@1.0.0"}
INLINE = inline_bundle(bundle_definition("b", "1.0.0", SLOTS), [])


@pytest.mark.parametrize("payload", [PAYLOAD, payload_from_mapping(PAYLOAD)])
def test_a_render_takes_a_mapping_or_a_message(payload: dict[str, object] | DerivedPayload) -> None:
    """Both make the same request."""
    request = render_request(
        "b@1.0.0", payload=payload, model_type="m", adapter_version="a", validate_only=True
    )
    assert request.bundle == BundleRef(bundle_id="b", semver="1.0.0")
    assert request.payload == payload_from_mapping(PAYLOAD)
    assert (request.model_type, request.adapter_version, request.validate_only) == ("m", "a", True)


def test_a_render_takes_an_inline_bundle() -> None:
    """The inline bundle fills the other side of the oneof."""
    assert render_request(payload=PAYLOAD, inline_bundle=INLINE).WhichOneof("source") == "inline_bundle"


def test_a_render_needs_exactly_one_bundle() -> None:
    """Neither and both are refused before anything is sent."""
    with pytest.raises(ValueError, match="exactly one of bundle and inline_bundle"):
        render_request(payload=PAYLOAD)
    with pytest.raises(ValueError, match="exactly one of bundle and inline_bundle"):
        render_request("b@1.0.0", payload=PAYLOAD, inline_bundle=INLINE)


def test_a_check_needs_exactly_one_bundle() -> None:
    """As for a render."""
    with pytest.raises(ValueError, match="exactly one of bundle and inline_bundle"):
        check_output_request("text", None, None)


def test_a_replay_takes_a_render_id() -> None:
    """A render_id alone names a record."""
    assert replay_request("id", None, None, None).render_id == "id"


def test_a_replay_takes_a_receipt_with_its_payload() -> None:
    """A receipt is a claim, together with its payload and pieces."""
    claim = replay_request(None, Receipt(prompt_hash="h"), PAYLOAD, INLINE).claim
    assert (claim.receipt.prompt_hash, claim.payload.task, claim.inline_bundle) == ("h", "x", INLINE)


def test_a_replay_refuses_what_does_not_belong_together() -> None:
    """Nothing, both, a receipt without payload, and a render_id with payload are refused."""
    with pytest.raises(ValueError, match="exactly one of render_id and receipt"):
        replay_request(None, None, PAYLOAD, None)
    with pytest.raises(ValueError, match="exactly one of render_id and receipt"):
        replay_request("id", Receipt(), PAYLOAD, None)
    with pytest.raises(ValueError, match="a receipt needs the payload"):
        replay_request(None, Receipt(), None, None)
    with pytest.raises(ValueError, match="belong to a receipt"):
        replay_request("id", None, PAYLOAD, None)


def test_times_arrive_in_microseconds() -> None:
    """A moment is sent exactly as Python holds it."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert prune_request(moment, True, "r").before.ToDatetime(UTC) == moment


def test_a_time_without_zone_is_refused() -> None:
    """It would name another moment on another machine."""
    with pytest.raises(ValueError, match="no time zone"):
        audit_filter(start_time=datetime(2026, 1, 1))  # noqa: DTZ001 - the missing zone is what is tested


def test_an_empty_filter_sets_nothing() -> None:
    """What is left out does not restrict."""
    assert audit_filter().ByteSize() == 0
