"""Erasing templates over a channel: what fails from then on, in every process, and what is left nowhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest
from pecia.v1 import admin_service_pb2 as admin_pb
from pecia.v1 import bundle_pb2, constraints_pb2, replay_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia_service.storage.tables import audit_records, metadata, templates
from sqlalchemy import select, update
from structlog.testing import capture_logs
from support.recorded import flush, record, replay, verdict, verify
from support.server import LiveServer, live_server
from support.statuses import Failure, failure_of
from support.wire import bundle, inline_bundle, label_ref, payload, publish, template, version_ref

SECRET = "mauve-elephant"
"""Stands in the content, the constraints and the description of the template that is erased."""

ERASED = {"template_id": "companion-task", "semver": "1.0.0"}
CONTENT = f"Do this for {SECRET}: {{{{task}}}}"
EVENT_TIMEOUT = 30.0


def secret_template() -> registry_pb.PublishTemplateRequest:
    """Make the request that publishes the template."""
    return registry_pb.PublishTemplateRequest(
        template=template(
            "companion-task",
            content=CONTENT,
            description=f"About {SECRET}.",
            constraints=constraints_pb2.Constraints(forbidden_tokens=[f"{SECRET}s"]),
        )
    )


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server with two bundles, of which one names the secret, by version and by label."""
    async with live_server(migrated_database_url) as live:
        await live.registry.PublishTemplate(secret_template())
        await publish_beside(live)
        yield live


async def publish_beside(live: LiveServer) -> None:
    """Publish what is needed beside the secret template: the bundle, another one, and a label."""
    for slot in ("system", "personality", "activity"):
        await live.registry.PublishTemplate(
            registry_pb.PublishTemplateRequest(template=template(f"companion-{slot}", content=f"The {slot}."))
        )
    await live.registry.PublishBundle(registry_pb.PublishBundleRequest(bundle=bundle()))
    await publish(live.registry, bundle_id="other")
    await live.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0")
    )


def erase(server: LiveServer, **fields: Any) -> Awaitable[admin_pb.EraseTemplateResponse]:
    """Erase the template."""
    values = {"template": ERASED, "reason": "It names a customer.", **fields}
    return server.admin.EraseTemplate(admin_pb.EraseTemplateRequest(**values))


def render(server: LiveServer, **fields: Any) -> Awaitable[pb.RenderResponse]:
    """Render the bundle that names the template."""
    request = {"bundle": version_ref(), "payload": payload(), **fields}
    return server.prompts.Render(pb.RenderRequest(**request))


def check(server: LiveServer, ref: bundle_pb2.BundleRef | None = None) -> Awaitable[pb.CheckOutputResponse]:
    """Check an output against the bundle that names the template."""
    return server.prompts.CheckOutput(pb.CheckOutputRequest(bundle=ref or version_ref(), output="Fine."))


def get_template(server: LiveServer) -> Awaitable[registry_pb.GetTemplateResponse]:
    """Read the template."""
    return server.registry.GetTemplate(registry_pb.GetTemplateRequest(template=ERASED))


def get_bundle(server: LiveServer, ref: bundle_pb2.BundleRef) -> Awaitable[registry_pb.GetBundleResponse]:
    """Read a bundle."""
    return server.registry.GetBundle(registry_pb.GetBundleRequest(bundle=ref))


def diff(
    server: LiveServer, before: bundle_pb2.BundleRef, after: bundle_pb2.BundleRef
) -> Awaitable[registry_pb.DiffBundlesResponse]:
    """Compare two bundles."""
    return server.registry.DiffBundles(registry_pb.DiffBundlesRequest(before=before, after=after))


