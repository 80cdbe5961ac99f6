"""Caching decorators around any source; what they keep never changes, and is forgotten only when erased."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from typing import TypeAlias

from pecia_service.caching.bounded import BoundedCache
from pecia_service.errors import DataLossError, NotFoundError
from pecia_service.registry.model import (
    Bundle,
    Template,
    TemplateErasedError,
    TemplateRef,
    template_not_found,
)
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.ports import BundleSource, LabelSource, LoadResolved, TemplateSource

PieceKey: TypeAlias = tuple[str, str, str]
"""Tenant, id, and version or label."""

_BUNDLE_WEIGHT = 2_000


def weigh_bundle(bundle: Bundle) -> int:
    """Return about how many bytes a bundle takes in memory."""
    return _BUNDLE_WEIGHT + 4 * (len(bundle.description) + sum(len(tag) for tag in bundle.tags))


def weigh_template(template: Template) -> int:
    """Return about how many bytes a template takes in memory."""
    return template.weight


def weigh_resolved(resolved: ResolvedBundle) -> int:
    """Return about how many bytes a resolved bundle takes in memory, its templates included."""
    return resolved.weight


class CachedBundleSource:
    """Keeps the bundles of one tenant's source in a cache that all tenants may share."""

    def __init__(self, inner: BundleSource, cache: BoundedCache[PieceKey, Bundle], tenant_id: str) -> None:
        self._inner = inner
        self._cache = cache
        self._tenant_id = tenant_id

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle; raises what the inner source raises."""
        return await self._cache.get(
            (self._tenant_id, bundle_id, semver), lambda: self._inner.get_bundle(bundle_id, semver)
        )


class CachedTemplateSource:
    """Keeps the templates of one tenant's source in a cache that all tenants may share."""

    def __init__(
        self, inner: TemplateSource, cache: BoundedCache[PieceKey, Template], tenant_id: str
    ) -> None:
        self._inner = inner
        self._cache = cache
        self._tenant_id = tenant_id

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template; raises what the inner source raises."""
        return await self._cache.get(
            self._key(TemplateRef(template_id, semver)), lambda: self._inner.get_template(template_id, semver)
        )

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return those of the templates that exist; what is missing here is fetched in one go."""
        distinct = list(dict.fromkeys(refs))
        batch = _Batch(self._inner, [ref for ref in distinct if self._key(ref) not in self._cache])
        outcomes = await asyncio.gather(
            *(self._cache.get(self._key(ref), partial(batch.get, ref)) for ref in distinct),
            return_exceptions=True,
        )
        found: dict[TemplateRef, Template] = {}
        for ref, outcome in zip(distinct, outcomes, strict=True):
            if isinstance(outcome, Template):
                found[ref] = outcome
            elif not isinstance(outcome, NotFoundError):
                raise outcome
        return found

    def _key(self, ref: TemplateRef) -> PieceKey:
        return self._tenant_id, ref.template_id, ref.semver


class _Batch:
    """Fetches several templates in one go, when the first of them is asked for."""

    def __init__(self, inner: TemplateSource, refs: Collection[TemplateRef]) -> None:
        self._inner = inner
        self._refs = refs
        self._fetch: asyncio.Task[Mapping[TemplateRef, Template]] | None = None

    async def get(self, ref: TemplateRef) -> Template:
        """Return one of them; raises NotFoundError (TEMPLATE_NOT_FOUND) and what the inner source raises."""
        if len(self._refs) < 2 or ref not in self._refs:
            return await self._inner.get_template(ref.template_id, ref.semver)
        if self._fetch is None:
            self._fetch = asyncio.ensure_future(self._inner.get_templates(self._refs))
            self._fetch.add_done_callback(_mark_retrieved)
        try:
            # Others wait for the same fetch: one who stops waiting must not stop it.
            found = await asyncio.shield(self._fetch)
        except (DataLossError, TemplateErasedError):
            # Another of the batch may be damaged or erased; asked alone, each gets what is true of it.
            return await self._inner.get_template(ref.template_id, ref.semver)
        if ref not in found:
            raise template_not_found(ref.template_id, ref.semver)
        return found[ref]


def _mark_retrieved(fetch: asyncio.Task[Mapping[TemplateRef, Template]]) -> None:
    """Keep asyncio from reporting an error that nobody waits for any more."""
    if not fetch.cancelled():
        fetch.exception()


class CachedLabelSource:
    """Answers where labels point from a cache whose `ttl` is the allowed staleness."""

    def __init__(self, inner: LabelSource, cache: BoundedCache[PieceKey, Bundle], tenant_id: str) -> None:
        self._inner = inner
        self._cache = cache
        self._tenant_id = tenant_id

    async def get_labelled(self, bundle_id: str, label: str) -> Bundle:
        """Return the bundle that a label pointed to at most `ttl` seconds ago."""
        return await self._cache.get(
            (self._tenant_id, bundle_id, label), lambda: self._inner.get_labelled(bundle_id, label)
        )


class TenantResolvedCache:
    """One tenant's view of a cache of resolved bundles that all tenants may share."""

    def __init__(self, cache: BoundedCache[PieceKey, ResolvedBundle], tenant_id: str) -> None:
        self._cache = cache
        self._tenant_id = tenant_id

    def held(self, bundle_id: str, semver: str) -> ResolvedBundle | None:
        """Return a resolved bundle if it is here."""
        return self._cache.held((self._tenant_id, bundle_id, semver))

    async def get(self, bundle_id: str, semver: str, load: LoadResolved) -> ResolvedBundle:
        """Return a resolved bundle; load it when it is not here, once for all who ask meanwhile."""
        return await self._cache.get((self._tenant_id, bundle_id, semver), load)
