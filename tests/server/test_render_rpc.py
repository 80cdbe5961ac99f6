"""Render over a channel: one prompt whatever the source, honest receipts, and values that stay values."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import pytest
from pecia.v1 import constraints_pb2, template_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia_service.ids import uuid7_time_ms
from pecia_service.rendering.renderer import RENDERER_VERSION
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import SLOTS, inline_bundle, label_ref, payload, publish, version_ref

TRAITS = {"mood": "calm", "nested": {"é": [1, 2.5, None, {"deep": True}]}}
PLAIN = {slot: slot for slot in SLOTS}


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server on an empty registry."""
    async with live_server(migrated_database_url) as live:
        yield live


async def render(server: LiveServer, **fields: Any) -> pb.RenderResponse:
    """Render; the payload is an ordinary one unless given."""
    return await server.prompts.Render(pb.RenderRequest(**{"payload": payload(TRAITS), **fields}))


async def render_inline(server: LiveServer, contents: Mapping[str, str], **fields: Any) -> list[str]:
    """Render templates of these contents, and return the parts' texts; a slot not given has its own name."""
    bundle = inline_bundle({**PLAIN, **contents})
    return [part.text for part in (await render(server, inline_bundle=bundle, **fields)).parts]


async def records(server: LiveServer) -> list[str]:
    """List the ids of all renders that were recorded."""
    assert await server.application.sink.flush(10)
    answer = await server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest())
    return [record.receipt.render_id for record in answer.records]


async def test_version_label_and_inline_render_the_same(server: LiveServer) -> None:
    """The same content and identity give the same prompt, parts and hashes, cold and warm."""
    await publish(server.registry)
    await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0")
    )
    answers = [
        await render(server, **source)
        for source in (
            {"bundle": version_ref()},
            {"bundle": version_ref()},
            {"bundle": label_ref("production")},
            {"inline_bundle": inline_bundle()},
        )
    ]
    ids = {answer.receipt.render_id for answer in answers}
    for answer in answers:
        answer.receipt.ClearField("render_id")
        answer.receipt.ClearField("created_at")
    assert [answers[0]] * 4 == answers
    assert 4 == len(ids)


async def test_a_prompt_is_its_parts_joined(server: LiveServer) -> None:
    """Four parts in assembly order, two line feeds between them, and the hash that sha256sum gives."""
    await publish(server.registry, {"activity": "{{task}}"})
    answer = await render(server, bundle=version_ref(), payload=payload(task=""))
    assert ["You are Juna. {}", "Mood: even.", "", "Do this: "] == [part.text for part in answer.parts]
    assert [1, 2, 3, 4] == [part.slot for part in answer.parts]
    assert "\n\n".join(part.text for part in answer.parts) == answer.prompt
    assert hashlib.sha256(answer.prompt.encode()).hexdigest() == answer.receipt.prompt_hash


async def test_a_receipt_says_what_was_rendered(server: LiveServer) -> None:
    """It names the exact version, the renderer, the payload's documented hash, and the time of its id."""
    await publish(server.registry)
    documented = payload(
        {"openness": 0.8, "mood": "calm"}, activity_level=1.0, stress=0.25, task="Plan the day."
    )
    receipt = (
        await render(server, bundle=version_ref(), payload=documented, adapter_version="a\r\u0065\u0301")
    ).receipt
    got = await server.registry.GetBundle(registry_pb.GetBundleRequest(bundle=version_ref()))
    assert "f8ed78ee685f58f1777ef5e12ab8c49a89d2b41f3106b995da5c9e24ebd08cc6" == receipt.payload_hash
    assert got.bundle.bundle_hash == receipt.bundle_hash
    assert ("companion", "1.0.0") == (receipt.bundle_id, receipt.semver)
    assert (RENDERER_VERSION, "a\n\u00e9") == (receipt.renderer_version, receipt.adapter_version)
    made_at = uuid7_time_ms(receipt.render_id)
    assert made_at is not None
    assert abs(receipt.created_at.ToMilliseconds() - made_at) <= 1000
    assert [receipt.render_id] == await records(server)


async def test_each_part_has_its_template_role(server: LiveServer) -> None:
    """Roles come from the templates, not from the slots."""
    roles = [
        template_pb2.ROLE_SYSTEM,
        template_pb2.ROLE_DEVELOPER,
        template_pb2.ROLE_USER,
        template_pb2.ROLE_USER,
    ]
    bundle = inline_bundle()
    for definition, role in zip(bundle.templates, roles, strict=True):
        definition.role = role
    assert roles == [part.role for part in (await render(server, inline_bundle=bundle)).parts]


@pytest.mark.parametrize("source", [{"bundle": version_ref()}, {"inline_bundle": inline_bundle()}])
async def test_validate_only_records_nothing(server: LiveServer, source: dict[str, Any]) -> None:
    """The prompt is answered, and there is no render id and no record."""
    await publish(server.registry)
    answer = await render(server, **source, validate_only=True)
    assert (True, "") == ("Mood: calm." in answer.prompt, answer.receipt.render_id)
    assert [] == await records(server)