OTHER = version_ref(bundle_id="other")
NEEDS_TEXT: dict[str, Callable[[LiveServer], Awaitable[object]]] = {
    "Render": render,
    "Render by label": lambda server: render(server, bundle=label_ref("production")),
    "Render, only validating": lambda server: render(server, validate_only=True),
    "CheckOutput": check,
    "CheckOutput by label": lambda server: check(server, label_ref("production")),
    "GetBundle": lambda server: get_bundle(server, version_ref()),
    "GetBundle by label": lambda server: get_bundle(server, label_ref("production")),
    "DiffBundles, before": lambda server: diff(server, version_ref(), OTHER),
    "DiffBundles, after": lambda server: diff(server, OTHER, version_ref()),
    "PublishBundle, the same": lambda server: server.registry.PublishBundle(
        registry_pb.PublishBundleRequest(bundle=bundle())
    ),
    "PublishBundle, a new one": lambda server: server.registry.PublishBundle(
        registry_pb.PublishBundleRequest(bundle=bundle(semver="2.0.0"))
    ),
    "PublishTemplate, the same": lambda server: server.registry.PublishTemplate(secret_template()),
    "PublishTemplate, another": lambda server: server.registry.PublishTemplate(
        registry_pb.PublishTemplateRequest(template=template("companion-task", content="Else."))
    ),
}


def expect_erased(failure: Failure) -> None:
    """Check that a failure is what the contract says of an erased template."""
    assert (failure.code, failure.reason, failure.metadata) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TEMPLATE_ERASED",
        ERASED,
    )
    assert SECRET not in failure.message


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_whatever_needs_the_text_fails_at_once(server: LiveServer, warm: bool) -> None:
    """Also where it was kept, by the process that answered."""
    if warm:
        for call in NEEDS_TEXT.values():
            with suppress(grpc.aio.AioRpcError):
                await call(server)
    await erase(server)
    for call in NEEDS_TEXT.values():
        expect_erased(await failure_of(call(server)))


async def test_renders_of_a_batch_and_a_stream_say_so(server: LiveServer) -> None:
    """Each render that needs the text has the reason; its neighbours go on."""
    await erase(server)
    requests = [
        pb.RenderRequest(bundle=ref, payload=payload())
        for ref in (version_ref(), OTHER, label_ref("production"))
    ]
    batch = (await server.prompts.RenderBatch(pb.RenderBatchRequest(requests=requests))).outcomes
    messages = [
        pb.RenderStreamRequest(correlation_id=str(index), request=r) for index, r in enumerate(requests)
    ]
    streamed = {
        answer.correlation_id: answer.outcome async for answer in server.prompts.RenderStream(iter(messages))
    }
    for outcomes in (list(batch), [streamed[str(index)] for index in range(3)]):
        assert [outcome.error.reason for outcome in outcomes] == [39, 0, 39]
        assert dict(outcomes[0].error.metadata) == ERASED


async def test_what_does_without_the_text_goes_on(server: LiveServer) -> None:
    """Other bundles, inline pieces of the same names, labels, and lists."""
    await erase(server)
    inline = inline_bundle({"task": "Another: {{task}}"})
    assert (await render(server, bundle=OTHER)).prompt
    answer = await server.prompts.Render(pb.RenderRequest(inline_bundle=inline, payload=payload()))
    assert answer.prompt.endswith("Another: Plan the day.")
    moved = await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="staging", semver="1.0.0")
    )
    assert moved.label.semver == "1.0.0"
    listed = await server.registry.ListBundles(registry_pb.ListBundlesRequest(bundle_id="companion"))
    assert len(listed.bundles) == 1


async def test_get_template_answers_what_is_left(server: LiveServer) -> None:
    """Hashes, length and time of publishing stay; the text is gone, and a time says since when."""
    before = (await get_template(server)).template
    answer = await erase(server)
    expected = type(before)()
    expected.CopyFrom(before)
    expected.definition.content = expected.definition.description = ""
    expected.definition.constraints.Clear()
    expected.erased_at.CopyFrom(answer.erasure.erased_at)
    listed = await server.registry.ListTemplates(
        registry_pb.ListTemplatesRequest(template_id="companion-task")
    )
    assert [(await get_template(server)).template, *listed.templates] == [expected, expected]


async def test_the_answer_is_the_erasure(server: LiveServer) -> None:
    """The hash that the template had, who did it and why; again, it is the first one."""
    definition_hash = (await get_template(server)).template.definition_hash
    first = await erase(server)
    second = await erase(server, reason="Again.", request_id="01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44")
    listed = await server.admin.ListTemplateErasures(admin_pb.ListTemplateErasuresRequest())
    erasure = first.erasure
    assert (erasure.template.template_id, erasure.definition_hash, erasure.erased_by, erasure.reason) == (
        "companion-task",
        definition_hash,
        "anonymous",
        "It names a customer.",
    )
    assert (first.erased, second.erased, second.erasure) == (True, False, erasure)
    assert list(listed.erasures) == [erasure]


