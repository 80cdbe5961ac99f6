"""The generator resolves, renders, and hands what it rendered to the sink."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import pytest
from pecia_service.errors import (
    DataLossError,
    Error,
    ErrorReason,
    InvalidInputError,
    NotFoundError,
    PreconditionError,
)
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef, bundle_not_found
from pecia_service.rendering.generator import PromptGenerator, RenderOptions, resolve_inline
from pecia_service.rendering.model import Receipt, ResolvedBundle
from pecia_service.rendering.ports import LabelSource, LoadResolved, ResolvedCache
from pecia_service.rendering.renderer import RENDERER_VERSION, Renderer
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
from support.domain import START, TickingClock, define_bundle, define_template, define_templates
from support.pieces import make_payload
from support.sinks import Recorded, RecordingSink

BUNDLE = define_bundle(tags=["gpt-4o", "gr\u00fcn"])
TEMPLATES = [
    define_template("companion-system", content="You are {{semantic_traits.name}}."),
    define_template("companion-personality", content="{{constraints}}", constraints={"MAX_PARAGRAPHS": 2}),
    define_template("companion-activity", content="{{activity_level}}"),
    define_template("companion-task", content="{{task}}", role=Role.USER),
]
PAYLOAD = make_payload("Plan.", {"name": "Juna"}, 1.0)
PROMPT = 'You are Juna.\n\n{"MAX_PARAGRAPHS":2}\n\n1\n\nPlan.'


class CountingBundles(InlineBundleSource):
    """Counts fetches."""

    calls = 0

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle."""
        self.calls += 1
        return await super().get_bundle(bundle_id, semver)


class CountingTemplates(InlineTemplateSource):
    """Counts fetches, and notes what they ask for."""

    def __init__(self, templates: Collection[Template]) -> None:
        super().__init__(templates)
        self.asked: list[list[TemplateRef]] = []

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return several templates."""
        self.asked.append(list(refs))
        return await super().get_templates(refs)


class Labels:
    """One label, which can be moved."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.calls = 0

    async def get_labelled(self, bundle_id: str, label: str) -> Bundle:
        """Return the bundle that the label points to."""
        self.calls += 1
        if label == "gone":
            raise bundle_not_found(bundle_id, "9.0.0")
        return self.bundle


