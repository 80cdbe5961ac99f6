"""Both clients do a user's whole job against a real server."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import yaml
from pecia_client import (
    AsyncClient,
    Client,
    PeciaError,
    audit_filter,
    bundle_definition,
    inline_bundle,
    render_request,
    template_definition,
)
from pecia_client.messages import BundleDefinition, ReplayVerdict, TemplateDefinition
from support.checkout import ROOT
from support.server import live_server

EXAMPLE = ROOT / "docs" / "examples" / "companion"
PAYLOAD: dict[str, object] = json.loads(
    (EXAMPLE / "payloads" / "nested-traits.json").read_text(encoding="utf-8")
)
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
MATCH = ReplayVerdict.REPLAY_VERDICT_MATCH


def example_templates() -> list[TemplateDefinition]:
    """Read the example's templates with nothing but the client's builders."""
    found = []
    for path in sorted(EXAMPLE.glob("templates/*/*.md")):
        _, front, content = path.read_text(encoding="utf-8").split("---\n", 2)
        found.append(template_definition(path.parent.name, path.stem, content, **yaml.safe_load(front)))
    return found


def example_bundles() -> list[BundleDefinition]:
    """Read the example's bundles with nothing but the client's builders."""
    return [
        bundle_definition(path.parent.parent.name, path.parent.name, **yaml.safe_load(path.read_bytes()))
        for path in sorted(EXAMPLE.glob("bundles/*/*/bundle.yaml"))
    ]


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[str]:
    """Give a server on an empty SQLite file."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        yield server.target


async def publish(target: str) -> None:
    """Publish the example."""
    async with AsyncClient(target) as client:
        for template in example_templates():
            await client.publish_template(template)
        for bundle in example_bundles():
            await client.publish_bundle(bundle)


async def replayed(client: AsyncClient, render_id: str) -> ReplayVerdict:
    """Replay a record that may still be on its way."""
    while True:
        try:
            return (await client.replay(render_id=render_id)).verdict
        except PeciaError as error:
            if error.reason != "AUDIT_RECORD_PENDING":
                raise


async def test_the_async_client_publishes_renders_and_replays(target: str) -> None:
    """A prompt has its hash, and a replay by record and by receipt matches."""
    await publish(target)
    async with AsyncClient(target) as client:
        await client.set_label("companion", "production", "1.2.0")
        response = await client.render("companion@production", payload=PAYLOAD, model_type="gpt-4o")
        assert hashlib.sha256(response.prompt.encode()).hexdigest() == response.receipt.prompt_hash
        assert await replayed(client, response.receipt.render_id) == MATCH
        claim = await client.replay(receipt=response.receipt, payload=PAYLOAD)
        assert claim.verdict == MATCH


async def test_the_sync_client_publishes_renders_and_replays(target: str) -> None:
    """The blocking client gives the same prompt as an inline render of the same pieces."""

    def job() -> tuple[str, str, ReplayVerdict]:
        with Client(target) as client:
            created = [client.publish_template(each).created for each in example_templates()]
            assert created == [True] * len(created)
            for bundle in example_bundles():
                client.publish_bundle(bundle)
            published = client.render("companion@1.2.0", payload=PAYLOAD)
            (bundle,) = (each for each in example_bundles() if each.semver == "1.2.0")
            used = {
                (ref.template_id, ref.semver)
                for ref in (
                    bundle.slots.system,
                    bundle.slots.personality,
                    bundle.slots.activity,
                    bundle.slots.task,
                )
            }
            pieces = [each for each in example_templates() if (each.template_id, each.semver) in used]
            inline = client.render(payload=PAYLOAD, inline_bundle=inline_bundle(bundle, pieces))
            claim = client.replay(receipt=published.receipt, payload=PAYLOAD)
            return published.receipt.prompt_hash, inline.receipt.prompt_hash, claim.verdict

    published, inline, verdict = await asyncio.to_thread(job)
    assert (published, MATCH) == (inline, verdict)


async def test_lists_follow_the_servers_pages(target: str) -> None:
    """With pages of two, all versions come, in the server's order."""
    await publish(target)
    async with AsyncClient(target) as client:
        bundles = [bundle.definition async for bundle in client.list_bundles(page_size=2)]
        templates = [template async for template in client.list_templates(page_size=5)]
    names = [f"{bundle.bundle_id}@{bundle.semver}" for bundle in bundles]
    companions = [f"companion@1.{minor}.0" for minor in (2, 1, 0)]
    expected = [*companions, "companion-brief@1.0.0", "companion-coach@1.0.0"]
    assert (expected, len(example_templates())) == (names, len(templates))