async def test_erasures_are_listed_in_pages(server: LiveServer) -> None:
    """By id, and only those of one template if asked."""
    for template_id in ("other-task", "companion-task"):
        await erase(server, template={"template_id": template_id, "semver": "1.0.0"})
    request = admin_pb.ListTemplateErasuresRequest(page_size=1)
    names = []
    while True:
        page = await server.admin.ListTemplateErasures(request)
        names.append([item.template.template_id for item in page.erasures])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    of_one = await server.admin.ListTemplateErasures(
        admin_pb.ListTemplateErasuresRequest(template_id="other-task")
    )
    assert names == [["companion-task"], ["other-task"]]
    assert [item.template.template_id for item in of_one.erasures] == ["other-task"]


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"template": {"template_id": "unknown", "semver": "1.0.0"}}, "NOT_FOUND", "TEMPLATE_NOT_FOUND"),
        ({"template": {"template_id": "a b", "semver": "1.0.0"}}, "INVALID_ARGUMENT", "IDENTIFIER_INVALID"),
        ({"template": {"template_id": "a", "semver": "v1"}}, "INVALID_ARGUMENT", "SEMVER_INVALID"),
        ({"template": None}, "INVALID_ARGUMENT", "IDENTIFIER_INVALID"),
        ({"reason": " "}, "INVALID_ARGUMENT", "FIELD_INVALID"),
        ({"reason": "x" * 1025}, "INVALID_ARGUMENT", "SIZE_EXCEEDED"),
        ({"request_id": "1"}, "INVALID_ARGUMENT", "FIELD_INVALID"),
    ],
    ids=str,
)
async def test_bad_requests_erase_nothing(
    server: LiveServer, fields: dict[str, Any], code: str, reason: str
) -> None:
    """Each with the documented status."""
    failure = await failure_of(erase(server, **fields))
    assert (failure.code, failure.reason) == (grpc.StatusCode[code], reason)
    assert (await get_template(server)).template.definition.content == CONTENT


async def test_replays_can_not_be_verified(server: LiveServer) -> None:
    """The finding names slot and template, in Replay, for a claim, and in VerifyAudit."""
    rendered = await record(server)
    await erase(server)
    result = await replay(server, rendered.receipt.render_id)
    claim = replay_pb2.ReceiptClaim(receipt=rendered.receipt, payload=payload({"mood": "calm"}))
    claimed = (await server.prompts.Replay(pb.ReplayRequest(claim=claim))).result
    events = await verify(server)
    verified = [event.finding for event in events if event.HasField("finding")]
    for found in (result, claimed, *verified):
        assert verdict(found) == ("UNVERIFIABLE", ["TEMPLATE_ERASED"])
        assert found.findings[0].slot == bundle_pb2.SLOT_TASK
        assert found.findings[0].template.template_id == "companion-task"
        assert SECRET not in str(found)
    assert (len(verified), events[-1].summary.unverifiable) == (1, 1)


async def test_a_damaged_record_of_an_erased_template_is_a_mismatch(server: LiveServer) -> None:
    """What was changed is told first."""
    rendered = await record(server)
    await erase(server)
    async with server.application.database.engine.begin() as connection:
        await connection.execute(update(audit_records).values(adapter_version="changed"))
    assert verdict(await replay(server, rendered.receipt.render_id)) == ("MISMATCH", ["RECORD_DAMAGED"])


async def test_a_damaged_template_can_be_erased(server: LiveServer) -> None:
    """Its text goes like any other's, though it can't be rendered."""
    async with server.application.database.engine.begin() as connection:
        await connection.execute(
            update(templates)
            .where(templates.c.template_id == "companion-task")
            .values(content=f"{SECRET} changed", constraints_json=SECRET, role="root")
        )
    assert (await failure_of(render(server))).reason == "PIECE_DAMAGED"
    assert (await erase(server)).erased
    expect_erased(await failure_of(render(server)))
    assert await rows_with(server, SECRET) == {}


async def rows_with(server: LiveServer, text: str) -> dict[str, set[str]]:
    """Name the columns of all tables that hold a text."""
    found: dict[str, set[str]] = {}
    async with server.application.database.engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in (await connection.execute(select(table))).mappings():
                for column, value in row.items():
                    if text in str(value):
                        found.setdefault(table.name, set()).add(str(column))
    return found


