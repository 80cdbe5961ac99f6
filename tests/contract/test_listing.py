"""Lists: their order is the same on every engine, and pages neither skip nor repeat."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.paging import Page, PageRequest
from pecia_service.registry.model import Slot, TemplateRef
from pecia_service.registry.service import Registry
from support.domain import ACTOR, START, TENANT, define_bundle, define_template, define_templates

T = TypeVar("T")

IDS_IN_BYTE_ORDER = ["0", "B", "Z", "a", "a-b", "a.b", "a0", "aB", "a_b", "ab", "b"]
"""Order by locale would put "B" after "b" and ignore the punctuation."""

VERSIONS_NEWEST_FIRST = [
    *("10.0.0", "2.0.0", "1.10.0", "1.9.0", "1.0.1", "1.0.0", "1.0.0+a", "1.0.0+b"),
    *("1.0.0-rc.1", "1.0.0-beta.11", "1.0.0-beta.2", "1.0.0-beta", "1.0.0-alpha.beta", "1.0.0-alpha.1"),
    *("1.0.0-alpha", "1.0.0-a-b", "1.0.0-a.b", "1.0.0-a", "1.0.0-11", "1.0.0-2", "0.0.1"),
]


async def gather_pages(fetch: Callable[[PageRequest], Awaitable[Page[T]]], size: int) -> list[list[T]]:
    """Follow the tokens from the first page to the last."""
    pages: list[list[T]] = []
    token = ""
    while not pages or token:
        page = await fetch(PageRequest(size, token))
        pages.append(list(page.items))
        token = page.next_token
    return pages


async def publish_templates(registry: Registry, refs: list[TemplateRef]) -> None:
    """Publish a template under each of the names, in an order of no meaning."""
    for ref in sorted(refs, key=lambda ref: ref.semver[::-1] + ref.template_id[::-1]):
        await registry.publish_template(TENANT, define_template(ref.template_id, ref.semver))


async def test_templates_are_listed_by_the_bytes_of_their_ids(registry: Registry) -> None:
    """No locale decides."""
    await publish_templates(registry, [TemplateRef(name, "1.0.0") for name in IDS_IN_BYTE_ORDER])
    page = await registry.list_templates(TENANT, "", PageRequest())
    assert [item.template_id for item in page.items] == IDS_IN_BYTE_ORDER


@pytest.mark.parametrize("size", [1, 2, 7, 200])
async def test_templates_are_listed_newest_first(registry: Registry, size: int) -> None:
    """SemVer precedence decides, and where it does not the bytes of the version; pages of any size agree."""
    await publish_templates(registry, [TemplateRef("a", semver) for semver in VERSIONS_NEWEST_FIRST])
    pages = await gather_pages(lambda page: registry.list_templates(TENANT, "a", page), size)
    assert [item.semver for page in pages for item in page] == VERSIONS_NEWEST_FIRST


async def test_pages_of_several_ids_follow_each_other(registry: Registry) -> None:
    """A page can end within an id or between two."""
    refs = [
        TemplateRef(name, semver) for name in ("A", "a", "a.b") for semver in ("2.0.0", "1.0.0", "1.0.0-x")
    ]
    await publish_templates(registry, refs)
    pages = await gather_pages(lambda page: registry.list_templates(TENANT, "", page), 2)
    assert [[TemplateRef(item.template_id, item.semver) for item in page] for page in pages] == [
        refs[start : start + 2] for start in range(0, len(refs), 2)
    ]


async def test_a_list_can_be_of_one_template(registry: Registry) -> None:
    """Ids that begin alike are others."""
    await publish_templates(registry, [TemplateRef(name, "1.0.0") for name in ("a", "a.b", "ab")])
    page = await registry.list_templates(TENANT, "a", PageRequest())
    assert ([item.template_id for item in page.items], page.next_token) == (["a"], "")


async def test_a_list_of_templates_has_all_but_their_content(registry: Registry) -> None:
    """The summary is that of the published template."""
    template = define_template(
        content="äöü", constraints={"NO_EMOJI": True}, adapter_version="3", description="Umlauts."
    )
    await registry.publish_template(TENANT, template)
    (item,) = (await registry.list_templates(TENANT, "", PageRequest())).items
    assert (
        item.role,
        item.constraints,
        item.adapter_version,
        item.description,
        item.content_hash,
        item.constraints_hash,
        item.definition_hash,
        item.content_bytes,
        item.published_at,
    ) == (
        template.role,
        template.constraints,
        "3",
        "Umlauts.",
        template.content_hash,
        template.constraints_hash,
        template.definition_hash,
        6,
        START,
    )


@pytest.mark.parametrize("size", [1, 4, 200])
async def test_bundles_are_listed_as_templates_are(registry: Registry, size: int) -> None:
    """By the bytes of the id, then newest first; what is listed is what was published."""
    await registry.publish_template(TENANT, define_template())
    slots = dict.fromkeys(Slot, TemplateRef("greeting", "1.0.0"))
    bundles = [
        define_bundle(name, semver, slots=slots, tags=[name])
        for name in ("B", "a", "a-b")
        for semver in ("1.10.0", "1.9.0", "1.9.0-rc.1")
    ]
    for bundle in reversed(bundles):
        await registry.publish_bundle(TENANT, bundle)
    pages = await gather_pages(lambda page: registry.list_bundles(TENANT, "", page), size)
    one = await registry.list_bundles(TENANT, "a", PageRequest())
    listed = [item for page in pages for item in page]
    assert [
        [(bundle.bundle_id, bundle.semver, bundle.definition_hash) for bundle in chosen]
        for chosen in (listed, one.items)
    ] == [
        [(bundle.bundle_id, bundle.semver, bundle.definition_hash) for bundle in chosen]
        for chosen in (bundles, bundles[3:6])
    ]


async def test_labels_are_listed_by_bundle_and_label(registry: Registry) -> None:
    """By bytes, over all bundles or of one."""
    await registry.publish_template(TENANT, define_template())
    names = [(bundle_id, label) for bundle_id in ("B", "a", "a.b") for label in ("Z", "a", "a-b", "b")]
    for bundle_id in ("B", "a", "a.b"):
        slots = dict.fromkeys(Slot, TemplateRef("greeting", "1.0.0"))
        await registry.publish_bundle(TENANT, define_bundle(bundle_id, slots=slots))
    for bundle_id, label in reversed(names):
        await registry.set_label(
            TENANT, bundle_id=bundle_id, label=label, semver="1.0.0", etag=None, actor=ACTOR
        )
    pages = await gather_pages(lambda page: registry.list_labels(TENANT, "", page), 5)
    one = await gather_pages(lambda page: registry.list_labels(TENANT, "a", page), 3)
    assert [
        [(label.bundle_id, label.label) for page in every for label in page] for every in (pages, one)
    ] == [names, names[4:8]]


async def test_label_events_are_listed_by_label_newest_first(registry: Registry) -> None:
    """Of all labels of a bundle, or of one."""
    await registry.publish_template(TENANT, define_template())
    versions = [f"{number}.0.0" for number in range(1, 13)]
    for semver in versions:
        slots = dict.fromkeys(Slot, TemplateRef("greeting", "1.0.0"))
        await registry.publish_bundle(TENANT, define_bundle("a", semver, slots=slots))
    for semver in versions:
        for label in ("b", "Z"):
            await registry.set_label(
                TENANT, bundle_id="a", label=label, semver=semver, etag=None, actor=ACTOR
            )
    pages = await gather_pages(lambda page: registry.list_label_events(TENANT, "a", "", page), 5)
    one = await gather_pages(lambda page: registry.list_label_events(TENANT, "a", "b", page), 12)
    assert [
        [(event.label, event.revision) for page in every for event in page] for every in (pages, one)
    ] == [
        [(label, revision) for label in ("Z", "b") for revision in range(12, 0, -1)],
        [("b", revision) for revision in range(12, 0, -1)],
    ]


async def test_lists_of_another_tenant_are_empty(registry: Registry) -> None:
    """Nothing of a tenant is listed for another."""
    for template in define_templates():
        await registry.publish_template(TENANT, template)
    await registry.publish_bundle(TENANT, define_bundle())
    await registry.set_label(
        TENANT, bundle_id="companion", label="live", semver="1.0.0", etag=None, actor=ACTOR
    )
    pages = (
        await registry.list_templates("other", "", PageRequest()),
        await registry.list_bundles("other", "", PageRequest()),
        await registry.list_labels("other", "", PageRequest()),
        await registry.list_label_events("other", "companion", "", PageRequest()),
    )
    assert [page.items for page in pages] == [(), (), (), ()]


async def make_token(registry: Registry) -> str:
    """Give the token of a list of the templates of "a"."""
    await publish_templates(registry, [TemplateRef("a", semver) for semver in ("1.0.0", "2.0.0")])
    return (await registry.list_templates(TENANT, "a", PageRequest(1))).next_token


CALLS_WITH_OTHER_ARGUMENTS: dict[str, Callable[[Registry, PageRequest], Awaitable[object]]] = {
    "another filter": lambda registry, page: registry.list_templates(TENANT, "b", page),
    "no filter": lambda registry, page: registry.list_templates(TENANT, "", page),
    "another tenant": lambda registry, page: registry.list_templates("other", "a", page),
    "bundles": lambda registry, page: registry.list_bundles(TENANT, "a", page),
    "labels": lambda registry, page: registry.list_labels(TENANT, "a", page),
    "events": lambda registry, page: registry.list_label_events(TENANT, "a", "", page),
}


@pytest.mark.parametrize("call", CALLS_WITH_OTHER_ARGUMENTS.values(), ids=CALLS_WITH_OTHER_ARGUMENTS.keys())
async def test_a_token_is_of_no_use_with_other_arguments(
    registry: Registry, call: Callable[[Registry, PageRequest], Awaitable[object]]
) -> None:
    """It is refused, not read as something else."""
    token = await make_token(registry)
    with pytest.raises(InvalidInputError) as caught:
        await call(registry, PageRequest(1, token))
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.PAGE_TOKEN_INVALID,
        {"field": "page_token"},
    )


async def test_a_token_is_good_for_another_size_of_page(registry: Registry) -> None:
    """The size is not one of the arguments that a token belongs to."""
    token = await make_token(registry)
    page = await registry.list_templates(TENANT, "a", PageRequest(200, token))
    assert [item.semver for item in page.items] == ["1.0.0"]


BAD_FILTERS: dict[str, Callable[[Registry], Awaitable[object]]] = {
    "template_id": lambda registry: registry.list_templates(TENANT, "a b", PageRequest()),
    "bundle_id": lambda registry: registry.list_bundles(TENANT, "ä", PageRequest()),
    "bundle_id of labels": lambda registry: registry.list_labels(TENANT, "\0", PageRequest()),
    "bundle_id of events": lambda registry: registry.list_label_events(TENANT, "", "", PageRequest()),
    "label of events": lambda registry: registry.list_label_events(TENANT, "a", "v1", PageRequest()),
}


@pytest.mark.parametrize(("field", "call"), BAD_FILTERS.items(), ids=BAD_FILTERS.keys())
async def test_a_filter_that_names_nothing_is_refused(
    registry: Registry, field: str, call: Callable[[Registry], Awaitable[object]]
) -> None:
    """The error names the field."""
    with pytest.raises(InvalidInputError) as caught:
        await call(registry)
    assert (caught.value.reason, caught.value.metadata["field"]) == (
        ErrorReason.IDENTIFIER_INVALID,
        field.partition(" ")[0],
    )
