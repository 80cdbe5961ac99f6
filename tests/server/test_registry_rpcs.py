"""Reading the registry over a channel: lists, pages, what a bundle needs, and how versions differ."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from pecia.v1 import bundle_pb2, constraints_pb2, template_pb2
from pecia.v1 import registry_service_pb2 as pb
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import CONTENTS, SLOTS, bundle, label_ref, publish, template, version_ref

NEWEST_FIRST = ["10.0.0", "2.0.0", "2.0.0-rc.10", "2.0.0-rc.9", "2.0.0-rc", "1.0.0", "1.0.0+a", "1.0.0+b"]
IDS = ["A", "B", "a", "a-b", "a.b", "a_b", "b"]
"""In byte order, which is not that of any language."""


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server on an empty registry."""
    async with live_server(migrated_database_url) as live:
        yield live


async def publish_templates(server: LiveServer, *names: tuple[str, str]) -> None:
    """Publish templates that differ only in their names."""
    for template_id, semver in names:
        await server.registry.PublishTemplate(
            pb.PublishTemplateRequest(template=template(template_id, semver))
        )


async def list_templates(server: LiveServer, **fields: Any) -> pb.ListTemplatesResponse:
    """List one page."""
    return await server.registry.ListTemplates(pb.ListTemplatesRequest(**fields))


async def all_pages(server: LiveServer, **fields: Any) -> list[list[tuple[str, str]]]:
    """List page after page, and return each page's ids and versions."""
    pages = []
    token = ""
    while True:
        page = await list_templates(server, page_token=token, **fields)
        pages.append([(item.definition.template_id, item.definition.semver) for item in page.templates])
        token = page.next_page_token
        if not token:
            return pages


async def test_templates_are_listed_by_id_in_byte_order(server: LiveServer) -> None:
    """Both engines order ids by their bytes."""
    await publish_templates(server, *((template_id, "1.0.0") for template_id in reversed(IDS)))
    assert [[(template_id, "1.0.0") for template_id in IDS]] == await all_pages(server)


async def test_versions_are_listed_newest_first(server: LiveServer) -> None:
    """The order is SemVer precedence; versions that differ by build metadata are in byte order."""
    await publish_templates(server, *(("t", semver) for semver in sorted(NEWEST_FIRST)), ("u", "3.0.0"))
    assert [[("t", semver) for semver in NEWEST_FIRST]] == await all_pages(server, template_id="t")


@pytest.mark.parametrize("size", [1, 3, 8, 9, 200])
async def test_pages_hold_each_item_once(server: LiveServer, size: int) -> None:
    """Pages of any size are full but for the last, and together they are the list."""
    names = [("t", semver) for semver in NEWEST_FIRST] + [("u", "1.0.0")]
    await publish_templates(server, *names)
    pages = await all_pages(server, page_size=size)
    assert names == [name for page in pages for name in page]
    assert [size] * (len(pages) - 1) == [len(page) for page in pages[:-1]]


async def test_a_page_has_50_items_unless_asked_and_at_most_200(server: LiveServer) -> None:
    """0 means 50, and more than 200 means 200."""
    await publish_templates(server, *(("t", f"{major}.0.0") for major in range(201)))
    sizes = [len((await list_templates(server, page_size=size)).templates) for size in (0, 200, 201, 1 << 30)]
    assert [50, 200, 200, 200] == sizes


async def test_a_page_token_belongs_to_its_arguments(server: LiveServer) -> None:
    """Another filter, another method and a changed token are refused; another size is not."""
    await publish_templates(server, ("t", "1.0.0"), ("t", "2.0.0"), ("t", "3.0.0"))
    token = (await list_templates(server, template_id="t", page_size=1)).next_page_token
    others: list[Awaitable[object]] = [
        list_templates(server, template_id="u", page_token=token),
        list_templates(server, page_token=token),
        list_templates(server, template_id="t", page_token=token[:-2]),
        server.registry.ListBundles(pb.ListBundlesRequest(bundle_id="t", page_token=token)),
    ]
    reasons = [(await failure_of(call)).reason for call in others]
    rest = await list_templates(server, template_id="t", page_token=token, page_size=2)
    assert ["PAGE_TOKEN_INVALID"] * 4 == reasons
    assert ["2.0.0", "1.0.0"] == [item.definition.semver for item in rest.templates]


async def test_lists_of_templates_leave_contents_out(server: LiveServer) -> None:
    """A listed template is the published one without its content."""
    definition = template("t", constraints=constraints_pb2.Constraints(max_paragraphs=1), description="d")
    published = await server.registry.PublishTemplate(pb.PublishTemplateRequest(template=definition))
    expected = published.template
    expected.definition.content = ""
    assert [expected] == list((await list_templates(server)).templates)


async def test_bundles_are_listed_without_bundle_hash(server: LiveServer) -> None:
    """A listed bundle is the published one without its hash; the newest is first."""
    await publish(server.registry, semvers=("1.0.0", "1.10.0", "1.9.0"), tags=["z", "a"])
    listed = (await server.registry.ListBundles(pb.ListBundlesRequest(bundle_id="companion"))).bundles
    got = (await server.registry.GetBundle(pb.GetBundleRequest(bundle=version_ref("1.10.0")))).bundle
    got.bundle_hash = ""
    assert got == listed[0]
    assert ["1.10.0", "1.9.0", "1.0.0"] == [item.definition.semver for item in listed]


