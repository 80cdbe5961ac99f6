"""Replay over a channel: it matches to the byte, and names what was changed behind the service's back."""

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from pecia.v1 import bundle_pb2, constraints_pb2, replay_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia_service.storage.tables import audit_pieces, audit_records, bundles, templates
from sqlalchemy import Column, Table, delete
from support.recorded import flip, record, replay, swap, tamper, verdict, verify
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import bundle, inline_bundle, label_ref, payload, publish, template, version_ref

SYSTEM, TASK = bundle_pb2.SLOT_SYSTEM, bundle_pb2.SLOT_TASK
NOWHERE = bundle_pb2.SLOT_UNSPECIFIED
OF_TASK = {"template_id": "companion-task"}
OTHER_HASH = "0" * 64

Change = tuple[Column[Any], Callable[[str], str], dict[str, str]]

# column, what changes it by a byte, which row; the causes, and the slot of the first
TAMPERINGS: dict[str, tuple[Change, list[str], int]] = {
    "template content": ((templates.c.content, swap("Do", "Du"), OF_TASK), ["TEMPLATE_CONTENT"], TASK),
    "template content hash": (
        (templates.c.content_hash, flip, OF_TASK),
        ["TEMPLATE_CONTENT"],
        TASK,
    ),
    "template constraints": ((templates.c.constraints_json, swap("3", "4"), OF_TASK), ["CONSTRAINTS"], TASK),
    "template role": ((templates.c.role, swap("system", "user"), OF_TASK), ["BUNDLE"], TASK),
    "bundle slot": ((bundles.c.task_id, swap("task", "activity"), {}), ["BUNDLE"], NOWHERE),
    "bundle description": ((bundles.c.description, swap("good", "gold"), {}), ["BUNDLE"], NOWHERE),
    "bundle hash": ((bundles.c.bundle_hash, flip, {}), ["BUNDLE"], NOWHERE),
    "payload": ((audit_records.c.payload, swap("0.25", "0.26"), {}), ["PAYLOAD"], NOWHERE),
    "prompt": ((audit_records.c.prompt, swap("Plan", "Play"), {}), ["RECORD_DAMAGED"], NOWHERE),
    "record's prompt hash": ((audit_records.c.prompt_hash, flip, {}), ["RECORD_DAMAGED"], NOWHERE),
    "record's bundle": ((audit_records.c.semver, swap("1.0.0", "1.0.1"), {}), ["RECORD_DAMAGED"], NOWHERE),
    "record's adapter": ((audit_records.c.adapter_version, swap("1", "2"), {}), ["RECORD_DAMAGED"], NOWHERE),
    "record's templates": (
        (audit_records.c.templates_json, swap("-task", "-tusk"), {}),
        ["RECORD_DAMAGED"],
        NOWHERE,
    ),
    "record's hash": ((audit_records.c.record_hash, flip, {}), ["RECORD_DAMAGED"], NOWHERE),
}


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server with a bundle whose templates have constraints."""
    async with live_server(migrated_database_url) as live:
        fields = {"constraints": constraints_pb2.Constraints(max_paragraphs=3)}
        await publish(live.registry, template_fields=fields, description="good")
        yield live


async def test_a_changed_template_shows_where_the_prompt_would_differ(server: LiveServer) -> None:
    """What is stored now is rendered to show the first difference, and the verdict stands."""
    answer = await record(server)
    await tamper(server, templates.c.content, swap("Do this", "Do thus"), **OF_TASK)
    result = await replay(server, answer.receipt.render_id)
    changed = answer.prompt.replace("Do this", "Do thus")
    difference = result.first_difference
    assert verdict(result) == ("MISMATCH", ["TEMPLATE_CONTENT"])
    assert (difference.slot, difference.byte_offset) == (TASK, answer.prompt.encode().index(b"this") + 2)
    assert difference.recorded_excerpt in answer.prompt
    assert difference.replayed_excerpt in changed
    assert "Do thus" in difference.replayed_excerpt
    assert result.replayed_prompt_hash == hashlib.sha256(changed.encode()).hexdigest()


async def test_a_published_bundle_whose_template_is_gone_is_damaged(server: LiveServer) -> None:
    """Nobody can publish it again under that bundle's nose: it is a loss, not a wrong reference."""
    await remove(server, templates, **OF_TASK)
    failure = await failure_of(
        server.prompts.Render(pb.RenderRequest(bundle=version_ref(), payload=payload()))
    )
    assert (failure.code, failure.reason) == (grpc.StatusCode.DATA_LOSS, "PIECE_DAMAGED")
    expected = {"piece": "template", "part": "row", "id": "companion-task", "semver": "1.0.0"}
    assert failure.metadata == expected