async def test_the_text_is_left_in_recorded_prompts_alone(server: LiveServer) -> None:
    """Every column of every table is looked at; redaction takes it out of the records too."""
    rendered = await record(server)
    before = await rows_with(server, SECRET)
    await erase(server)
    after = await rows_with(server, SECRET)
    await server.prompts.RedactAuditRecord(pb.RedactAuditRecordRequest(render_id=rendered.receipt.render_id))
    assert before == {
        "templates": {"content", "constraints_json", "description"},
        "audit_records": {"prompt"},
    }
    assert (after, await rows_with(server, SECRET)) == ({"audit_records": {"prompt"}}, {})


async def test_the_text_is_in_no_log(server: LiveServer) -> None:
    """One line says who erased which template; neither the text nor the reason is in any."""
    with capture_logs() as lines:
        await render(server)
        await erase(server, reason="A telling reason.")
        for call in NEEDS_TEXT.values():
            await failure_of(call(server))
    [line] = [line for line in lines if line["event"] == "template_erased"]
    assert (line["template"], line["erased_by"], line["tenant_id"]) == (
        "companion-task@1.0.0",
        "anonymous",
        "default",
    )
    assert [line for line in lines if SECRET in str(line) or "telling" in str(line)] == []


async def test_nothing_that_holds_the_text_is_kept(server: LiveServer) -> None:
    """Templates, resolved bundles, labels and compiled constraints."""
    ref = label_ref("production")
    for _ in range(2):
        await render(server)
        await render(server, bundle=ref)
        await check(server)
    await erase(server)
    application = server.application
    key = ("default", "companion-task", "1.0.0")
    assert key not in application.caches["templates"]
    assert ("default", "companion", "1.0.0") not in application.caches["resolved"]
    assert application.checkers.statistics().entries == 0


async def test_another_process_forgets_within_its_time(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers from its cache until then; afterwards it has no text, and its renders say why."""
    async with (
        live_server(migrated_database_url) as one,
        live_server(migrated_database_url, erasure_seconds="0.2") as two,
    ):
        await one.registry.PublishTemplate(secret_template())
        await publish_beside(one)
        assert SECRET in (await render(two)).prompt
        await check(two)
        caches = two.application.caches
        forgotten = asyncio.Event()
        checkers = caches["checkers"]
        forget = checkers.forget

        def forget_and_tell(unwanted: Callable[[Any, Any], bool]) -> None:
            forget(unwanted)
            forgotten.set()

        # The last of the caches that are told.
        monkeypatch.setattr(checkers, "forget", forget_and_tell)
        await erase(one)
        async with asyncio.timeout(EVENT_TIMEOUT):
            await forgotten.wait()
        expect_erased(await failure_of(render(two)))
        expect_erased(await failure_of(check(two)))
        assert ("default", "companion-task", "1.0.0") not in caches["templates"]
        assert caches["checkers"].statistics().entries == 0
        assert (await render(two, bundle=OTHER)).prompt


async def test_calls_that_race_with_an_erasure(server: LiveServer) -> None:
    """Each is answered whole or says why not; whoever asks after the erasure is answered gets no text."""
    calls = (render, get_template, NEEDS_TEXT["PublishTemplate, the same"])
    refusal = "the text of template companion-task@1.0.0 was erased by an administrator"

    async def outcome(call: Callable[[LiveServer], Awaitable[object]]) -> str:
        try:
            return "text" if SECRET in str(await call(server)) else "no text"
        except grpc.aio.AioRpcError as error:
            return str(error.details()).partition(";")[0]

    async def ask(rounds: int) -> set[str]:
        return set(await asyncio.gather(*(outcome(call) for _ in range(rounds) for call in calls)))

    before = asyncio.create_task(ask(10))
    erasing = asyncio.ensure_future(erase(server))
    meanwhile = asyncio.create_task(ask(10))
    await erasing
    after = await ask(10)
    assert (await before | await meanwhile) <= {"text", "no text", refusal}
    assert after == {"no text", refusal}
    await flush(server)
    assert set(await rows_with(server, SECRET)) <= {"audit_records"}
