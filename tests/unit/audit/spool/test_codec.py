"""Records as bodies of frames: they come back equal, and what is no record is refused."""

import dataclasses

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.audit.record import AuditRecord, damage
from pecia_service.audit.spool.codec import CodecError, decode_record, encode_record
from support.audit import make_payload, record_render

RECORDS = {
    "published": record_render(),
    "inline": record_render(inline=True),
    "without texts": record_render(keep_prompt=False, keep_payload=False),
    "another tenant": record_render(tenant_id="acme"),
    "marks and quotes": record_render(payload=make_payload(task='"\\\u2028🦀é\n')),
    "redacted": dataclasses.replace(record_render(keep_prompt=False, keep_payload=False), redacted_at=7),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_comes_back_equal(name: str) -> None:
    """With its texts, its pieces, and its hashes, which still hold."""
    found = decode_record(encode_record(RECORDS[name]))
    assert (RECORDS[name], False) == (found, bool(damage(found)))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_prompt_comes_back(prompt: str) -> None:
    """Every character is the same, to the byte."""
    record = dataclasses.replace(RECORDS["published"], prompt=prompt)
    assert record == decode_record(encode_record(record))


def changed(**fields: object) -> bytes:
    """Return the body of a record with other fields."""
    return orjson.dumps(orjson.loads(encode_record(RECORDS["inline"])) | fields)


def without(name: str) -> bytes:
    """Return the body of a record without a field."""
    body = orjson.loads(encode_record(RECORDS["inline"]))
    del body[name]
    return orjson.dumps(body)


BAD = {
    "no JSON": b"{",
    "no object": b"[]",
    "another type": changed(prompt=7),
    "a flag that is none": changed(inline="yes"),
    "a short receipt": changed(receipt=["id", 1]),
    "an empty receipt": changed(receipt=[]),
    "a template of an unknown slot": changed(templates=[["nowhere", "", "", "", "", ""]]),
    "a short template": changed(templates=[["system"]]),
    "a template that is none": changed(templates=[7]),
    "a damaged piece": changed(
        pieces=[orjson.loads(encode_record(RECORDS["inline"]))["pieces"][0] | {"content": "other"}]
    ),
    "a piece that is none": changed(pieces=[7]),
    **{f"without {name}": without(name) for name in orjson.loads(encode_record(RECORDS["inline"]))},
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_record_is_refused(what: str) -> None:
    """One kind of error, whose message repeats nothing of the body."""
    with pytest.raises(CodecError, match=r"^no record of this version \([A-Za-z]+\)$"):
        decode_record(BAD[what])


def test_every_field_of_a_record_is_kept() -> None:
    """A field that is added to records can't be forgotten here."""
    fields = {field.name for field in dataclasses.fields(AuditRecord)}
    assert fields == orjson.loads(encode_record(RECORDS["inline"])).keys()
