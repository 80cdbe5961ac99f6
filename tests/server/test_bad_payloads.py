"""A bad payload is INVALID_ARGUMENT with its fields named, and nothing of it is stored."""

import math
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.message import Message
from pecia.v1 import payload_pb2
from pecia.v1 import prompt_service_pb2 as pb
from support.refused import fill, refuse
from support.server import live_server
from support.wire import payload, version_ref

UNKNOWN = b"\x8a\x01\x04abcd" + b"\x48\x01"
"""Two fields that no message of the payload has: 17, four bytes, and 9, a number."""

LONE_SURROGATE = "\ud800".encode("utf-8", "surrogatepass")
TRAITS = "payload.semantic_traits"


def _list(given: payload_pb2.DerivedPayload) -> struct_pb2.ListValue:
    return given.semantic_traits.fields["a"].struct_value.fields["b"].list_value


PARTS: dict[str, Callable[[payload_pb2.DerivedPayload], Message]] = {
    "the payload": lambda given: given,
    "the traits": lambda given: given.semantic_traits,
    "a value": lambda given: given.semantic_traits.fields["a"],
    "a nested object": lambda given: given.semantic_traits.fields["a"].struct_value,
    "a nested value": lambda given: given.semantic_traits.fields["a"].struct_value.fields["b"],
    "a list": _list,
    "an element of a list": lambda given: _list(given).values[0],
    "an object in a list": lambda given: _list(given).values[1].struct_value,
}


def raw_field(number: int, data: bytes) -> bytes:
    """Encode a field of bytes."""
    length, digits = len(data), b""
    while length > 0x7F:
        digits += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + digits + bytes([length]) + data


def raw_render(given: bytes) -> bytes:
    """Encode a request to render what is published, with a payload that is made by hand."""
    return raw_field(1, version_ref().SerializeToString()) + raw_field(3, given)


def deep_traits(levels: int) -> bytes:
    """Encode traits that are nested further than any decoder goes: three messages a level."""
    data = b""
    for _ in range(levels):
        data = raw_field(1, raw_field(1, b"a") + raw_field(2, raw_field(5, data)))
    return data