async def test_a_failed_render_records_nothing(server: LiveServer) -> None:
    """An error leaves no audit record."""
    failure = await failure_of(render_inline(server, {"task": "{{semantic_traits.missing}}"}))
    assert "PLACEHOLDER_UNRESOLVED" == failure.reason
    assert [] == await records(server)


async def test_a_model_type_is_a_tag(server: LiveServer) -> None:
    """A type among the tags, normalised like them, renders; another one, or any without tags, does not."""
    await publish(server.registry, tags=["gpt-4o", "caf\u00e9"])
    for model in ("", "gpt-4o", " cafe\u0301 "):
        assert "1.0.0" == (await render(server, bundle=version_ref(), model_type=model)).receipt.semver
    refused = [
        await failure_of(render(server, bundle=version_ref(), model_type="GPT-4o")),
        await failure_of(render(server, inline_bundle=inline_bundle(), model_type="gpt-4o")),
    ]
    expected = (grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_UNSUPPORTED_MODEL")
    assert [expected] * 2 == [(failure.code, failure.reason) for failure in refused]


@pytest.mark.parametrize(
    "text", ["{{stress}}", "{{task}}", "\\{{stress}}", "{{constraints}}", "{{", "}}", "{{json:task}}", "\\\\"]
)
async def test_values_are_inert(server: LiveServer, text: str) -> None:
    """A task, a trait and a trait's key that look like placeholders are inserted as they are."""
    parts = await render_inline(
        server,
        {
            "system": "{{semantic_traits.value}}",
            "personality": "{{semantic_traits.object}}",
            "task": "{{task}}|{{semantic_traits.value}}",
        },
        payload=payload({"value": text, "object": {text: text}}, task=text),
    )
    quoted = text.replace("\\", "\\\\")
    assert [text, f'{{"{quoted}":"{quoted}"}}', "activity", f"{text}|{text}"] == parts


async def test_a_value_is_not_joined_to_a_placeholder_by_its_template(server: LiveServer) -> None:
    """Braces of a template and of a value never make a placeholder together."""
    parts = await render_inline(
        server,
        {"system": "{{task}}{stress}}", "task": "{{task}}{{task}}stress}}"},
        payload=payload(task="{"),
    )
    assert ["{{stress}}", "personality", "activity", "{{stress}}"] == parts


async def test_json_in_templates_survives(server: LiveServer) -> None:
    """Lone braces mean nothing, and json: makes text a JSON string."""
    content = '{"task": {{json:task}}, "n": {"traits": {{semantic_traits}}, "empty": {}}}'
    parts = await render_inline(
        server, {"task": content}, payload=payload({"b": 1, "a": '"'}, task='say "hi"\n')
    )
    assert '{"task": "say \\"hi\\"\\n", "n": {"traits": {"a":"\\"","b":1}, "empty": {}}}' == parts[3]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\\{{stress}}", "{{stress}}"),
        ("\\\\{{stress}}", "\\0.25"),
        ("\\\\\\{{stress}}", "\\{{stress}}"),
        ("\\n {{ stress }}", "\\n 0.25"),
        ("{ {stress} }", "{ {stress} }"),
    ],
)
async def test_backslashes_escape_placeholders(server: LiveServer, content: str, text: str) -> None:
    """Of the backslashes before braces each pair becomes one, and an odd one makes the braces literal."""
    assert text == (await render_inline(server, {"task": content}))[3]


async def test_numbers_and_null_are_canonical(server: LiveServer) -> None:
    """Numbers are written as RFC 8785 writes them; null is present and beats a default."""
    content = '{{activity_level}} {{stress}} {{semantic_traits.n}} {{semantic_traits.nil|"default"}}'
    given = payload({"n": [1e21, 1e-7, -0.0, 100], "nil": None}, activity_level=1.0, stress=-0.0)
    assert "1 0 [1e+21,1e-7,0,100] null" == (await render_inline(server, {"task": content}, payload=given))[3]


async def test_constraints_are_stated_where_they_are_asked_for(server: LiveServer) -> None:
    """The placeholder gives the effective constraints of the bundle; nothing else does."""
    bundle = inline_bundle({**PLAIN, "task": "{{constraints}}"})
    bundle.templates[0].constraints.CopyFrom(constraints_pb2.Constraints(max_paragraphs=3))
    bundle.templates[1].constraints.CopyFrom(constraints_pb2.Constraints(max_paragraphs=2, no_emoji=True))
    parts = (await render(server, inline_bundle=bundle)).parts
    assert ["system", "personality", "activity", '{"MAX_PARAGRAPHS":2,"NO_EMOJI":true}'] == [
        part.text for part in parts
    ]


async def test_spellings_of_one_text_are_one_payload(server: LiveServer) -> None:
    """Line ends, composition and a byte-order mark make no other prompt and no other hash."""
    spellings = [payload({"\u00e9": "a\nb"}, task="x\ny"), payload({"e\u0301": "a\r\nb"}, task="\ufeffx\ry")]
    answers = [
        await render(
            server, inline_bundle=inline_bundle({"task": "{{task}} {{semantic_traits}}"}), payload=given
        )
        for given in spellings
    ]
    assert 1 == len({(answer.prompt, answer.receipt.payload_hash) for answer in answers})