class DictCache:
    """Keeps resolved bundles for ever."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], ResolvedBundle] = {}

    def held(self, bundle_id: str, semver: str) -> ResolvedBundle | None:
        """Return what is kept."""
        return self.kept.get((bundle_id, semver))

    async def get(self, bundle_id: str, semver: str, load: LoadResolved) -> ResolvedBundle:
        """Return what is kept, or load it."""
        if (bundle_id, semver) not in self.kept:
            self.kept[bundle_id, semver] = await load()
        return self.kept[bundle_id, semver]


@dataclass
class Bench:
    """A generator with all that it works with."""

    bundles: CountingBundles
    templates: CountingTemplates
    sink: RecordingSink
    generator: PromptGenerator


@pytest.fixture
def bench() -> Bench:
    """Give a generator without cache and labels."""
    return make_bench()


def make_bench(
    labels: LabelSource | None = None,
    cache: ResolvedCache | None = None,
    bundles: Collection[Bundle] = (BUNDLE,),
    templates: Collection[Template] = TEMPLATES,
) -> Bench:
    """Make a generator; its clock begins at START, and its ids count from r1."""
    ids = (f"r{number}" for number in range(1, 1000))
    bundle_source, template_source, sink = (
        CountingBundles(bundles),
        CountingTemplates(templates),
        RecordingSink(),
    )
    generator = PromptGenerator(
        bundle_source,
        template_source,
        Renderer(),
        sink,
        clock=TickingClock(),
        new_id=lambda: next(ids),
        label_source=labels,
        resolved_cache=cache,
    )
    return Bench(bundle_source, template_source, sink, generator)


async def test_renders_an_exact_version(bench: Bench) -> None:
    """The answer has the prompt, its parts, and a receipt of all that went into it."""
    rendered = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert PROMPT == rendered.prompt
    assert [(Slot.SYSTEM, Role.SYSTEM), (Slot.PERSONALITY, Role.SYSTEM)] == [
        (part.slot, part.role) for part in rendered.parts[:2]
    ]
    assert (Slot.TASK, Role.USER, "Plan.") == (
        rendered.parts[3].slot,
        rendered.parts[3].role,
        rendered.parts[3].text,
    )
    assert rendered.receipt == Receipt(
        "r1",
        rendered.prompt_hash,
        resolve_inline(BUNDLE, TEMPLATES).bundle_hash,
        PAYLOAD.payload_hash,
        "companion",
        "1.0.0",
        RENDERER_VERSION,
        "",
        START,
    )


async def test_inline_gives_the_same(bench: Bench) -> None:
    """Pieces that come with the call give the same prompt, parts and hashes as stored ones."""
    stored = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    inline = await bench.generator.render_inline(BUNDLE, reversed(TEMPLATES), PAYLOAD)
    assert stored.result == inline.result
    assert [False, True] == [recorded.inline for recorded in bench.sink.renders]


async def test_repeating_gives_the_same_but_its_id_and_time(bench: Bench) -> None:
    """Two renders differ in render_id and created_at only."""
    first, second = [
        await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD) for _ in range(2)
    ]
    assert first.result == second.result
    assert [("r1", START), ("r2", START + 1)] == [
        (rendered.receipt.render_id, rendered.receipt.created_at) for rendered in (first, second)
    ]


async def test_cold_is_two_fetches(bench: Bench) -> None:
    """A bundle is fetched once, and its templates once and together, each named once."""
    await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert (1, [[template.ref for template in TEMPLATES]]) == (bench.bundles.calls, bench.templates.asked)


async def test_a_template_in_every_slot_is_asked_for_once() -> None:
    """Slots that name the same template make one reference."""
    template = define_template("one", content="x")
    bundle = define_bundle(slots=dict.fromkeys(Slot, template.ref))
    bench = make_bench(bundles=[bundle], templates=[template])
    rendered = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert ("x\n\nx\n\nx\n\nx", [[template.ref]]) == (rendered.prompt, bench.templates.asked)


async def test_warm_is_no_fetch() -> None:
    """A resolved bundle that is kept needs no source."""
    bench = make_bench(cache=DictCache())
    for _ in range(3):
        await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert (1, 1, 3) == (bench.bundles.calls, len(bench.templates.asked), len(bench.sink.renders))


async def test_label_answers_the_version_it_points_to() -> None:
    """A render by label uses the bundle that the label points to now, and says which that was."""
    newer = define_bundle(semver="2.0.0", prefix="companion")
    labels = Labels(BUNDLE)
    bench = make_bench(labels=labels)
    versions = []
    for bundle in (BUNDLE, newer, BUNDLE):
        labels.bundle = bundle
        resolved = await bench.generator.resolve_label("companion", "production")
        versions.append((await bench.generator.render(resolved, PAYLOAD)).receipt.semver)
    assert ["1.0.0", "2.0.0", "1.0.0"] == versions
    # The label brings the bundle along.
    assert 0 == bench.bundles.calls


async def test_label_is_read_each_time() -> None:
    """With a warm cache a label is still looked up, and nothing else."""
    labels = Labels(BUNDLE)
    bench = make_bench(labels=labels, cache=DictCache())
    for _ in range(3):
        await bench.generator.resolve_label("companion", "production")
    await bench.generator.resolve("companion", "1.0.0")
    assert (3, 0, 1) == (labels.calls, bench.bundles.calls, len(bench.templates.asked))


async def test_without_labels_there_are_none(bench: Bench) -> None:
    """A generator without a source of labels answers that the label does not exist."""
    with pytest.raises(NotFoundError) as caught:
        await bench.generator.resolve_label("companion", "production")
    assert ErrorReason.LABEL_NOT_FOUND is caught.value.reason
    assert {"bundle_id": "companion", "label": "production"} == caught.value.metadata


@pytest.mark.parametrize("cache", [None, DictCache()], ids=["uncached", "cached"])
@pytest.mark.parametrize(
    ("call", "reason", "field"),
    [
        (lambda bench: bench.generator.resolve("-x", "1.0.0"), "IDENTIFIER_INVALID", "bundle.bundle_id"),
        (lambda bench: bench.generator.resolve("", "1.0.0"), "IDENTIFIER_INVALID", "bundle.bundle_id"),
        (lambda bench: bench.generator.resolve("x", "1.0"), "SEMVER_INVALID", "bundle.semver"),
        (lambda bench: bench.generator.resolve("x", "v1.0.0", "to"), "SEMVER_INVALID", "to.semver"),
        (
            lambda bench: bench.generator.resolve_label("\u00e9", "a"),
            "IDENTIFIER_INVALID",
            "bundle.bundle_id",
        ),
        (lambda bench: bench.generator.resolve_label("x", "1.0.0"), "IDENTIFIER_INVALID", "bundle.label"),
        (lambda bench: bench.generator.resolve_label("x", "v2", "from"), "IDENTIFIER_INVALID", "from.label"),
    ],
)
async def test_malformed_names_are_refused(
    call: Callable[[Bench], object], reason: str, field: str, cache: ResolvedCache | None
) -> None:
    """A name that can't exist never reaches a source; the error names its field."""
    bench = make_bench(labels=Labels(BUNDLE), cache=cache)
    with pytest.raises(InvalidInputError) as caught:
        await call(bench)  # type: ignore[misc]  # each of them is a coroutine
    assert (reason, field) == (caught.value.reason.name, caught.value.metadata["field"])
    assert [field] == [violation.field for violation in caught.value.violations]
    assert 0 == bench.bundles.calls


