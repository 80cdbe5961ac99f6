"""What a process keeps of the pieces of all tenants, and how it forgets the text of erased templates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from pecia_service.caching.bounded import BoundedCache
from pecia_service.registry.model import Bundle, Template, TemplateRef
from pecia_service.rendering.checking import OutputChecker
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.sources.cached import PieceKey, weigh_bundle, weigh_resolved, weigh_template

V = TypeVar("V")

_MAX_CHECKERS = 256


@dataclass(frozen=True, slots=True)
class PieceCaches:
    """The caches that all tenants share; make them with `create`. Their keys begin with the tenant.

    `checkers` alone are kept by the canonical form of their constraints.
    """

    bundles: BoundedCache[PieceKey, Bundle]
    templates: BoundedCache[PieceKey, Template]
    resolved: BoundedCache[PieceKey, ResolvedBundle]
    labels: BoundedCache[PieceKey, Bundle]
    checkers: BoundedCache[bytes, OutputChecker]

    @classmethod
    def create(cls, *, max_entries: int, max_bytes: int, label_staleness: float) -> PieceCaches:
        """Make empty caches, each within the bounds; labels are kept for `label_staleness` seconds."""

        def cache(weigh: Callable[[V], int], ttl: float | None = None) -> BoundedCache[PieceKey, V]:
            return BoundedCache(max_entries=max_entries, max_bytes=max_bytes, weigh=weigh, ttl=ttl)

        return cls(
            cache(weigh_bundle),
            cache(weigh_template),
            cache(weigh_resolved),
            cache(weigh_bundle, label_staleness or None),
            BoundedCache(
                max_entries=_MAX_CHECKERS, max_bytes=max_bytes, weigh=lambda checker: checker.weight
            ),
        )

    def forget(self, erased: Collection[tuple[str, TemplateRef]]) -> None:
        """Let go of everything that holds text of templates, each given with its tenant.

        Call it when they are erased: what is loaded from then on finds them so, and what is being loaded now
        is not kept. Bundles and labels hold no text of templates.
        """
        keys = {(tenant_id, ref.template_id, ref.semver) for tenant_id, ref in erased}
        self.templates.forget(lambda key, _: key in keys)
        self.resolved.forget(
            lambda key, resolved: any(
                (key[0], ref.template_id, ref.semver) in keys for ref in resolved.bundle.slots.values()
            )
        )
        # Constraints don't tell which templates they were merged from.
        self.checkers.forget(lambda _key, _checker: True)
