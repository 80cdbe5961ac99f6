"""The registry's rows, changed behind the service's back: lists go on, and no change is a server fault."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import grpc
import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as prompt_pb
from pecia.v1 import registry_service_pb2 as pb
from pecia.v1 import template_pb2
from support.damage import REGISTRY, Vandal
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import bundle, label_ref, payload, publish, template, version_ref

Call: TypeAlias = Callable[[], Awaitable[Any]]

REQUEST_ID = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"

# The row of each table that the requests below read.
ROWS = {
    "templates": "template_id = 'companion-task' AND semver = '1.0.0'",
    "bundles": "semver = '2.0.0'",
    "labels": "label = 'production'",
    "label_events": "label = 'production' AND revision = 2",
    "label_requests": "true",
}
COLUMNS = [(table.name, column.name) for table in REGISTRY for column in table.columns]
# What lists are ordered by.
KEYS = [
    *((table, column) for table in ("templates", "bundles") for column in ("precedence", "semver")),
    ("templates", "template_id"),
    ("bundles", "bundle_id"),
    ("labels", "bundle_id"),
    ("labels", "label"),
    ("label_events", "label"),
    ("label_events", "revision"),
]
VALUES = {
    "nothing": "''",
    "other text": "'zz'",
    "text that is no name": "'\u00e9\"'",
    "bytes that are no text": "CAST(x'41ff00' AS TEXT)",
    "a blob": "x'ff00'",
    "a negative number": "-1",
    "a fraction": "1.5",
    "the greatest number": "9223372036854775807",
    "long text": "hex(zeroblob(5000))",
}
# One of each kind, for what depends on the kind alone.
KINDS = (
    "other text",
    "bytes that are no text",
    "a blob",
    "a negative number",
    "a fraction",
    "the greatest number",
)
REASONED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.DATA_LOSS,
}


LISTS: dict[str, tuple[Any, dict[str, str]]] = {
    "ListTemplates": (pb.ListTemplatesRequest, {}),
    "ListBundles": (pb.ListBundlesRequest, {}),
    "ListLabels": (pb.ListLabelsRequest, {}),
    "ListLabelEvents": (pb.ListLabelEventsRequest, {"bundle_id": "companion"}),
}


@pytest.fixture
async def server(tmp_path: object) -> AsyncIterator[LiveServer]:
    """Serve versions of a bundle and of a template, and labels that were moved; remember no pieces."""
    async with live_server(f"sqlite:///{tmp_path}/pecia.db", log_level="error", cache_bytes="0") as live:
        await publish(live.registry, semvers=("1.0.0", "2.0.0", "3.0.0"), tags=["chat"])
        for semver in ("1.1.0", "1.2.0"):
            definition = template("companion-task", semver)
            await live.registry.PublishTemplate(pb.PublishTemplateRequest(template=definition))
        for label, semver in (("production", "1.0.0"), ("staging", "1.0.0"), ("production", "3.0.0")):
            await live.registry.SetLabel(set_request(semver, label=label))
        await live.registry.SetLabel(set_request("2.0.0", request_id=REQUEST_ID))
        yield live


@pytest.fixture
async def vandal(server: LiveServer) -> Vandal:
    """Give who changes the server's rows."""
    vandal = Vandal(server.application.database.engine)
    await vandal.remember()
    return vandal


def set_request(semver: str, label: str = "production", **fields: Any) -> pb.SetLabelRequest:
    """Make the request that sets a label of the bundle."""
    return pb.SetLabelRequest(bundle_id="companion", label=label, semver=semver, **fields)


def get_template(server: LiveServer) -> Awaitable[pb.GetTemplateResponse]:
    """Read the template whose row is changed."""
    ref = template_pb2.TemplateRef(template_id="companion-task", semver="1.0.0")
    return server.registry.GetTemplate(pb.GetTemplateRequest(template=ref))


