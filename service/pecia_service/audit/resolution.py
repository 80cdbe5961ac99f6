"""Resolving the pieces of a recorded render anew, and telling which of them are not what they were."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from pecia_service.audit.comparison import ReplayCause, ReplayFinding
from pecia_service.audit.ports import Sources
from pecia_service.audit.record import AuditRecord
from pecia_service.caching.bounded import BoundedCache
from pecia_service.errors import DataLossError, InvalidInputError, NotFoundError
from pecia_service.registry.identifiers import require_identifier, require_semver
from pecia_service.registry.model import (
    Bundle,
    DamagedTemplateError,
    Slot,
    Template,
    TemplateErasedError,
    TemplateRef,
)
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.uses import TemplateUse, TemplateUses

StoredPiece: TypeAlias = Template | DataLossError | TemplateErasedError
"""A template as it is stored now, or the error: PIECE_DAMAGED says which part of it was changed."""

LoadPieces: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, StoredPiece]]]
"""Gives the inline pieces that are kept, by definition hash."""

MEMO_ENTRIES = 256
MEMO_BYTES = 32 * 1024 * 1024

_WEIGHT_WITHOUT_PIECES = 4_000

# Other parts (definition, bundle_hash) are about the identity of what was rendered: BUNDLE.
_CAUSE_OF_PART = {
    "content": ReplayCause.TEMPLATE_CONTENT,
    "constraints": ReplayCause.CONSTRAINTS,
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of the pieces of a render.

    `damaged` is proved by the pieces' own hashes, `differing` by comparison with the record; `missing` are
    gone, or their text is. `resolved` is None when no prompt can be made.
    """

    resolved: ResolvedBundle | None
    damaged: tuple[ReplayFinding, ...] = ()
    differing: tuple[ReplayFinding, ...] = ()
    missing: tuple[ReplayFinding, ...] = ()

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return _WEIGHT_WITHOUT_PIECES + (self.resolved.weight if self.resolved else 0)


class Resolver:
    """Resolves pieces past all shared caches, for the time of one run.

    Within a run each distinct set of pieces is resolved once, the damaged and the incomplete too, as long as
    `max_entries` and `max_bytes` have room. Failures of the storage pass through and are not remembered.
    """

    def __init__(
        self,
        sources: Sources,
        load_pieces: LoadPieces,
        *,
        max_entries: int = MEMO_ENTRIES,
        max_bytes: int = MEMO_BYTES,
    ) -> None:
        self._sources = sources
        self._load_pieces = load_pieces
        self._memo: BoundedCache[tuple[str, str, bool, TemplateUses], Resolution] = BoundedCache(
            max_entries=max_entries, max_bytes=max_bytes, weigh=_weigh
        )

    async def resolve_record(self, record: AuditRecord) -> Resolution:
        """Resolve what a record names; raises UnavailableError."""
        receipt = record.receipt

        async def load() -> Resolution:
            if not _well_formed(receipt.bundle_id, receipt.semver, record.templates):
                return Resolution(None)
            if record.inline:
                return await self._inline(receipt.bundle_id, receipt.semver, record.templates)
            return await self._published(receipt.bundle_id, receipt.semver, record.templates)

        return await self._memo.get(
            (receipt.bundle_id, receipt.semver, record.inline, record.templates), load
        )

    async def resolve_published(self, bundle_id: str, semver: str) -> Resolution:
        """Resolve a published bundle of which nothing is recorded; raises UnavailableError."""
        return await self._published(bundle_id, semver, ())

    async def _published(self, bundle_id: str, semver: str, uses: tuple[TemplateUse, ...]) -> Resolution:
        bundle: Bundle | None = None
        damaged: tuple[ReplayFinding, ...] = ()
        missing: tuple[ReplayFinding, ...] = ()
        try:
            bundle = await self._sources.bundles.get_bundle(bundle_id, semver)
        except NotFoundError:
            missing = (_finding(ReplayCause.PIECE_MISSING, f"bundle {bundle_id}@{semver} no longer exists"),)
        except DataLossError as error:
            damaged = (_damaged(error),)
        slots = bundle.slots if bundle else {use.slot: use.ref for use in uses}
        found = await self._templates(set(slots.values()))
        assembled = _assemble(bundle, {slot: found.get(ref) for slot, ref in slots.items()}, slots, uses)
        return replace(assembled, damaged=damaged + assembled.damaged, missing=missing + assembled.missing)

    async def _inline(self, bundle_id: str, semver: str, uses: tuple[TemplateUse, ...]) -> Resolution:
        pieces = await self._load_pieces({use.definition_hash for use in uses})
        slots = {use.slot: use.ref for use in uses}
        # Tags and description of an inline bundle are not kept: they are in no hash of a receipt.
        bundle = Bundle.define(bundle_id=bundle_id, semver=semver, slots=slots)
        return _assemble(bundle, {use.slot: pieces.get(use.definition_hash) for use in uses}, slots, uses)

    async def _templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, StoredPiece]:
        source = self._sources.templates
        try:
            return dict(await source.get_templates(refs))
        except (DataLossError, TemplateErasedError):
            pass
        # One damaged or erased template hides the others; ask for each.
        found: dict[TemplateRef, StoredPiece] = {}
        for ref in refs:
            try:
                found[ref] = await source.get_template(ref.template_id, ref.semver)
            except (DataLossError, TemplateErasedError) as error:
                found[ref] = error
            except NotFoundError:
                continue
        return found


