"""Messages as JSON: the contract's names, nothing left out, enums by short names."""

from datetime import UTC, datetime

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from pecia_client.messages import (
    AuditRecord,
    Constraints,
    LabelAction,
    LabelEvent,
    PayloadPath,
    Receipt,
    ReplayResult,
    ReplayVerdict,
    Slot,
    TemplateDefinition,
)
from pecia_service.cli.documents import document, enum_name, slot_names, time_cell, timestamp_text


def moment() -> Timestamp:
    """Give a time with few digits after the point."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime(2026, 11, 21, 8, 30, 0, 500_000, tzinfo=UTC))
    return stamp


def test_unset_fields_are_null_and_empty_ones_empty() -> None:
    """A reader finds every key."""
    assert document(Constraints(no_emoji=False)) == {
        "forbidden_tokens": [],
        "max_sentence_length": None,
        "max_paragraphs": None,
        "no_emoji": False,
        "assertiveness_level": None,
        "further": None,
    }


def test_a_struct_is_plain_json() -> None:
    """Whole numbers have no point."""
    further = Struct()
    further.update({"a": [1, 0.5, None, {"b": "c"}]})
    assert document(Constraints(further=further))["further"] == {"a": [1, 0.5, None, {"b": "c"}]}


def test_slots_and_roles_have_their_canonical_names() -> None:
    """Also in lists."""
    path = PayloadPath(path="task", slots=[Slot.SLOT_SYSTEM, Slot.SLOT_TASK], required=True)
    assert document(path)["slots"] == ["system", "task"]
    assert slot_names(path.slots) == ["system", "task"]
    assert enum_name(TemplateDefinition(), "role") == "unspecified"


def test_other_enums_lose_their_prefix() -> None:
    """What is not known yet is a number."""
    assert enum_name(LabelEvent(action=LabelAction.LABEL_ACTION_ROLL_BACK), "action") == "ROLL_BACK"
    assert enum_name(ReplayResult(verdict=ReplayVerdict.REPLAY_VERDICT_MATCH), "verdict") == "MATCH"
    newer = ReplayResult.FromString(b"\x10\x63")
    assert enum_name(newer, "verdict") == "99"


def test_times_have_microseconds_and_utc() -> None:
    """Always the same number of digits; tables show seconds."""
    assert document(Receipt(created_at=moment()))["created_at"] == "2026-11-21T08:30:00.500000Z"
    assert timestamp_text(moment()) == "2026-11-21T08:30:00.500000Z"
    assert time_cell(moment()) == "2026-11-21 08:30:00Z"


def test_a_payload_s_bytes_are_text() -> None:
    """They are JSON; what was damaged is still shown."""
    assert document(AuditRecord(canonical_payload='{"é"}'.encode()))["canonical_payload"] == '{"é"}'
    assert document(AuditRecord(canonical_payload=b"{\xff"))["canonical_payload"] == "{\ufffd"


def test_named_fields_can_be_left_out() -> None:
    """Lists leave out what the server leaves empty."""
    assert "prompt" not in document(AuditRecord(), without=["prompt"])
