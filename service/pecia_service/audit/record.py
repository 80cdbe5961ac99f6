"""What stays of a render: the record, its own hash, and what of it no longer has its hash."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from pecia_service.canonical import canonical_object, sha256_hex
from pecia_service.registry.model import Template
from pecia_service.rendering.model import Receipt, RenderResult
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.uses import TemplateUses

_FORMAT = "pecia.audit-record.v1"

# Receipt, hashes and names: about what they take in memory, measured over records without texts.
_RECORD_WEIGHT = 4_000


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One render as it was recorded; make it with `make_record`.

    `payload` is the canonical payload and `prompt` the text; None when not kept, erased, or left out.
    `redacted_at` is in microseconds since the epoch. `pieces` are the templates of an inline render on their
    way to the store; a record that was read back has none.
    """

    tenant_id: str
    receipt: Receipt
    templates: TemplateUses
    inline: bool
    payload: bytes | None
    prompt: str | None
    redacted_at: int | None
    record_hash: str
    pieces: tuple[Template, ...] = ()

    @property
    def render_id(self) -> str:
        """The key of the record within its tenant."""
        return self.receipt.render_id

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return (
            _RECORD_WEIGHT
            + sys.getsizeof(self.prompt)
            + sys.getsizeof(self.payload)
            + sum(piece.weight for piece in self.pieces)
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """What of a record does not have its hash; a text that is not there is not damaged.

    `record` is about the receipt, the templates and the flags.
    """

    record: bool
    prompt: bool
    payload: bool

    def __bool__(self) -> bool:
        return self.record or self.prompt or self.payload


def make_record(
    tenant_id: str,
    receipt: Receipt,
    result: RenderResult,
    payload: Payload,
    *,
    inline: bool,
    keep_prompt: bool,
    keep_payload: bool,
) -> AuditRecord:
    """Make the record of a render; `inline` says that its pieces came with the request and must be kept."""
    resolved = result.resolved
    pieces: tuple[Template, ...] = ()
    if inline:
        pieces = tuple({piece.definition_hash: piece for piece in resolved.templates.values()}.values())
    return AuditRecord(
        tenant_id,
        receipt,
        resolved.uses,
        inline,
        payload.canonical if keep_payload else None,
        result.prompt if keep_prompt else None,
        None,
        sha256_hex(_hashed(receipt, resolved.uses, inline=inline)),
        pieces,
    )


def damage(record: AuditRecord) -> Damage:
    """Tell what of a record was changed since it was made, as far as its own hashes can tell."""
    return Damage(
        record=not _has_its_hash(record),
        prompt=record.prompt is not None
        and sha256_hex(record.prompt.encode(errors="surrogatepass")) != record.receipt.prompt_hash,
        payload=record.payload is not None and sha256_hex(record.payload) != record.receipt.payload_hash,
    )


def _has_its_hash(record: AuditRecord) -> bool:
    if record.redacted_at is not None and not (record.prompt is None and record.payload is None):
        return False
    try:
        hashed = _hashed(record.receipt, record.templates, inline=record.inline)
    except ValueError:
        return False
    return sha256_hex(hashed) == record.record_hash


def _hashed(receipt: Receipt, templates: TemplateUses, *, inline: bool) -> bytes:
    """Return what the record's hash is made of: not the texts, which have hashes of their own in it.

    Raises ValueError for a damaged record that has no canonical form.
    """
    return canonical_object(
        {
            "format": _FORMAT,
            "render_id": receipt.render_id,
            "prompt_hash": receipt.prompt_hash,
            "bundle_hash": receipt.bundle_hash,
            "payload_hash": receipt.payload_hash,
            "bundle_id": receipt.bundle_id,
            "semver": receipt.semver,
            "renderer_version": receipt.renderer_version,
            "adapter_version": receipt.adapter_version,
            "created_at": receipt.created_at,
            "inline": inline,
        },
        templates=templates.canonical,
    )