async def replay_claim(server: LiveServer, receipt: Any, **fields: Any) -> replay_pb2.ReplayResult:
    """Replay a receipt with a payload."""
    values = {"receipt": receipt, "payload": payload({"mood": "calm"}), **fields}
    claim = replay_pb2.ReceiptClaim(**values)
    return (await server.prompts.Replay(pb.ReplayRequest(claim=claim))).result


async def remove(server: LiveServer, table: Table, **where: str) -> None:
    """Delete rows behind the service's back."""
    statement = delete(table)
    for name, value in where.items():
        statement = statement.where(table.c[name] == value)
    async with server.application.database.engine.begin() as connection:
        assert (await connection.execute(statement)).rowcount


async def test_a_record_replays(server: LiveServer) -> None:
    """The prompt is the same to the byte, and nothing is found."""
    receipt = (await record(server)).receipt
    assert replay_pb2.ReplayResult(
        render_id=receipt.render_id,
        verdict=replay_pb2.REPLAY_VERDICT_MATCH,
        recorded_prompt_hash=receipt.prompt_hash,
        replayed_prompt_hash=receipt.prompt_hash,
    ) == await replay(server, receipt.render_id)


async def test_a_record_of_a_label_replays_in_its_version(server: LiveServer) -> None:
    """Where the label points now does not matter."""
    await server.registry.PublishBundle(registry_pb.PublishBundleRequest(bundle=bundle(semver="2.0.0")))
    await set_production(server, "1.0.0")
    receipt = (await record(server, bundle=label_ref("production"))).receipt
    await set_production(server, "2.0.0")
    assert ("MATCH", []) == verdict(await replay(server, receipt.render_id))


async def set_production(server: LiveServer, semver: str) -> None:
    """Set the label production."""
    request = registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver=semver)
    await server.registry.SetLabel(request)


async def test_a_record_of_an_inline_render_replays(server: LiveServer) -> None:
    """Its pieces were kept, though a published bundle of the same name has others."""
    pieces = inline_bundle({"task": "Inline: {{task}}"})
    receipt = (await record(server, inline_bundle=pieces)).receipt
    assert ("MATCH", []) == verdict(await replay(server, receipt.render_id))


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_a_changed_byte_is_named(server: LiveServer, what: str) -> None:
    """Replay names what was changed, past every cache, and VerifyAudit finds the same."""
    (column, change, where), causes, slot = TAMPERINGS[what]
    render_id = (await record(server, adapter_version="1")).receipt.render_id
    await tamper(server, column, change, **where)
    result = await replay(server, render_id)
    assert ("MISMATCH", causes) == verdict(result)
    assert slot == result.findings[0].slot
    assert [result] == [event.finding for event in await verify(server) if event.HasField("finding")]


async def test_a_changed_inline_piece_is_named(server: LiveServer) -> None:
    """The pieces that a record keeps are proved like published ones."""
    receipt = (await record(server, inline_bundle=inline_bundle())).receipt
    await tamper(server, audit_pieces.c.content, swap("Do this", "Do thus"), **OF_TASK)
    result = await replay(server, receipt.render_id)
    assert ("MISMATCH", ["TEMPLATE_CONTENT"]) == verdict(result)
    assert (TASK, "companion-task") == (result.findings[0].slot, result.findings[0].template.template_id)


async def test_a_consistently_forged_template_is_named(server: LiveServer) -> None:
    """A template that was replaced together with its hashes differs from the one that was recorded."""
    render_id = (await record(server)).receipt.render_id
    await remove(server, templates, template_id="companion-task")
    forged = template("companion-task", content="Do that: {{task}}")
    forged.constraints.max_paragraphs = 3
    await server.registry.PublishTemplate(registry_pb.PublishTemplateRequest(template=forged))
    result = await replay(server, render_id)
    assert ("MISMATCH", ["TEMPLATE_CONTENT"]) == verdict(result)
    difference = result.first_difference
    assert (TASK, True) == (difference.slot, "Do this" in difference.recorded_excerpt)
    assert "Do that" in difference.replayed_excerpt


