"""Audit records as the bodies of spooled frames, and back."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson

from pecia_service.audit.record import AuditRecord
from pecia_service.errors import DataLossError
from pecia_service.registry.model import Slot, Template
from pecia_service.rendering.model import Receipt
from pecia_service.rendering.uses import TemplateUse, TemplateUses

_T = TypeVar("_T")


class CodecError(ValueError):
    """A body is no record that this version can read; the message repeats nothing of it."""


def encode_record(record: AuditRecord) -> bytes:
    """Return a record as JSON in UTF-8: one object whose keys are the names of the fields."""
    receipt = record.receipt
    payload = record.payload
    return orjson.dumps(
        {
            "tenant_id": record.tenant_id,
            "receipt": (
                receipt.render_id,
                receipt.prompt_hash,
                receipt.bundle_hash,
                receipt.payload_hash,
                receipt.bundle_id,
                receipt.semver,
                receipt.renderer_version,
                receipt.adapter_version,
                receipt.created_at,
            ),
            "templates": [
                (
                    use.slot.value,
                    use.template_id,
                    use.semver,
                    use.content_hash,
                    use.constraints_hash,
                    use.definition_hash,
                )
                for use in record.templates
            ],
            "inline": record.inline,
            "payload": None if payload is None else payload.decode(),
            "prompt": record.prompt,
            "redacted_at": record.redacted_at,
            "record_hash": record.record_hash,
            "pieces": [_piece(piece) for piece in record.pieces],
        }
    )


def decode_record(body: bytes) -> AuditRecord:
    """Return the record of a body; raises CodecError."""
    try:
        fields = orjson.loads(body)
        *names, created_at = fields["receipt"]
        receipt: list[Any] = [*_texts(names, 8), _is(int, created_at)]
        payload = _maybe(str, fields["payload"])
        return AuditRecord(
            _is(str, fields["tenant_id"]),
            Receipt(*receipt),
            TemplateUses(
                TemplateUse(Slot(slot), *_texts(rest, 5)) for slot, *rest in _is(list, fields["templates"])
            ),
            _is(bool, fields["inline"]),
            None if payload is None else payload.encode(),
            _maybe(str, fields["prompt"]),
            _maybe(int, fields["redacted_at"]),
            _is(str, fields["record_hash"]),
            tuple(Template.restore(**piece) for piece in _is(list, fields["pieces"])),
        )
    except (ValueError, TypeError, LookupError, AttributeError, DataLossError) as error:
        raise CodecError(f"no record of this version ({type(error).__name__})") from None


def _piece(piece: Template) -> dict[str, object]:
    return {
        "template_id": piece.template_id,
        "semver": piece.semver,
        "role": piece.role.value,
        "content": piece.content,
        "constraints": piece.constraints.to_json(),
        "adapter_version": piece.adapter_version,
        "description": piece.description,
        "content_hash": piece.content_hash,
        "constraints_hash": piece.constraints_hash,
        "definition_hash": piece.definition_hash,
    }


def _is(kind: type[_T], value: Any) -> _T:  # noqa: ANN401 - JSON may hold anything
    if type(value) is not kind:
        raise TypeError
    return value


def _maybe(kind: type[_T], value: Any) -> _T | None:  # noqa: ANN401 - JSON may hold anything
    return None if value is None else _is(kind, value)


def _texts(values: list[Any], count: int) -> list[str]:
    if len(values) != count:
        raise TypeError
    return [_is(str, value) for value in values]
