"""Caches around sources: one fetch for what is missing, shared, and nobody hurt by another's trouble."""

import asyncio
import gc
from collections.abc import Collection, Mapping

import pytest
from pecia_service.caching.bounded import BoundedCache
from pecia_service.errors import DataLossError, Error, ErrorReason, NotFoundError, UnavailableError
from pecia_service.registry.model import (
    Bundle,
    Template,
    TemplateRef,
    bundle_not_found,
    damaged_template,
    label_not_found,
    template_not_found,
)
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.sources.cached import (
    CachedBundleSource,
    CachedLabelSource,
    CachedTemplateSource,
    PieceKey,
    TenantResolvedCache,
    weigh_bundle,
    weigh_resolved,
    weigh_template,
)
from support.domain import define_bundle, define_template, define_templates

A, B, C, D = (define_template(name) for name in "abcd")
MISSING = TemplateRef("missing", "1.0.0")


class Shelf:
    """A source that notes what it is asked for, can be held up, and can have damage or be away."""

    def __init__(self, *templates: Template, damaged: Collection[TemplateRef] = ()) -> None:
        self.calls: list[list[str]] = []
        self.cancelled = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Error | None = None
        self._templates = {template.ref: template for template in templates}
        self._damaged = damaged

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return one."""
        ref = TemplateRef(template_id, semver)
        found = await self._fetch([ref], [template_id])
        if ref not in found:
            raise template_not_found(template_id, semver)
        return found[ref]

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return several."""
        return await self._fetch(refs, ["batch", *(ref.template_id for ref in refs)])

    async def _fetch(self, refs: Collection[TemplateRef], call: list[str]) -> dict[TemplateRef, Template]:
        self.calls.append(call)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        for ref in refs:
            if ref in self._damaged:
                raise damaged_template(ref, "content")
        return {ref: self._templates[ref] for ref in refs if ref in self._templates}