@pytest.mark.parametrize("cache", [None, DictCache()], ids=["uncached", "cached"])
async def test_missing_bundle(cache: ResolvedCache | None) -> None:
    """A version that does not exist is NOT_FOUND, and nothing is recorded."""
    bench = make_bench(cache=cache)
    with pytest.raises(NotFoundError) as caught:
        await bench.generator.render_from_bundle("companion", "9.0.0", PAYLOAD)
    assert (ErrorReason.BUNDLE_NOT_FOUND, []) == (caught.value.reason, bench.sink.renders)


async def test_missing_template() -> None:
    """A slot whose template is gone is named."""
    bench = make_bench(templates=TEMPLATES[:3])
    with pytest.raises(PreconditionError) as caught:
        await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert ErrorReason.TEMPLATE_REFERENCE_MISSING is caught.value.reason
    expected = {"slot": "task", "template_id": "companion-task", "semver": "1.0.0"}
    assert expected == caught.value.metadata


async def test_damaged_bundle() -> None:
    """A bundle that was published with other templates is not rendered."""
    stored = Bundle.restore(
        bundle_id=BUNDLE.bundle_id,
        semver=BUNDLE.semver,
        slots=BUNDLE.slots,
        tags=BUNDLE.tags,
        description=BUNDLE.description,
        definition_hash=BUNDLE.definition_hash,
        bundle_hash="0" * 64,
    )
    bench = make_bench(bundles=[stored])
    with pytest.raises(DataLossError) as caught:
        await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert ("bundle_hash", []) == (caught.value.metadata["part"], bench.sink.renders)


async def test_the_sink_gets_what_the_caller_gets(bench: Bench) -> None:
    """One render is one record with the very receipt, result and payload."""
    rendered = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert [Recorded(rendered.receipt, rendered.result, PAYLOAD, inline=False)] == bench.sink.renders


@pytest.mark.parametrize("inline", [False, True])
async def test_validating_only_records_nothing(bench: Bench, inline: bool) -> None:
    """It answers the same prompt, with an empty render_id, and takes no id."""
    options = RenderOptions(validate_only=True)
    if inline:
        checked = await bench.generator.render_inline(BUNDLE, TEMPLATES, PAYLOAD, options)
    else:
        checked = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD, options)
    assert (PROMPT, "", []) == (checked.prompt, checked.receipt.render_id, bench.sink.renders)
    rendered = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert (checked.result, "r1") == (rendered.result, rendered.receipt.render_id)


async def test_computing_records_nothing_until_told(bench: Bench) -> None:
    """An answer that has no room is not recorded: computing and recording are apart."""
    resolved = await bench.generator.resolve("companion", "1.0.0")
    rendered = bench.generator.compute(resolved, PAYLOAD, RenderOptions())
    assert ([], "r1") == (bench.sink.renders, rendered.receipt.render_id)
    bench.generator.record(rendered, PAYLOAD, inline=True)
    assert [Recorded(rendered.receipt, rendered.result, PAYLOAD, inline=True)] == bench.sink.renders


@pytest.mark.parametrize("model_type", ["", "gpt-4o", "gr\u00fcn"])
async def test_supported_model(bench: Bench, model_type: str) -> None:
    """A model type among the tags, and none at all, is rendered."""
    options = RenderOptions.checked(model_type, "", validate_only=False)
    rendered = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD, options)
    assert PROMPT == rendered.prompt


@pytest.mark.parametrize("model_type", ["gpt-4", "GPT-4O", "gpt-4o-mini"])
async def test_unsupported_model(bench: Bench, model_type: str) -> None:
    """Any other model type is refused, with the tags that there are, and nothing is recorded."""
    with pytest.raises(PreconditionError) as caught:
        await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD, RenderOptions(model_type))
    assert ErrorReason.BUNDLE_UNSUPPORTED_MODEL is caught.value.reason
    expected = {"bundle_id": "companion", "semver": "1.0.0", "model_type": model_type}
    assert expected == caught.value.metadata
    assert ("its tags are gpt-4o, gr\u00fcn" in caught.value.message, []) == (True, bench.sink.renders)


async def test_unsupported_model_of_a_bundle_without_tags() -> None:
    """A bundle without tags supports no model by name."""
    bench = make_bench(bundles=[define_bundle()])
    with pytest.raises(PreconditionError, match="its tags are none"):
        await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD, RenderOptions("gpt-4o"))


