"""Read the two files that prove a render: its payload, and its receipt."""

from __future__ import annotations

from google.protobuf.json_format import ParseDict, ParseError
from pecia_client import payload_from_mapping
from pecia_client.messages import DerivedPayload, Receipt

from pecia_service.cli.failures import InputError
from pecia_service.cli.json_file import read_object, shown_name
from pecia_service.rendering.payload import FIELDS


def read_payload(name: str) -> DerivedPayload:
    """Read a payload: a JSON object with exactly the four fields; `-` is stdin.

    Ranges and sizes are for the domain to check. Raises InputError, also for what `read_object` refuses.
    """
    payload = read_object(name)
    missing = [field for field in FIELDS if field not in payload]
    unknown = sorted(field for field in payload if field not in FIELDS)
    faults = [
        f"{what} {', '.join(fields)}"
        for what, fields in (("lacks", missing), ("has also", unknown))
        if fields
    ]
    if faults:
        raise InputError(
            f"{shown_name(name)}: a payload has exactly the fields {', '.join(FIELDS)}; "
            f"this one {' and '.join(faults)}"
        )
    try:
        return payload_from_mapping(payload)
    except ValueError as error:
        raise InputError(f"{shown_name(name)}: {error}") from None


def read_receipt(name: str) -> Receipt:
    """Read a receipt, alone or as `pecia render --json` prints it; raises InputError."""
    value = read_object(name)
    receipt = value.get("receipt", value)
    if not isinstance(receipt, dict) or "prompt_hash" not in receipt:
        raise InputError(
            f"{shown_name(name)}: holds no receipt; give what `pecia render --json` printed, or its receipt"
        )
    try:
        message: Receipt = ParseDict(receipt, Receipt(), ignore_unknown_fields=True)
    except ParseError as error:
        raise InputError(f"{shown_name(name)}: is no receipt: {error}") from None
    return message
