"""Records and pieces as rows of the database, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from pecia_service.audit.record import AuditRecord
from pecia_service.errors import DataLossError
from pecia_service.registry.model import Slot, Template
from pecia_service.registry.store.rows import template_from_row, template_to_row
from pecia_service.rendering.model import Receipt
from pecia_service.rendering.uses import TemplateUse, TemplateUses
from pecia_service.storage.column_values import stored_number, stored_text

Values: TypeAlias = dict[str, object]

_PIECE_COLUMNS = (
    "definition_hash",
    "template_id",
    "semver",
    "role",
    "content",
    "constraints_json",
    "adapter_version",
    "description",
    "content_hash",
    "constraints_hash",
)
_USE_KEYS = frozenset(
    ("slot", "template_id", "semver", "content_hash", "constraints_hash", "definition_hash")
)


def record_to_row(record: AuditRecord) -> Values:
    """Return the row of `audit_records`."""
    receipt = record.receipt
    return {
        "tenant_id": record.tenant_id,
        "render_id": receipt.render_id,
        "created_at": receipt.created_at,
        "prompt_hash": receipt.prompt_hash,
        "bundle_hash": receipt.bundle_hash,
        "payload_hash": receipt.payload_hash,
        "bundle_id": receipt.bundle_id,
        "semver": receipt.semver,
        "renderer_version": receipt.renderer_version,
        "adapter_version": receipt.adapter_version,
        "templates_json": record.templates.canonical.decode(),
        "inline": record.inline,
        "record_hash": record.record_hash,
        "payload": None if record.payload is None else record.payload.decode(),
        "prompt": record.prompt,
        "redacted_at": record.redacted_at,
    }


def piece_to_row(tenant_id: str, piece: Template) -> Values:
    """Return the row of `audit_pieces`."""
    row = template_to_row(piece, published_at=0)
    return {"tenant_id": tenant_id, **{column: row[column] for column in _PIECE_COLUMNS}}


class RecordReader:
    """Turns rows of `audit_records` into records; records of one reader share equal template lists.

    Nothing is refused: whatever a row holds becomes a record, so that its hash can tell that it is damaged.
    """

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._uses: dict[str, TemplateUses] = {}

    def read(self, row: Mapping[Any, Any]) -> AuditRecord:
        """Return the record of a row; texts that the row does not have are None."""
        templates_json = stored_text(row["templates_json"])
        uses = self._uses.get(templates_json)
        if uses is None:
            uses = self._uses[templates_json] = _uses(templates_json)
        payload, prompt = row.get("payload"), row.get("prompt")
        return AuditRecord(
            self._tenant_id,
            Receipt(
                stored_text(row["render_id"]),
                stored_text(row["prompt_hash"]),
                stored_text(row["bundle_hash"]),
                stored_text(row["payload_hash"]),
                stored_text(row["bundle_id"]),
                stored_text(row["semver"]),
                stored_text(row["renderer_version"]),
                stored_text(row["adapter_version"]),
                stored_number(row["created_at"]),
            ),
            uses,
            bool(row["inline"]),
            # A changed row may hold text that UTF-8 has no form for; its hash is another one in any form.
            None if payload is None else stored_text(payload).encode(errors="surrogatepass"),
            None if prompt is None else stored_text(prompt),
            None if row["redacted_at"] is None else stored_number(row["redacted_at"]),
            stored_text(row["record_hash"]),
        )


def row_to_piece(row: Mapping[Any, Any]) -> Template | DataLossError:
    """Return the template of a row of `audit_pieces`, or the error that says what of it was changed."""
    try:
        return template_from_row({**row, "published_at": 0}).template
    except DataLossError as error:
        return error


def _uses(templates_json: str) -> TemplateUses:
    """Return the templates of a record; none, which no record has, when the text is damaged."""
    try:
        items = orjson.loads(templates_json)
    except orjson.JSONDecodeError:
        return TemplateUses()
    if not isinstance(items, list):
        return TemplateUses()
    uses = []
    for item in items:
        if not isinstance(item, dict) or item.keys() != _USE_KEYS:
            return TemplateUses()
        if not all(isinstance(value, str) for value in item.values()):
            return TemplateUses()
        try:
            slot = Slot(item.pop("slot"))
        except ValueError:
            return TemplateUses()
        uses.append(TemplateUse(slot, **item))
    return TemplateUses(uses)
