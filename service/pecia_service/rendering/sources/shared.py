"""A decorator around any source of labels, through which concurrent callers share what is read."""

from __future__ import annotations

from pecia_service.caching.shared_reads import SharedReads
from pecia_service.registry.model import Bundle
from pecia_service.rendering.ports import LabelSource
from pecia_service.rendering.sources.cached import PieceKey


class SharedLabelSource:
    """Shares the reads of one tenant's labels, among reads that all tenants may share; none is stale."""

    def __init__(self, inner: LabelSource, reads: SharedReads[PieceKey, Bundle], tenant_id: str) -> None:
        self._inner = inner
        self._reads = reads
        self._tenant_id = tenant_id

    async def get_labelled(self, bundle_id: str, label: str) -> Bundle:
        """Return the bundle that a label points to now; raises what the inner source raises."""
        return await self._reads.get(
            (self._tenant_id, bundle_id, label), lambda: self._inner.get_labelled(bundle_id, label)
        )