class Bundles:
    """A source of bundles and labels that counts."""

    def __init__(self, *bundles: Bundle) -> None:
        self.calls = 0
        self.pointer = "1.0.0"
        self._bundles = {bundle.semver: bundle for bundle in bundles}

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return one by version."""
        self.calls += 1
        if semver not in self._bundles:
            raise bundle_not_found(bundle_id, semver)
        return self._bundles[semver]

    async def get_labelled(self, bundle_id: str, label: str) -> Bundle:
        """Return the one that the only label points to."""
        self.calls += 1
        if label != "production":
            raise label_not_found(bundle_id, label)
        return self._bundles[self.pointer]


def template_cache(room: int = 10**6) -> BoundedCache[PieceKey, Template]:
    """Return a cache for a few templates."""
    return BoundedCache(max_entries=8, max_bytes=room, weigh=weigh_template)


def bundle_cache() -> BoundedCache[PieceKey, Bundle]:
    """Return a cache for a few bundles."""
    return BoundedCache(max_entries=8, max_bytes=10**6, weigh=weigh_bundle)


def cached(shelf: Shelf) -> CachedTemplateSource:
    """Return a cache around a source."""
    return CachedTemplateSource(shelf, template_cache(), "default")


def refs(*templates: Template) -> list[TemplateRef]:
    """Return the references of templates."""
    return [template.ref for template in templates]


def by_ref(*templates: Template) -> dict[TemplateRef, Template]:
    """Return templates by reference."""
    return {template.ref: template for template in templates}


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_several_are_one_fetch() -> None:
    """What is missing is fetched together, and afterwards it is here."""
    shelf = Shelf(A, B, C)
    source = cached(shelf)
    first = await source.get_templates(refs(A, B, C))
    second = await source.get_templates(refs(C, A))
    assert (by_ref(A, B, C), by_ref(A, C)) == (first, second)
    assert [["batch", "a", "b", "c"]] == shelf.calls


async def test_only_what_is_missing_is_fetched() -> None:
    """Templates that are here are not asked for again; a single missing one is fetched alone."""
    shelf = Shelf(A, B, C, D)
    source = cached(shelf)
    await source.get_template("a", "1.0.0")
    await source.get_templates(refs(A, B, C))
    await source.get_templates(refs(D, A))
    assert [["a"], ["batch", "b", "c"], ["d"]] == shelf.calls


async def test_one_named_twice_is_fetched_once() -> None:
    """A template that several slots name is one template."""
    shelf = Shelf(A, B)
    found = await cached(shelf).get_templates(refs(A, B, A, A))
    assert (by_ref(A, B), [["batch", "a", "b"]]) == (found, shelf.calls)


async def test_nothing_asked_nothing_fetched() -> None:
    """No references ask the inner source nothing."""
    shelf = Shelf(A)
    assert ({}, []) == (await cached(shelf).get_templates([]), shelf.calls)


async def test_missing_ones_are_left_out_and_asked_for_again() -> None:
    """What does not exist is not in the answer and not remembered as missing."""
    shelf = Shelf(A)
    source = cached(shelf)
    found = [await source.get_templates([A.ref, MISSING, B.ref]) for _ in range(2)]
    assert [by_ref(A), by_ref(A)] == found
    assert [["batch", "a", "missing", "b"], ["batch", "missing", "b"]] == shelf.calls


async def test_a_single_missing_one_is_left_out() -> None:
    """One missing template among those that are here is left out too."""
    source = cached(Shelf(A))
    await source.get_template("a", "1.0.0")
    assert by_ref(A) == await source.get_templates([A.ref, MISSING])


async def test_overlapping_batches_share() -> None:
    """What another batch is fetching already is waited for and not fetched again."""
    shelf = Shelf(A, B, C, D)
    source = cached(shelf)
    shelf.open.clear()
    first = asyncio.create_task(source.get_templates(refs(A, B, C)))
    await settle()
    second = asyncio.create_task(source.get_templates(refs(B, C, D)))
    third = asyncio.create_task(source.get_template("a", "1.0.0"))
    await settle()
    shelf.open.set()
    assert [by_ref(A, B, C), by_ref(B, C, D), A] == [await first, await second, await third]
    assert [["batch", "a", "b", "c"], ["d"]] == shelf.calls


async def test_a_hundred_batches_are_one_fetch() -> None:
    """A hundred who ask at once for the same templates make one fetch."""
    shelf = Shelf(A, B, C, D)
    source = cached(shelf)
    found = await asyncio.gather(*(source.get_templates(refs(A, B, C, D)) for _ in range(100)))
    assert [by_ref(A, B, C, D)] * 100 == found
    assert [["batch", "a", "b", "c", "d"]] == shelf.calls


async def test_damage_is_reported() -> None:
    """A damaged template fails the one who asked for it, and by its name."""
    source = cached(Shelf(A, B, damaged=refs(B)))
    with pytest.raises(DataLossError) as caught:
        await source.get_templates(refs(A, B))
    assert ErrorReason.PIECE_DAMAGED is caught.value.reason
    assert "b" == caught.value.metadata["id"]


async def test_damage_hurts_nobody_else() -> None:
    """Who waits for the sound part of a batch gets it, although another part is damaged."""
    shelf = Shelf(A, B, C, damaged=refs(A))
    source = cached(shelf)
    shelf.open.clear()
    hurt = asyncio.create_task(source.get_templates(refs(A, B, MISSING_TEMPLATE)))
    await settle()
    sound = asyncio.create_task(source.get_templates(refs(B, C)))
    missing = asyncio.create_task(source.get_templates([MISSING, C.ref]))
    await settle()
    shelf.open.set()
    assert [by_ref(B, C), by_ref(C)] == [await sound, await missing]
    with pytest.raises(DataLossError):
        await hurt
    calls = len(shelf.calls)
    assert B == await source.get_template("b", "1.0.0")
    assert calls == len(shelf.calls)


MISSING_TEMPLATE = define_template("missing")


async def test_damage_is_not_remembered() -> None:
    """Once the damage is mended, the template is read again."""
    damaged = refs(A)
    source = cached(Shelf(A, B, damaged=damaged))
    with pytest.raises(DataLossError):
        await source.get_templates(refs(A, B))
    damaged.clear()
    assert by_ref(A, B) == await source.get_templates(refs(A, B))


async def test_an_outage_fails_all_who_wait_once() -> None:
    """When the inner source is away everybody hears it, it is asked once, and later it is asked again."""
    shelf = Shelf(A, B)
    shelf.failure = UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "away", retry_after=1)
    source = cached(shelf)
    errors = await asyncio.gather(
        *(source.get_templates(refs(A, B)) for _ in range(10)), return_exceptions=True
    )
    assert ([shelf.failure] * 10, 1) == (errors, len(shelf.calls))
    shelf.failure = None
    assert by_ref(A, B) == await source.get_templates(refs(A, B))


async def test_what_is_here_outlives_an_outage() -> None:
    """Templates that are here are given while the inner source is away."""
    shelf = Shelf(A, B)
    source = cached(shelf)
    await source.get_templates(refs(A, B))
    shelf.failure = UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "away")
    assert by_ref(A, B) == await source.get_templates(refs(A, B))


async def test_who_gives_up_does_not_stop_a_shared_fetch() -> None:
    """When the one who began a fetch is cancelled, those who joined get their templates from it."""
    shelf = Shelf(A, B, C)
    source = cached(shelf)
    shelf.open.clear()
    first = asyncio.create_task(source.get_templates(refs(A, B)))
    await settle()
    second = asyncio.create_task(source.get_templates(refs(B, C)))
    await settle()
    first.cancel()
    await settle()
    shelf.open.set()
    assert by_ref(B, C) == await second
    assert (True, 0, [["batch", "a", "b"], ["c"]]) == (first.cancelled(), shelf.cancelled, shelf.calls)


async def test_all_give_up() -> None:
    """A fetch that nobody waits for any more ends quietly, even by failing, and the next one starts anew."""
    shelf = Shelf(A, B)
    source = cached(shelf)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    shelf.open.clear()
    waiter = asyncio.create_task(source.get_templates(refs(A, B)))
    await settle()
    waiter.cancel()
    await settle()
    shelf.failure = UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "away")
    shelf.open.set()
    await settle()
    shelf.failure = None
    assert by_ref(A, B) == await source.get_templates(refs(A, B))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    # asyncio complains of an error that nobody took when its task is collected.
    del waiter
    gc.collect()
    assert ([], set()) == (complaints, others)


async def test_without_room_a_batch_is_still_one_fetch() -> None:
    """A cache that can keep nothing passes a batch on as a batch."""
    shelf = Shelf(A, B, C)
    source = CachedTemplateSource(shelf, template_cache(room=0), "default")
    for _ in range(2):
        assert by_ref(A, B, C) == await source.get_templates(refs(A, B, C))
    assert [["batch", "a", "b", "c"]] * 2 == shelf.calls


async def test_tenants_share_room_and_nothing_else() -> None:
    """One tenant's template of a name is never another's."""
    cache = template_cache()
    other = define_template("a", content="Another's.")
    mine = CachedTemplateSource(Shelf(A, B), cache, "mine")
    theirs = CachedTemplateSource(Shelf(other, B), cache, "theirs")
    assert [by_ref(A, B), by_ref(other, B)] == [
        await source.get_templates(refs(A, B)) for source in (mine, theirs)
    ]
    assert (A, other) == (await mine.get_template("a", "1.0.0"), await theirs.get_template("a", "1.0.0"))
    assert 4 == cache.statistics().entries


async def test_bundles_are_kept() -> None:
    """A bundle is fetched once; one that does not exist is asked for each time."""
    inner = Bundles(define_bundle())
    source = CachedBundleSource(inner, bundle_cache(), "default")
    found = [await source.get_bundle("companion", "1.0.0") for _ in range(3)]
    assert ([define_bundle()] * 3, 1) == (found, inner.calls)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            await source.get_bundle("companion", "2.0.0")
    assert 3 == inner.calls


async def test_labels_are_kept_for_a_while() -> None:
    """A label's bundle is remembered, so that a move shows when the cache has forgotten."""
    inner = Bundles(define_bundle(), define_bundle(semver="2.0.0"))
    cache = bundle_cache()
    source = CachedLabelSource(inner, cache, "default")
    first = await source.get_labelled("companion", "production")
    inner.pointer = "2.0.0"
    second = await source.get_labelled("companion", "production")
    fresh = await CachedLabelSource(inner, bundle_cache(), "default").get_labelled("companion", "production")
    assert ["1.0.0", "1.0.0", "2.0.0"] == [first.semver, second.semver, fresh.semver]
    with pytest.raises(NotFoundError):
        await source.get_labelled("companion", "staging")


async def test_resolved_bundles_are_kept_by_tenant() -> None:
    """A resolved bundle is made once for each tenant."""
    templates = define_templates()
    resolved = ResolvedBundle.resolve(define_bundle(), by_ref(*templates))
    cache: BoundedCache[PieceKey, ResolvedBundle] = BoundedCache(
        max_entries=8, max_bytes=10**6, weigh=weigh_resolved
    )
    loads = 0

    async def load() -> ResolvedBundle:
        nonlocal loads
        loads += 1
        return resolved

    for tenant in ("a", "b", "a", "b"):
        assert resolved is await TenantResolvedCache(cache, tenant).get("companion", "1.0.0", load)
    assert (2, 2 * resolved.weight) == (loads, cache.statistics().weight)


def test_weights_grow_with_the_text() -> None:
    """What a piece weighs is at least what its text takes."""
    small, large = define_bundle(), define_bundle(tags=["t" * 64], description="d" * 4096)
    assert weigh_bundle(large) - weigh_bundle(small) >= 4096 + 64
    assert weigh_template(define_template(content="x" * 100_000)) >= 100_000