async def test_failed_renders_are_not_recorded(bench: Bench) -> None:
    """A payload that lacks what a template needs leaves no record and takes no id."""
    with pytest.raises(PreconditionError) as caught:
        await bench.generator.render_from_bundle("companion", "1.0.0", make_payload())
    assert ErrorReason.PLACEHOLDER_UNRESOLVED is caught.value.reason
    rendered = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    assert (["r1"], "r1") == (
        [recorded.receipt.render_id for recorded in bench.sink.renders],
        rendered.receipt.render_id,
    )


def test_options_are_normalised() -> None:
    """Options are normalised as tags are, and the adapter version goes into the receipt as text."""
    options = RenderOptions.checked(" gru\u0308n\r\n", "chat-1\r\n", validate_only=True)
    assert RenderOptions("gr\u00fcn", "chat-1\n", validate_only=True) == options


async def test_adapter_version_is_in_the_receipt(bench: Bench) -> None:
    """It is kept as given, and no hash depends on it."""
    plain = await bench.generator.render_from_bundle("companion", "1.0.0", PAYLOAD)
    named = await bench.generator.render_from_bundle(
        "companion", "1.0.0", PAYLOAD, RenderOptions(adapter_version="chat-1")
    )
    assert (plain.result, "chat-1") == (named.result, named.receipt.adapter_version)


@pytest.mark.parametrize(
    ("model", "adapter"), [("m" * 64, ""), ("", "a" * 128), ("\u00e9" * 64, "\u00e9" * 128)]
)
def test_longest_options(model: str, adapter: str) -> None:
    """The longest model type and adapter version that the contract allows are allowed."""
    assert RenderOptions(model, adapter) == RenderOptions.checked(model, adapter, validate_only=False)


@pytest.mark.parametrize(
    ("model", "adapter", "reason", "metadata"),
    [
        ("m" * 65, "", "SIZE_EXCEEDED", {"field": "model_type", "size": "65", "limit": "64"}),
        ("", "a" * 129, "SIZE_EXCEEDED", {"field": "adapter_version", "size": "129", "limit": "128"}),
        ("a\x00", "", "TEXT_INVALID", {"field": "model_type"}),
        ("", "a\x00", "TEXT_INVALID", {"field": "adapter_version"}),
    ],
)
def test_bad_options(model: str, adapter: str, reason: str, metadata: dict[str, str]) -> None:
    """Options beyond their limits are refused by name."""
    with pytest.raises(InvalidInputError) as caught:
        RenderOptions.checked(model, adapter, validate_only=False)
    assert (reason, metadata) == (caught.value.reason.name, caught.value.metadata)


@pytest.mark.parametrize(
    ("templates", "reason", "metadata"),
    [
        (
            [*TEMPLATES, TEMPLATES[1]],
            "FIELD_INVALID",
            {"field": "inline_bundle.templates[4]"},
        ),
        (
            [define_template("companion-task", "1.0.1"), *TEMPLATES],
            "FIELD_INVALID",
            {"field": "inline_bundle.templates[0]"},
        ),
        (
            [TEMPLATES[0], *TEMPLATES[2:]],
            "TEMPLATE_REFERENCE_MISSING",
            {"slot": "personality", "template_id": "companion-personality", "semver": "1.0.0"},
        ),
        (
            [],
            "TEMPLATE_REFERENCE_MISSING",
            {"slot": "system", "template_id": "companion-system", "semver": "1.0.0"},
        ),
    ],
    ids=["twice", "unused", "missing", "none"],
)
async def test_inline_pieces_must_fit(
    bench: Bench, templates: list[Template], reason: str, metadata: dict[str, str]
) -> None:
    """Templates of a call that are there twice, that no slot names, or that are missing are refused."""
    with pytest.raises(Error) as caught:
        await bench.generator.render_inline(BUNDLE, templates, PAYLOAD)
    assert (reason, metadata) == (caught.value.reason.name, caught.value.metadata)
    assert [] == bench.sink.renders


def test_inline_templates_in_any_order() -> None:
    """The order in which templates come with a call changes nothing."""
    assert resolve_inline(BUNDLE, TEMPLATES) == resolve_inline(BUNDLE, TEMPLATES[::-1])
    assert list(Slot) == list(resolve_inline(BUNDLE, TEMPLATES[::-1]).templates)


def test_same_content_other_name_other_hash() -> None:
    """The identity of the pieces is in the bundle hash."""
    other = define_bundle("sibling", prefix="companion")
    assert resolve_inline(BUNDLE, TEMPLATES).bundle_hash != resolve_inline(other, TEMPLATES).bundle_hash
    assert resolve_inline(define_bundle(), define_templates()).bundle_hash != (
        resolve_inline(BUNDLE, TEMPLATES).bundle_hash
    )