async def test_bundles_are_paged(server: LiveServer) -> None:
    """The second page goes on where the first ended."""
    await publish(server.registry, semvers=("1.0.0", "2.0.0", "3.0.0"))
    first = await server.registry.ListBundles(pb.ListBundlesRequest(page_size=2))
    second = await server.registry.ListBundles(
        pb.ListBundlesRequest(page_size=2, page_token=first.next_page_token)
    )
    listed = [item.definition.semver for page in (first, second) for item in page.bundles]
    assert (["3.0.0", "2.0.0", "1.0.0"], "") == (listed, second.next_page_token)


async def test_a_bundle_answers_what_it_reads_from_a_payload(server: LiveServer) -> None:
    """Each path has its slots in order, and is required if one placeholder for it has no default."""
    await publish(
        server.registry,
        {
            "system": "{{task}} {{constraints}} {{semantic_traits.mood|null}}",
            "personality": '{{semantic_traits.mood|"even"}}{{semantic_traits.mood|"odd"}}',
            "activity": "{{json:activity_level}}",
            "task": '{{task|"x"}} {{semantic_traits.a.b}} {{semantic_traits.a.b|1}} \\{{stress}}',
        },
    )
    got = await server.registry.GetBundle(pb.GetBundleRequest(bundle=version_ref()))
    system, personality, activity, task = (bundle_pb2.Slot.Value(f"SLOT_{slot.upper()}") for slot in SLOTS)
    assert [
        ("activity_level", [activity], True),
        ("semantic_traits.a.b", [task], True),
        ("semantic_traits.mood", [system, personality], False),
        ("task", [system, task], True),
    ] == [(path.path, list(path.slots), path.required) for path in got.payload_paths]


async def test_a_bundle_answers_its_effective_constraints(server: LiveServer) -> None:
    """Tokens are united, limits are the least, and further keys stay with their template."""
    given = {
        "system": constraints_pb2.Constraints(forbidden_tokens=["b", "Sure"], max_paragraphs=3),
        "personality": constraints_pb2.Constraints(forbidden_tokens=["sure", "a"], max_sentence_length=20),
        "activity": constraints_pb2.Constraints(max_paragraphs=2, assertiveness_level=0.75),
        "task": constraints_pb2.Constraints(no_emoji=True, assertiveness_level=0.5),
    }
    given["task"].further.update({"X": 1})
    for slot, constraints in given.items():
        definition = template(f"companion-{slot}", content=CONTENTS[slot], constraints=constraints)
        await server.registry.PublishTemplate(pb.PublishTemplateRequest(template=definition))
    await server.registry.PublishBundle(pb.PublishBundleRequest(bundle=bundle()))
    got = await server.registry.GetBundle(pb.GetBundleRequest(bundle=version_ref()))
    expected = constraints_pb2.Constraints(
        forbidden_tokens=["Sure", "a", "b"],
        max_sentence_length=20,
        max_paragraphs=2,
        no_emoji=True,
        assertiveness_level=0.5,
    )
    assert expected == got.effective_constraints


async def test_a_bundle_is_got_by_label_in_its_exact_version(server: LiveServer) -> None:
    """The answer to a label is the answer to the version that it points to."""
    await publish(server.registry, semvers=("1.0.0", "2.0.0"))
    await server.registry.SetLabel(
        pb.SetLabelRequest(bundle_id="companion", label="production", semver="2.0.0")
    )
    by_label = await server.registry.GetBundle(pb.GetBundleRequest(bundle=label_ref("production")))
    assert by_label == await server.registry.GetBundle(pb.GetBundleRequest(bundle=version_ref("2.0.0")))


async def test_versions_are_compared_slot_by_slot(server: LiveServer) -> None:
    """Only the slot that differs is changed, and its diffs are unified diffs."""
    await publish(server.registry, {"task": "one\ntwo\nthree"})
    changed = template(
        "companion-task",
        "2.0.0",
        "one\n2\nthree",
        role=template_pb2.ROLE_USER,
        constraints=constraints_pb2.Constraints(max_paragraphs=2),
    )
    await server.registry.PublishTemplate(pb.PublishTemplateRequest(template=changed))
    await server.registry.PublishBundle(
        pb.PublishBundleRequest(bundle=bundle(semver="2.0.0", versions={"task": "2.0.0"}))
    )
    diff = await server.registry.DiffBundles(
        pb.DiffBundlesRequest(before=version_ref(), after=version_ref("2.0.0"))
    )
    assert [(1, False), (2, False), (3, False), (4, True)] == [(s.slot, s.changed) for s in diff.slots]
    assert ["", "", ""] == [slot.content_diff for slot in diff.slots[:3]]
    task = diff.slots[3]
    assert (template_pb2.ROLE_SYSTEM, template_pb2.ROLE_USER) == (task.before_role, task.after_role)
    assert ("1.0.0", "2.0.0") == (task.before.semver, task.after.semver)
    assert [" one", "-two", "+2", " three"] == task.content_diff.splitlines()[3:]
    assert ['+"MAX_PARAGRAPHS":2'] == task.constraints_diff.splitlines()[3:]
    assert not diff.identical
    assert diff.before_bundle_hash != diff.after_bundle_hash


async def test_a_version_is_identical_with_itself(server: LiveServer) -> None:
    """Nothing differs, whether the version is named or labelled."""
    await publish(server.registry)
    await server.registry.SetLabel(
        pb.SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0")
    )
    diff = await server.registry.DiffBundles(
        pb.DiffBundlesRequest(before=version_ref(), after=label_ref("production"))
    )
    assert diff.identical
    assert diff.before_bundle_hash == diff.after_bundle_hash
    assert [("", "")] * 4 == [(slot.content_diff, slot.constraints_diff) for slot in diff.slots]