async def test_the_first_difference_of_a_changed_prompt_is_shown(server: LiveServer) -> None:
    """It has the slot, the offset in bytes, and both texts around it."""
    answer = await record(server, payload=payload({"mood": "süß"}))
    await tamper(server, audit_records.c.prompt, swap("Plan", "Play"))
    difference = (await replay(server, answer.receipt.render_id)).first_difference
    assert TASK == difference.slot
    assert len(answer.prompt.partition("n the day")[0].encode()) == difference.byte_offset
    assert ("Play the day.", "Plan the day.") == (
        difference.recorded_excerpt[-13:],
        difference.replayed_excerpt[-13:],
    )


@pytest.mark.parametrize(
    ("table", "where"),
    [(bundles, {}), (templates, OF_TASK), (audit_pieces, OF_TASK)],
    ids=str,
)
async def test_a_piece_that_is_gone_is_unverifiable(
    server: LiveServer, table: Table, where: dict[str, str]
) -> None:
    """Without a piece nothing can be proved, and nothing is accused."""
    fields: dict[str, Any] = {"inline_bundle": inline_bundle()} if table is audit_pieces else {}
    render_id = (await record(server, **fields)).receipt.render_id
    await remove(server, table, **where)
    result = await replay(server, render_id)
    assert ("UNVERIFIABLE", ["PIECE_MISSING"]) == verdict(result)
    assert "" == result.replayed_prompt_hash


async def test_a_receipt_replays_with_its_payload(server: LiveServer) -> None:
    """No record is needed, not even one that is kept."""
    async with live_server(server.settings.database_url, audit_sink="null") as silent:
        receipt = (await record(silent)).receipt
        result = await replay_claim(silent, receipt)
    assert (("MATCH", []), receipt.render_id) == (verdict(result), result.render_id)


async def test_a_receipt_of_an_inline_render_replays_with_its_pieces(server: LiveServer) -> None:
    """The pieces come with the claim; other pieces, and the published ones, are another bundle."""
    pieces = inline_bundle({"task": "Inline: {{task}}"})
    receipt = (await record(server, inline_bundle=pieces)).receipt
    assert ("MATCH", []) == verdict(await replay_claim(server, receipt, inline_bundle=pieces))
    for other in ({"inline_bundle": inline_bundle()}, {}):
        assert ("MISMATCH", ["BUNDLE"]) == verdict(await replay_claim(server, receipt, **other))


@pytest.mark.parametrize(
    ("changed", "verdict_and_causes"),
    [
        ({"prompt_hash": OTHER_HASH}, ("MISMATCH", ["RENDERER"])),
        ({"bundle_hash": OTHER_HASH}, ("MISMATCH", ["BUNDLE"])),
        ({"payload_hash": OTHER_HASH}, ("MISMATCH", ["PAYLOAD"])),
        ({"semver": "9.0.0"}, ("UNVERIFIABLE", ["PIECE_MISSING"])),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_false_claim_is_told(
    server: LiveServer, changed: dict[str, str], verdict_and_causes: tuple[str, list[str]]
) -> None:
    """Each hash of a receipt is compared, and what does not hold is named."""
    receipt = (await record(server)).receipt
    for name, value in changed.items():
        setattr(receipt, name, value)
    assert verdict_and_causes == verdict(await replay_claim(server, receipt))


async def test_another_renderer_version_is_flagged(server: LiveServer) -> None:
    """A receipt of another version that replays all the same is a match with a flag."""
    receipt = (await record(server)).receipt
    receipt.renderer_version = "0"
    result = await replay_claim(server, receipt)
    assert (("MATCH", []), True) == (verdict(result), result.renderer_version_differs)


async def test_another_payload_is_named(server: LiveServer) -> None:
    """A claim whose payload is not the one that was rendered."""
    receipt = (await record(server, bundle=version_ref())).receipt
    result = await replay_claim(server, receipt, payload=payload({"mood": "glad"}))
    assert ("MISMATCH", ["PAYLOAD"]) == verdict(result)
    assert receipt.prompt_hash == result.recorded_prompt_hash != result.replayed_prompt_hash