def get_bundle(server: LiveServer) -> Awaitable[pb.GetBundleResponse]:
    """Read the bundle whose row is changed."""
    return server.registry.GetBundle(pb.GetBundleRequest(bundle=version_ref("2.0.0")))


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    """Return how a call ended."""
    try:
        await call
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def read_pieces(server: LiveServer) -> dict[str, Call]:
    """Ask for all that reads the changed template or bundle."""
    registry, prompts = server.registry, server.prompts
    definition = template("companion-task", content="Do this: {{task}}")
    stored = bundle("companion", "2.0.0", tags=["chat"])
    versions = {"before": version_ref(), "after": version_ref("2.0.0")}
    return {
        "GetTemplate": lambda: get_template(server),
        "GetBundle": lambda: get_bundle(server),
        "DiffBundles": lambda: registry.DiffBundles(pb.DiffBundlesRequest(**versions)),
        "Render": lambda: prompts.Render(
            prompt_pb.RenderRequest(bundle=version_ref("2.0.0"), payload=payload({"mood": "calm"}))
        ),
        "PublishTemplate": lambda: registry.PublishTemplate(pb.PublishTemplateRequest(template=definition)),
        "PublishBundle": lambda: registry.PublishBundle(pb.PublishBundleRequest(bundle=stored)),
    }


async def move_labels(server: LiveServer) -> dict[str, Call]:
    """Ask for all that moves the changed label."""
    registry = server.registry
    listed = (await registry.ListLabels(pb.ListLabelsRequest())).labels
    etag = next((item.etag for item in listed if item.label == "production"), "") or "unknown"
    name = {"bundle_id": "companion", "label": "production"}
    return {
        "SetLabel again": lambda: registry.SetLabel(set_request("2.0.0", request_id=REQUEST_ID)),
        "RollBackLabel": lambda: registry.RollBackLabel(pb.RollBackLabelRequest(etag=etag, **name)),
        "SetLabel": lambda: registry.SetLabel(set_request("1.0.0")),
        "DeleteLabel": lambda: registry.DeleteLabel(pb.DeleteLabelRequest(**name)),
        "SetLabel anew": lambda: registry.SetLabel(set_request("3.0.0")),
    }


async def codes(server: LiveServer, table: str) -> dict[str, grpc.StatusCode]:
    """Return how each request ends that reads or writes the changed row of a table."""
    ref = label_ref("production")
    calls: dict[str, Call] = {
        "GetBundle by label": lambda: server.registry.GetBundle(pb.GetBundleRequest(bundle=ref)),
        "Render by label": lambda: server.prompts.Render(
            prompt_pb.RenderRequest(bundle=ref, payload=payload({"mood": "calm"}))
        ),
        **{
            name: partial(getattr(server.registry, name), make(page_size=1, **fields))
            for name, (make, fields) in LISTS.items()
        },
    }
    found = {call: await code_of(answer()) for call, answer in calls.items()}
    calls = read_pieces(server) if table in ("templates", "bundles") else await move_labels(server)
    return found | {call: await code_of(answer()) for call, answer in calls.items()}


async def read_list(server: LiveServer, method: str, page_size: int) -> list[bytes]:
    """Read a list to its end, which must come, and return its items as bytes."""
    make, fields = LISTS[method]
    items: list[bytes] = []
    token = ""
    for _ in range(20):
        page = await getattr(server.registry, method)(make(page_size=page_size, page_token=token, **fields))
        [(_, found)] = [each for each in page.ListFields() if each[0].name != "next_page_token"]
        items += [item.SerializeToString(deterministic=True) for item in found]
        token = page.next_page_token
        if not token:
            return items
    raise AssertionError(f"{method} does not end")


@pytest.mark.parametrize(("table", "column"), COLUMNS)
async def test_no_changed_column_is_a_fault_of_the_server(
    server: LiveServer, vandal: Vandal, table: str, column: str
) -> None:
    """Whatever a column holds, each request is answered, or refused with its reason."""
    unreasoned = {}
    for name in KINDS:
        value = VALUES[name]
        await vandal.change(table, ROWS[table], **{column: value})
        for call, code in (await codes(server, table)).items():
            if code not in REASONED:
                unreasoned[name, call] = code
        await vandal.restore()

    assert {} == unreasoned


@pytest.mark.parametrize(("table", "column"), KEYS)
async def test_a_page_at_a_time_tells_what_one_page_does(
    server: LiveServer, vandal: Vandal, table: str, column: str
) -> None:
    """Lists go on behind a row whatever its key is, and tell each row once."""
    whole, paged = {}, {}
    for name, value in VALUES.items():
        await vandal.change(table, ROWS[table], **{column: value})
        for method in LISTS:
            whole[name, method] = await read_list(server, method, 200)
            paged[name, method] = await read_list(server, method, 1)
        await vandal.restore()

    assert whole == paged


