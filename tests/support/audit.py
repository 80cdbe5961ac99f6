"""Renders and their audit records for tests below the server, and sources that hold pieces in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from pecia_service.audit.ports import AuditSink, Sources
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.replay import Replayer
from pecia_service.audit.resolution import Resolver, StoredPiece
from pecia_service.audit.service import Audit
from pecia_service.audit.sinks.null import NullAuditSink
from pecia_service.audit.store import AuditStore
from pecia_service.errors import DataLossError
from pecia_service.ids import uuid7
from pecia_service.registry.model import (
    Bundle,
    Role,
    Slot,
    Template,
    TemplateErasedError,
    TemplateRef,
    bundle_not_found,
    damaged_bundle,
    damaged_template,
    template_not_found,
)
from pecia_service.registry.service import Registry
from pecia_service.rendering.model import Receipt, RenderResult, ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.database import DatabaseBundleSource, DatabaseTemplateSource
from pecia_service.storage.engine import Database

TENANT = "default"
EPOCH_MS = 1_763_700_000_000
"""When the first render of every test was made, in milliseconds since the epoch."""

CONTENTS = {
    Slot.SYSTEM: "You are Juna. Keep to {{constraints}}",
    Slot.PERSONALITY: 'Mood: {{semantic_traits.mood|"even"}}.',
    Slot.ACTIVITY: "Activity {{activity_level}}, stress {{stress}}.",
    Slot.TASK: "Do this: {{task}}",
}


def make_template(slot: Slot, content: str = "", semver: str = "1.0.0", **fields: Any) -> Template:
    """Make the template that `make_pieces` puts into a slot."""
    fields.setdefault("constraints", {"MAX_PARAGRAPHS": 3} if slot is Slot.SYSTEM else None)
    return Template.define(
        template_id=f"juna-{slot.value}",
        semver=semver,
        role=fields.pop("role", Role.SYSTEM),
        content=content or CONTENTS[slot],
        **fields,
    )


def make_bundle(templates: Mapping[Slot, Template], semver: str = "1.0.0") -> Bundle:
    """Make the bundle of four templates."""
    return Bundle.define(
        bundle_id="juna", semver=semver, slots={slot: piece.ref for slot, piece in templates.items()}
    )


def make_pieces(semver: str = "1.0.0", **contents: str) -> tuple[Bundle, dict[Slot, Template]]:
    """Make a bundle with its templates; contents are given by the name of their slot."""
    templates = {slot: make_template(slot, contents.get(slot.value, ""), semver) for slot in Slot}
    return make_bundle(templates, semver), templates


def make_payload(task: str = "Plan the day.", **traits: Any) -> Payload:
    """Make a payload."""
    return Payload.create(semantic_traits=traits, activity_level=0.5, stress=0.25, task=task)


def render(
    pieces: tuple[Bundle, Mapping[Slot, Template]] | None = None, payload: Payload | None = None
) -> RenderResult:
    """Render pieces, those of `make_pieces` unless others are given."""
    bundle, templates = pieces or make_pieces()
    resolved = ResolvedBundle.resolve(bundle, {piece.ref: piece for piece in templates.values()})
    return Renderer().render(resolved, payload or make_payload())


def make_receipt(result: RenderResult, number: int = 0) -> Receipt:
    """Make the receipt of the render that is `number` milliseconds after the first."""
    return Receipt(
        uuid7(EPOCH_MS + number, number),
        result.prompt_hash,
        result.bundle_hash,
        result.payload_hash,
        result.resolved.bundle.bundle_id,
        result.resolved.bundle.semver,
        result.renderer_version,
        "adapter-1",
        (EPOCH_MS + number) * 1000,
    )


def record_render(
    number: int = 0,
    *,
    pieces: tuple[Bundle, Mapping[Slot, Template]] | None = None,
    payload: Payload | None = None,
    tenant_id: str = TENANT,
    inline: bool = False,
    keep_prompt: bool = True,
    keep_payload: bool = True,
) -> AuditRecord:
    """Render and make the record, `number` milliseconds after the first render."""
    payload = payload or make_payload()
    result = render(pieces, payload)
    return make_record(
        tenant_id,
        make_receipt(result, number),
        result,
        payload,
        inline=inline,
        keep_prompt=keep_prompt,
        keep_payload=keep_payload,
    )


def with_receipt(record: AuditRecord, **fields: Any) -> AuditRecord:
    """Return a record whose receipt was changed behind its hash's back."""
    return dataclasses.replace(record, receipt=dataclasses.replace(record.receipt, **fields))