def resolve_given(bundle: Bundle, templates: Iterable[Template]) -> Resolution:
    """Resolve pieces that a caller brings."""
    given = {template.ref: template for template in templates}
    return _assemble(bundle, {slot: given.get(ref) for slot, ref in bundle.slots.items()}, bundle.slots, ())


def _assemble(
    bundle: Bundle | None,
    found: Mapping[Slot, StoredPiece | None],
    slots: Mapping[Slot, TemplateRef],
    uses: tuple[TemplateUse, ...],
) -> Resolution:
    """Check what was found in each slot, and put it together if it is all there."""
    used = {use.slot: use for use in uses}
    damaged: list[ReplayFinding] = []
    differing: list[ReplayFinding] = []
    missing: list[ReplayFinding] = []
    templates: dict[TemplateRef, Template] = {}
    for slot, ref in slots.items():
        piece = found[slot]
        if piece is None:
            missing.append(
                ReplayFinding(ReplayCause.PIECE_MISSING, f"template {ref} no longer exists", slot, ref)
            )
        elif isinstance(piece, TemplateErasedError):
            missing.append(
                ReplayFinding(
                    ReplayCause.TEMPLATE_ERASED, f"the text of template {ref} was erased", slot, ref
                )
            )
        elif isinstance(piece, DataLossError):
            damaged.append(_damaged(piece, slot, ref))
            if isinstance(piece, DamagedTemplateError) and piece.found is not None:
                # Rendered only to show where the prompts differ: the verdict stands.
                templates[ref] = piece.found
        else:
            templates[ref] = piece
            if slot in used:
                differing += _compare(used[slot], piece)
    if bundle is None or not templates.keys() >= set(slots.values()):
        return Resolution(None, tuple(damaged), tuple(differing), tuple(missing))
    # Without what was stored, so that a difference can be shown also when that was changed.
    resolved = ResolvedBundle.resolve(replace(bundle, stored_bundle_hash=None), templates)
    if not damaged and not differing and bundle.stored_bundle_hash not in (None, resolved.bundle_hash):
        damaged.append(
            _finding(ReplayCause.BUNDLE, f"bundle {bundle} and its templates no longer have its bundle_hash")
        )
    return Resolution(resolved, tuple(damaged), tuple(differing), tuple(missing))


def _compare(use: TemplateUse, template: Template) -> list[ReplayFinding]:
    """Tell how a template that is whole in itself differs from the one that was rendered."""

    def finding(cause: ReplayCause, what: str) -> ReplayFinding:
        return ReplayFinding(
            cause, f"slot {use.slot.value} was rendered from {use.ref}; {what}", use.slot, use.ref
        )

    if template.ref != use.ref:
        return [finding(ReplayCause.BUNDLE, f"the bundle now names {template.ref}")]
    findings = []
    if template.content_hash != use.content_hash:
        findings.append(finding(ReplayCause.TEMPLATE_CONTENT, "its content now has another hash"))
    if template.constraints_hash != use.constraints_hash:
        findings.append(finding(ReplayCause.CONSTRAINTS, "its constraints now have another hash"))
    if not findings and template.definition_hash != use.definition_hash:
        findings.append(finding(ReplayCause.BUNDLE, "its definition now has another hash"))
    return findings


def _damaged(error: DataLossError, slot: Slot | None = None, ref: TemplateRef | None = None) -> ReplayFinding:
    cause = _CAUSE_OF_PART.get(error.metadata.get("part", ""), ReplayCause.BUNDLE)
    return ReplayFinding(cause, error.message, slot, ref)


def _finding(cause: ReplayCause, detail: str) -> ReplayFinding:
    return ReplayFinding(cause, detail)


def _well_formed(bundle_id: str, semver: str, uses: Iterable[TemplateUse]) -> bool:
    """Tell whether names can be looked up at all: those of a damaged record may be anything."""
    try:
        for identifier, version in ((bundle_id, semver), *((use.template_id, use.semver) for use in uses)):
            require_identifier(identifier, "")
            require_semver(version, "")
    except InvalidInputError:
        return False
    return {use.slot for use in uses} == set(Slot)


def _weigh(resolution: Resolution) -> int:
    return resolution.weight