async def test_labels_move_back_and_keep_their_history(target: str) -> None:
    """Set, set, roll back, delete: four events, newest first."""
    await publish(target)
    async with AsyncClient(target) as client:
        await client.set_label("companion", "production", "1.0.0", etag="")
        label = await client.set_label("companion", "production", "1.1.0")
        back = await client.roll_back_label("companion", "production", label.etag)
        await client.delete_label("companion", "production", etag=back.etag)
        events = [event.to_semver async for event in client.list_label_events("companion")]
        left = [label async for label in client.list_labels()]
    assert (["", "1.0.0", "1.1.0", "1.0.0"], []) == (events, left)


async def test_a_stale_etag_is_told_with_its_reason(target: str) -> None:
    """The error says what moved."""
    await publish(target)
    async with AsyncClient(target) as client:
        await client.set_label("companion", "production", "1.0.0")
        with pytest.raises(PeciaError) as caught:
            await client.set_label("companion", "production", "1.1.0", etag="")
    assert (grpc.StatusCode.ABORTED, "ETAG_MISMATCH") == (caught.value.code, caught.value.reason)
    assert caught.value.metadata == {"bundle_id": "companion", "label": "production"}


async def test_a_missing_payload_field_is_named(target: str) -> None:
    """What the mapping leaves out is the server's to refuse."""
    await publish(target)
    async with AsyncClient(target) as client:
        with pytest.raises(PeciaError) as caught:
            await client.render("companion@1.2.0", payload={"semantic_traits": {"mood": "calm"}, "task": "x"})
    fields = [field for field, _ in caught.value.violations]
    assert ("PAYLOAD_INVALID", ["payload.activity_level", "payload.stress"]) == (caught.value.reason, fields)


async def test_an_outcome_of_a_batch_carries_its_own_error(target: str) -> None:
    """One bad request does not fail the other."""
    await publish(target)
    requests = [render_request(name, payload=PAYLOAD) for name in ("companion@1.2.0", "companion@9.0.0")]
    async with AsyncClient(target) as client:
        good, bad = await client.render_batch(requests)
    assert good.response.receipt.semver == "1.2.0"
    assert PeciaError.from_render_error(bad.error).reason == "BUNDLE_NOT_FOUND"


async def test_the_audit_is_verified_redacted_and_pruned(target: str) -> None:
    """The streams of VerifyAudit and PruneAuditRecords end with their totals."""
    await publish(target)
    async with AsyncClient(target) as client:
        requests = ((str(index), render_request("companion@1.2.0", payload=PAYLOAD)) for index in range(5))
        ids = [item.outcome.response.receipt.render_id async for item in client.render_stream(requests)]
        assert [await replayed(client, each) for each in ids] == [MATCH] * 5
        redacted = await client.redact_audit_record(ids[0])
        selected = audit_filter(bundle_id="companion", semver="1.2.0")
        *_, last = [event async for event in client.verify_audit(selected)]
        listed = [record.receipt.render_id async for record in client.list_audit_records(page_size=2)]
        *_, pruned = [event async for event in client.prune_audit_records(FAR_FUTURE)]
    assert redacted.prompt == ""
    assert (4, 1) == (last.summary.matched, last.summary.unverifiable)
    assert sorted(ids, reverse=True) == listed
    assert (5, True) == (pruned.records, pruned.done)


async def test_an_answer_is_checked(target: str) -> None:
    """The example's two answers pass and fail as its README says."""
    await publish(target)
    passed = []
    async with AsyncClient(target) as client:
        for name in ("calm-evening.txt", "too-eager.txt"):
            answer = (EXAMPLE / "answers" / name).read_text(encoding="utf-8")
            passed.append((await client.check_output(answer, "companion@1.2.0")).passed)
    assert passed == [True, False]


async def test_a_diff_names_the_slots_that_changed(target: str) -> None:
    """Between 1.1.0 and 1.2.0 of the example only the activity stays."""
    await publish(target)
    async with AsyncClient(target) as client:
        diff = await client.diff_bundles("companion@1.1.0", "companion@1.2.0")
    assert [slot.changed for slot in diff.slots] == [True, True, False, True]
