"""Payload and receipt files: exactly the fields they must have."""

import json
from pathlib import Path
from typing import Any

import pytest
from pecia_service.cli.documents import document
from pecia_service.cli.failures import InputError
from pecia_service.cli.payload_file import read_payload, read_receipt
from support.cli import PAYLOAD, write_payload

RECEIPT = {
    "render_id": "",
    "prompt_hash": "a" * 64,
    "bundle_hash": "b" * 64,
    "payload_hash": "c" * 64,
    "bundle_id": "companion",
    "semver": "1.0.0",
    "renderer_version": "1",
    "adapter_version": "",
    "created_at": "2026-11-21T08:30:00.123456Z",
}


def write(tmp_path: Path, value: Any) -> str:
    """Write JSON and give the file's name."""
    path = tmp_path / "file.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def test_a_payload_becomes_a_message(tmp_path: Path) -> None:
    """All four fields are set as the file has them."""
    assert document(read_payload(str(write_payload(tmp_path)))) == PAYLOAD


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"stress": 0.5, "task": ""}, "lacks activity_level, semantic_traits"),
        (PAYLOAD | {"mood": 1, "extra": 2}, "has also extra, mood"),
        (
            {"Stress": 1} | {key: PAYLOAD[key] for key in PAYLOAD if key != "stress"},
            "lacks stress and has also Stress",
        ),
    ],
)
def test_a_payload_has_exactly_its_four_fields(tmp_path: Path, value: Any, message: str) -> None:
    """What is missing and what is too much are named at once."""
    name = write(tmp_path, value)
    with pytest.raises(InputError) as raised:
        read_payload(name)
    assert raised.value.message == (
        f"{name}: a payload has exactly the fields activity_level, semantic_traits, stress, task; "
        f"this one {message}"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stress": "high"}, "stress must be a number, not a string"),
        ({"semantic_traits": []}, "semantic_traits must be a JSON object, not an array"),
        ({"task": None}, "task must be a string, not null"),
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    """Nothing is converted silently."""
    name = str(write_payload(tmp_path, **fields))
    with pytest.raises(InputError, match=message):
        read_payload(name)


@pytest.mark.parametrize("value", [RECEIPT, {"prompt": "Text", "parts": [], "receipt": RECEIPT}])
def test_a_receipt_is_read_alone_or_from_a_render(tmp_path: Path, value: Any) -> None:
    """What `pecia render --json` printed is what `pecia replay --receipt` takes."""
    assert document(read_receipt(write(tmp_path, value))) == RECEIPT


def test_a_receipt_of_a_newer_version_is_read(tmp_path: Path) -> None:
    """Fields that are not known yet are left to those who know them."""
    assert document(read_receipt(write(tmp_path, RECEIPT | {"new": 1}))) == RECEIPT


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"prompt": "Text"}, "holds no receipt; give what"),
        ({"receipt": "text"}, "holds no receipt; give what"),
        (RECEIPT | {"created_at": "yesterday"}, "is no receipt: "),
        (RECEIPT | {"bundle_id": 7}, "is no receipt: "),
    ],
)
def test_what_is_no_receipt_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    """The message says what would be one."""
    with pytest.raises(InputError, match=message):
        read_receipt(write(tmp_path, value))