def nested(levels: int) -> dict[str, Any]:
    """Make traits of so many levels."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def number_trait(value: float) -> payload_pb2.DerivedPayload:
    """Make a payload with a trait that may be no number that JSON has."""
    given = payload()
    given.semantic_traits.fields["n"].number_value = value
    return given


def without_kind() -> payload_pb2.DerivedPayload:
    """Make a payload with a trait that is nothing, not even null."""
    given = payload()
    given.semantic_traits.fields["v"].SetInParent()
    return given


def without(field: Any) -> payload_pb2.DerivedPayload:
    """Make a payload that lacks a field."""
    given = payload()
    given.ClearField(field)
    return given


BAD_PAYLOADS: dict[str, tuple[payload_pb2.DerivedPayload, str, list[str]]] = {
    "NaN": (payload(activity_level=math.nan), "PAYLOAD_INVALID", ["payload.activity_level"]),
    "infinity": (payload(stress=math.inf), "PAYLOAD_INVALID", ["payload.stress"]),
    "minus infinity": (payload(stress=-math.inf), "PAYLOAD_INVALID", ["payload.stress"]),
    "just above 1": (payload(stress=math.nextafter(1, 2)), "PAYLOAD_INVALID", ["payload.stress"]),
    "just below 0": (payload(stress=math.nextafter(0, -1)), "PAYLOAD_INVALID", ["payload.stress"]),
    "a trait that is NaN": (number_trait(math.nan), "PAYLOAD_INVALID", [f"{TRAITS}.n"]),
    "a trait that is infinite": (number_trait(math.inf), "PAYLOAD_INVALID", [f"{TRAITS}.n"]),
    "a trait without a kind": (without_kind(), "PAYLOAD_INVALID", [TRAITS]),
    "no traits": (without("semantic_traits"), "PAYLOAD_INVALID", [TRAITS]),
    "no activity level": (without("activity_level"), "PAYLOAD_INVALID", ["payload.activity_level"]),
    "no stress": (without("stress"), "PAYLOAD_INVALID", ["payload.stress"]),
    "no task": (without("task"), "PAYLOAD_INVALID", ["payload.task"]),
    "several faults": (
        payload_pb2.DerivedPayload(stress=2),
        "PAYLOAD_INVALID",
        [TRAITS, "payload.activity_level", "payload.stress", "payload.task"],
    ),
    "a task that is too long in bytes": (payload(task="ö" * 32_769), "SIZE_EXCEEDED", ["payload.task"]),
    "too many keys": (payload({f"k{i}": i for i in range(257)}), "SIZE_EXCEEDED", [TRAITS]),
    "too many keys in all": (
        payload({"a": {f"k{i}": i for i in range(256)}}),
        "SIZE_EXCEEDED",
        [f"{TRAITS}.a"],
    ),
    "traits that are too large": (payload({"a": "x" * 65_529}), "SIZE_EXCEEDED", [TRAITS]),
    "traits that are too deep": (payload(nested(9)), "SIZE_EXCEEDED", [TRAITS + ".a" * 8]),
    "U+0000 in a key": (payload({"\0": 1}), "TEXT_INVALID", [TRAITS]),
    "U+0000 in a value": (payload({"a": ["\0"]}), "TEXT_INVALID", [f"{TRAITS}.a[0]"]),
    "keys that become equal": (payload({"\u00e9": 1, "e\u0301": 2}), "KEY_COLLISION", [TRAITS]),
}

GREATEST = {
    "a task of 65,536 bytes": payload(task="ö" * 32_768),
    "256 keys": payload({"a": {f"k{i}": i for i in range(255)}}),
    "traits of 65,536 bytes": payload({"a": "x" * 65_528}),
    "eight levels": payload(nested(8)),
    "both levels at their ends": payload(activity_level=1, stress=0),
}

UNDECODABLE = {
    "a lone surrogate in the task": raw_render(raw_field(4, LONE_SURROGATE)),
    "bytes that are not UTF-8 in a key": raw_render(raw_field(1, raw_field(1, raw_field(1, b"\xff")))),
    "nesting beyond every decoder": raw_render(raw_field(1, deep_traits(40))),
    "a length beyond the end": raw_render(b"\x22\x7fabc"),
    "a field that ends too early": pb.RenderRequest(payload=payload()).SerializeToString()[:-3],
}


@pytest.mark.parametrize("part", PARTS)
async def test_unknown_fields_of_a_payload_are_refused(part: str, migrated_database_url: str) -> None:
    """Whatever message of the payload they are in, their numbers are named and nothing is stored."""
    given = payload({"a": {"b": [1, {"c": 2}]}})
    PARTS[part](given).MergeFromString(UNKNOWN)
    async with live_server(migrated_database_url) as server:
        await fill(server)
        failure = await refuse(server, "Render", pb.RenderRequest(bundle=version_ref(), payload=given))
    assert "PAYLOAD_UNKNOWN_FIELDS" == failure.reason
    assert {"field": "payload", "field_numbers": "9,17"} == failure.metadata
    assert ["payload"] == [field for field, _ in failure.violations]


async def test_unknown_fields_of_an_entry_are_refused(migrated_database_url: str) -> None:
    """An entry of the traits that carries more than key and value is refused as a whole."""
    entry = raw_field(1, b"a") + raw_field(2, b"\x20\x01") + UNKNOWN
    traits = raw_field(1, raw_field(1, entry))
    async with live_server(migrated_database_url) as server:
        await fill(server)
        failure = await refuse(server, "Render", raw_render(traits + payload().SerializeToString()))
    assert "PAYLOAD_UNKNOWN_FIELDS" == failure.reason


@pytest.mark.parametrize("case", BAD_PAYLOADS)
async def test_a_bad_payload_is_refused(case: str, migrated_database_url: str) -> None:
    """All of its bad fields are named, and nothing is stored."""
    given, reason, fields = BAD_PAYLOADS[case]
    async with live_server(migrated_database_url) as server:
        await fill(server)
        failure = await refuse(server, "Render", pb.RenderRequest(bundle=version_ref(), payload=given))
    assert (grpc.StatusCode.INVALID_ARGUMENT, reason) == (failure.code, failure.reason)
    assert fields == [field for field, _ in failure.violations]


@pytest.mark.parametrize("case", GREATEST)
async def test_a_payload_at_its_limits_is_rendered(case: str, migrated_database_url: str) -> None:
    """What is refused begins one beyond the limit."""
    async with live_server(migrated_database_url) as server:
        await fill(server)
        request = pb.RenderRequest(bundle=version_ref(), payload=GREATEST[case])
        assert "You are Juna." in (await server.prompts.Render(request)).prompt


@pytest.mark.parametrize("case", UNDECODABLE)
async def test_bytes_that_are_no_request_are_refused(case: str, migrated_database_url: str) -> None:
    """They are INVALID_ARGUMENT like other bad input, and nothing is stored."""
    async with live_server(migrated_database_url) as server:
        await fill(server)
        failure = await refuse(server, "Render", UNDECODABLE[case])
    assert (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED") == (failure.code, failure.reason)
    assert {"method": "/pecia.v1.PromptService/Render"} == failure.metadata


async def test_unknown_fields_elsewhere_are_ignored(migrated_database_url: str) -> None:
    """A newer client's fields beside the payload change nothing in what is rendered."""
    request = pb.RenderRequest(bundle=version_ref(), payload=payload())
    newer = pb.RenderRequest.FromString(request.SerializeToString())
    newer.MergeFromString(UNKNOWN)
    newer.bundle.MergeFromString(UNKNOWN)
    async with live_server(migrated_database_url) as server:
        await fill(server)
        old, new = await server.prompts.Render(request), await server.prompts.Render(newer)
    assert (old.prompt, old.receipt.payload_hash) == (new.prompt, new.receipt.payload_hash)
