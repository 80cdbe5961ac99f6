"""What a process keeps of pieces: it forgets erased text at once, also what is being loaded meanwhile."""

import asyncio
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.registry.model import (
    Bundle,
    Slot,
    Template,
    TemplateErasedError,
    TemplateRef,
    template_not_found,
)
from pecia_service.rendering.caches import PieceCaches
from pecia_service.rendering.checking import OutputChecker
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.cached import (
    CachedBundleSource,
    CachedTemplateSource,
    TenantResolvedCache,
)
from support.domain import TENANT, define_bundle, define_template
from support.sinks import RecordingSink

TEMPLATES = {name: define_template(name, content=f"Text of {name}.") for name in "abcde"}
BUNDLES = {
    "first": "abcd",
    "second": "bbbe",
    "third": "eeee",
}


def bundle_of(name: str, templates: str) -> Bundle:
    """Make a bundle whose slots name these templates."""
    slots = {slot: TEMPLATES[letter].ref for slot, letter in zip(Slot, templates, strict=True)}
    return define_bundle(name, slots=slots)


class Rows:
    """Sources like a database: a read sees the rows as they are, and its answer takes a while if told so."""

    def __init__(self) -> None:
        self.bundles = {name: bundle_of(name, templates) for name, templates in BUNDLES.items()}
        self.erased: set[TemplateRef] = set()
        self.slow = False
        self.answers: list[asyncio.Event] = []

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle."""
        await self._travel()
        return self.bundles[bundle_id]

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template."""
        found = await self.get_templates([TemplateRef(template_id, semver)])
        if not found:
            raise template_not_found(template_id, semver)
        return next(iter(found.values()))

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return templates as they were when they were asked for."""
        gone = [ref for ref in refs if ref in self.erased]
        await self._travel()
        if gone:
            raise TemplateErasedError(gone[0])
        return {template.ref: template for template in TEMPLATES.values() if template.ref in refs}

    async def _travel(self) -> None:
        if self.slow:
            self.answers.append(asyncio.Event())
            await self.answers[-1].wait()


class World:
    """One tenant's generator over caches over rows."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.caches = PieceCaches.create(max_entries=100, max_bytes=10**7, label_staleness=0)
        self.generator = self.generator_of(TENANT)

    def generator_of(self, tenant_id: str) -> PromptGenerator:
        """Make the generator of a tenant."""
        return PromptGenerator(
            CachedBundleSource(self.rows, self.caches.bundles, tenant_id),
            CachedTemplateSource(self.rows, self.caches.templates, tenant_id),
            Renderer(),
            RecordingSink(),
            clock=lambda: 0,
            new_id=lambda: "",
            resolved_cache=TenantResolvedCache(self.caches.resolved, tenant_id),
        )

    def erase(self, name: str) -> None:
        """Erase a template, and forget it."""
        ref = TEMPLATES[name].ref
        self.rows.erased.add(ref)
        self.caches.forget([(TENANT, ref)])

    def kept_templates(self, tenant_id: str = TENANT) -> str:
        """Name the templates that are kept."""
        return "".join(name for name in TEMPLATES if (tenant_id, name, "1.0.0") in self.caches.templates)

    def kept_bundles(self, tenant_id: str = TENANT) -> list[str]:
        """Name the resolved bundles that are kept."""
        return [name for name in BUNDLES if (tenant_id, name, "1.0.0") in self.caches.resolved]


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_holds_the_text_is_forgotten() -> None:
    """The template and each resolved bundle that it is in; what does without it stays."""
    world = World()
    for name in BUNDLES:
        await world.generator.resolve(name, "1.0.0")
    world.erase("b")
    assert (world.kept_templates(), world.kept_bundles()) == ("acde", ["third"])


async def test_other_tenants_keep_theirs() -> None:
    """A template of the same name is another one there."""
    world = World()
    other = world.generator_of("other")
    for generator in (world.generator, other):
        await generator.resolve("first", "1.0.0")
    world.caches.forget([(TENANT, TEMPLATES["a"].ref)])
    assert (world.kept_bundles(), world.kept_bundles("other")) == ([], ["first"])
    assert (world.kept_templates(), world.kept_templates("other")) == ("bcd", "abcd")