class PieceShelf:
    """Sources over pieces in memory; `damaged` names parts of pieces, by (id, semver), that fail their proof.

    `erased` are the templates whose text was erased. `reads` counts how often anything was asked for.
    """

    def __init__(self, *bundles: tuple[Bundle, Mapping[Slot, Template]]) -> None:
        self.bundles: dict[tuple[str, str], Bundle] = {}
        self.templates: dict[TemplateRef, Template] = {}
        self.pieces: dict[str, StoredPiece] = {}
        self.damaged: dict[tuple[str, str], str] = {}
        self.erased: set[TemplateRef] = set()
        self.reads = 0
        for bundle, templates in bundles:
            self.bundles[bundle.bundle_id, bundle.semver] = bundle
            for template in templates.values():
                self.put(template)

    def put(self, template: Template) -> None:
        """Keep a template in place of the one that has its identity."""
        self.templates[template.ref] = template

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle."""
        self.reads += 1
        if part := self.damaged.get((bundle_id, semver)):
            raise damaged_bundle(bundle_id, semver, part)
        if (bundle_id, semver) not in self.bundles:
            raise bundle_not_found(bundle_id, semver)
        return self.bundles[bundle_id, semver]

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template."""
        self.reads += 1
        ref = TemplateRef(template_id, semver)
        if failure := self._damage(ref):
            raise failure
        if ref not in self.templates:
            raise template_not_found(template_id, semver)
        return self.templates[ref]

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return those of the templates that are here."""
        self.reads += 1
        for ref in refs:
            if failure := self._damage(ref):
                raise failure
        return {ref: self.templates[ref] for ref in refs if ref in self.templates}

    async def load_pieces(self, definition_hashes: Collection[str]) -> Mapping[str, StoredPiece]:
        """Return those of the inline pieces that are here."""
        self.reads += 1
        return {key: self.pieces[key] for key in definition_hashes if key in self.pieces}

    def replayer(self) -> Replayer:
        """Start a run over what is here."""
        return Replayer(Resolver(Sources(self, self), self.load_pieces), Renderer())

    def _damage(self, ref: TemplateRef) -> DataLossError | TemplateErasedError | None:
        if ref in self.erased:
            return TemplateErasedError(ref)
        part = self.damaged.get((ref.template_id, ref.semver))
        return damaged_template(ref, part) if part else None


class StubSink(NullAuditSink):
    """Keeps records elsewhere, and holds those that a test names."""

    keeps_records = True

    def __init__(self) -> None:
        self.held: set[str] = set()

    def holds(self, render_id: str) -> bool:
        """Tell whether the test named it."""
        return render_id in self.held


def make_audit(database: Database, sink: AuditSink | None = None, *, now_ms: int = EPOCH_MS) -> Audit:
    """Make the audit of a database, at a time in milliseconds since the epoch."""
    return Audit(
        AuditStore(database),
        sink or StubSink(),
        lambda tenant_id: Sources(
            DatabaseBundleSource(database, tenant_id), DatabaseTemplateSource(database, tenant_id)
        ),
        Renderer(),
        clock=lambda: now_ms * 1000,
    )


async def publish_pieces(
    registry: Registry, pieces: tuple[Bundle, Mapping[Slot, Template]], tenant_id: str = TENANT
) -> None:
    """Publish a bundle and its templates."""
    bundle, templates = pieces
    for template in templates.values():
        await registry.publish_template(tenant_id, template)
    await registry.publish_bundle(tenant_id, bundle)