async def test_lists_tell_the_rows_whose_keys_are_no_names(server: LiveServer, vandal: Vandal) -> None:
    """Bytes that are no text show as question marks; nothing is left out, whatever the page's size."""
    await vandal.change("templates", "semver = '1.1.0'", semver="CAST(x'31ff' AS TEXT)", precedence="x'ff'")
    await vandal.change("templates", "semver = '1.2.0'", semver="x'32ff'", precedence="x'fe'")

    pages = [await read_list(server, "ListTemplates", size) for size in (1, 2, 3, 4, 200)]

    versions = [template_pb2.Template.FromString(item).definition.semver for item in pages[0]]
    assert (["1.0.0", "1.0.0", "1.0.0", "1?", "2?", "1.0.0"], [pages[0]] * 5) == (versions, pages)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("""'{"NO_EMOJI":true}'""", {"no_emoji": True}),
        ("""'{"MAX_PARAGRAPHS":"many","NO_EMOJI":true}'""", {"no_emoji": True}),
        ("""'{"FORBIDDEN_TOKENS":["a",1],"MAX_PARAGRAPHS":2}'""", {"max_paragraphs": 2}),
        ("""'{"NO_EMOJI":true'""", {}),
        ("""'["NO_EMOJI"]'""", {}),
        ("'" + '{"a":' * 900 + "1" + "}" * 900 + "'", {}),
        ("""'{"a":"\\ud800"}'""", {}),
        ("CAST(x'7b2261223a22ff227d' AS TEXT)", {}),
        ("x'ff'", {}),
    ],
)
async def test_lists_tell_what_can_be_read_of_changed_constraints(
    server: LiveServer, vandal: Vandal, stored: str, shown: dict[str, Any]
) -> None:
    """The rest is left empty, with the hash that is stored; reading the template says that it is damaged."""
    before = (await server.registry.ListTemplates(pb.ListTemplatesRequest())).templates
    await vandal.change("templates", ROWS["templates"], constraints_json=stored)

    after = (await server.registry.ListTemplates(pb.ListTemplatesRequest())).templates
    failure = await failure_of(get_template(server))

    for item in before:
        if (item.definition.template_id, item.definition.semver) == ("companion-task", "1.0.0"):
            for name, value in shown.items():
                setattr(item.definition.constraints, name, value)
    assert list(before) == list(after)
    assert (grpc.StatusCode.DATA_LOSS, "constraints") == (failure.code, failure.metadata["part"])


async def test_lists_tell_changed_bundles(server: LiveServer, vandal: Vandal) -> None:
    """What is stored now, without tags that can't be read; reading the bundle says that it is damaged."""
    before = (await server.registry.ListBundles(pb.ListBundlesRequest())).bundles
    await vandal.change("bundles", ROWS["bundles"], description="'Another.'", tags_json="'[1]'")

    after = (await server.registry.ListBundles(pb.ListBundlesRequest())).bundles
    failure = await failure_of(get_bundle(server))

    before[1].definition.description = "Another."
    del before[1].definition.tags[:]
    assert list(before) == list(after)
    assert (grpc.StatusCode.DATA_LOSS, "definition") == (failure.code, failure.metadata["part"])


async def test_a_changed_time_of_publication_is_read_as_none(server: LiveServer, vandal: Vandal) -> None:
    """It is in no hash: the piece is sound, and was published at no known time."""
    await vandal.change("templates", ROWS["templates"], published_at="'abc'")
    await vandal.change("bundles", ROWS["bundles"], published_at="'abc'")

    times = [
        (await get_template(server)).template.published_at,
        (await get_bundle(server)).bundle.published_at,
    ]
    assert [0, 0] == [time.ToNanoseconds() for time in times]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("labels", "revision", "'abc'"),
        ("labels", "revision", "1"),
        ("labels", "semver", "x'ff'"),
        ("labels", "entry_revision", "99"),
        ("label_events", "previous_entry", "'abc'"),
    ],
)
async def test_a_label_with_changed_rows_can_not_be_rolled_back(
    server: LiveServer, vandal: Vandal, table: str, column: str, value: str
) -> None:
    """Where it would go is not known: the error names the label."""
    await vandal.change(table, "label = 'production' AND entry_revision = 3", **{column: value})
    label = (await server.registry.ListLabels(pb.ListLabelsRequest())).labels[0]

    failure = await failure_of(
        server.registry.RollBackLabel(
            pb.RollBackLabelRequest(bundle_id="companion", label="production", etag=label.etag or "none")
        )
    )
    assert (
        grpc.StatusCode.DATA_LOSS,
        {"piece": "label", "part": "history", "id": "companion", "label": "production"},
    ) == (failure.code, failure.metadata)