async def test_an_erased_template_fails_its_bundles_alone() -> None:
    """From then on, and each time; a bundle without it goes on."""
    world = World()
    for name in BUNDLES:
        await world.generator.resolve(name, "1.0.0")
    world.erase("a")
    for _ in range(2):
        with pytest.raises(TemplateErasedError) as caught:
            await world.generator.resolve("first", "1.0.0")
        assert caught.value.metadata == {"template_id": "a", "semver": "1.0.0"}
    assert (await world.generator.resolve("second", "1.0.0")).bundle.bundle_id == "second"


async def test_an_erased_template_does_not_hurt_the_others_of_its_batch() -> None:
    """Those are kept for other bundles."""
    world = World()
    world.erase("a")
    with pytest.raises(TemplateErasedError):
        await world.generator.resolve("first", "1.0.0")
    assert world.kept_templates() == "bcd"


async def test_a_load_that_read_before_is_not_kept() -> None:
    """Its caller came before the erasure and is answered; whoever comes later is not."""
    world = World()
    world.rows.slow = True
    early = asyncio.ensure_future(world.generator.resolve("first", "1.0.0"))
    await settle()
    world.rows.answers[0].set()
    await settle()
    world.erase("a")
    late = asyncio.ensure_future(world.generator.resolve("first", "1.0.0"))
    await settle()
    for answer in world.rows.answers:
        answer.set()
    world.rows.slow = False
    await asyncio.wait({early, late})
    assert early.result().bundle.bundle_id == "first"
    assert isinstance(late.exception(), TemplateErasedError)
    assert (world.kept_templates(), world.kept_bundles()) == ("bcd", [])


async def test_compiled_constraints_are_forgotten() -> None:
    """All of them: they don't tell whose they are."""
    world = World()
    resolved = await world.generator.resolve("third", "1.0.0")

    async def compile_checker() -> OutputChecker:
        return OutputChecker(resolved.constraints)

    await world.caches.checkers.get(resolved.constraints.canonical, compile_checker)
    world.erase("a")
    assert world.caches.checkers.statistics().entries == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("resolve"), st.sampled_from(sorted(BUNDLES))),
        st.tuples(st.just("answer"), st.integers(0, 20)),
        st.tuples(st.just("erase"), st.sampled_from(sorted(TEMPLATES))),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
    ),
    max_size=30,
)


@given(steps)
def test_nothing_erased_is_answered_later(script: list[tuple[str, str | int]]) -> None:
    """However reads, erasures and cancellations meet: who asks after an erasure gets no text of it."""

    async def run() -> None:
        world = World()
        world.rows.slow = True
        asked: list[tuple[asyncio.Task[ResolvedBundle], frozenset[TemplateRef]]] = []
        for step, value in script:
            if step == "resolve":
                task = asyncio.ensure_future(world.generator.resolve(str(value), "1.0.0"))
                wanted = frozenset(world.rows.bundles[str(value)].slots.values())
                asked.append((task, wanted & world.rows.erased))
            elif step == "erase":
                world.erase(str(value))
            elif step == "cancel" and asked:
                asked[int(value) % len(asked)][0].cancel()
            elif step == "answer" and (waiting := [a for a in world.rows.answers if not a.is_set()]):
                waiting[int(value) % len(waiting)].set()
            await settle()
        world.rows.slow = False
        for answer in world.rows.answers:
            answer.set()
        if asked:
            await asyncio.wait([task for task, _ in asked])
        await settle()
        for task, erased in asked:
            assert task.cancelled() or bool(erased) <= isinstance(task.exception(), TemplateErasedError)
        gone = {ref.template_id for ref in world.rows.erased}
        assert gone & set(world.kept_templates()) == set()
        assert [name for name in world.kept_bundles() if gone & set(BUNDLES[name])] == []

    asyncio.run(run())
