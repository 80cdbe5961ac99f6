"""What is rendered offline is what the server renders, to the byte: golden vectors and generated cases."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from golden.vectors import read
from pecia_client import (
    AsyncClient,
    PeciaError,
    bundle_definition,
    inline_bundle,
    payload_from_mapping,
    template_definition,
)
from pecia_client.messages import (
    BundleDefinition,
    DerivedPayload,
    InlineBundle,
    PromptPart,
    RenderResponse,
    TemplateDefinition,
)
from pecia_client.offline import OfflineRender, render_inline
from pecia_service.rendering.renderer import DEFAULT_MAX_PROMPT_BYTES
from support.cases import generate_cases
from support.offline import AsyncOffline, BlockingOffline, Offline
from support.server import live_server
from support.wire import inline_bundle as any_inline_bundle

RENDERS: Final = read("renders")["renders"]
PAYLOADS: Final = read("payloads")["payloads"]
Told = tuple[object, ...]


def templates_of(given: Mapping[str, Any]) -> list[TemplateDefinition]:
    """Build the templates of a vector or a case."""
    return [
        template_definition(
            each["template_id"],
            each["semver"],
            each["content"],
            role=each["role"],
            constraints={
                key: value for key, value in each.get("constraints", {}).items() if value is not None
            },
            adapter_version=each.get("adapter_version", ""),
            description=each.get("description", ""),
        )
        for each in given["templates"]
    ]


def bundle_of(given: Mapping[str, Any]) -> BundleDefinition:
    """Build the bundle of a vector or a case."""
    bundle = given["bundle"]
    slots = {slot: f"{ref['template_id']}@{ref['semver']}" for slot, ref in bundle["slots"].items()}
    return bundle_definition(
        bundle["bundle_id"],
        bundle["semver"],
        slots,
        tags=bundle.get("tags", ()),
        description=bundle.get("description", ""),
    )


def inline_of(given: Mapping[str, Any]) -> InlineBundle:
    """Build bundle and templates as one."""
    return inline_bundle(bundle_of(given), templates_of(given))


def name_of(given: Mapping[str, Any]) -> str:
    """Return the reference of a bundle."""
    return f"{given['bundle']['bundle_id']}@{given['bundle']['semver']}"


async def told(answer: Awaitable[RenderResponse | OfflineRender]) -> Told:
    """Return all that a render gives, or all that its error says."""
    try:
        made = await answer
    except PeciaError as error:
        return error.code, error.reason, error.message, error.metadata, error.violations, error.retry_after
    hashes = made if isinstance(made, OfflineRender) else made.receipt
    return (
        made.prompt.encode(),
        [part.SerializeToString(deterministic=True) for part in made.parts],
        hashes.prompt_hash,
        hashes.payload_hash,
        hashes.bundle_hash,
        hashes.bundle_id,
        hashes.semver,
        hashes.renderer_version,
    )


async def inline(
    bundle: InlineBundle, payload: DerivedPayload, max_prompt_bytes: int = DEFAULT_MAX_PROMPT_BYTES
) -> OfflineRender:
    """Render without any server."""
    return render_inline(bundle, payload=payload, max_prompt_bytes=max_prompt_bytes)


def limit_of(given: Mapping[str, Any]) -> int:
    """Return the bound on prompts that a vector names, or the server's own."""
    limit: int = given.get("max_prompt_bytes", DEFAULT_MAX_PROMPT_BYTES)
    return limit


def part(given: Mapping[str, str]) -> PromptPart:
    """Build a part from a vector's."""
    return PromptPart(
        slot=f"SLOT_{given['slot'].upper()}",
        role=f"ROLE_{given['role'].upper()}",
        text=given["text"],
    )


@pytest.mark.parametrize("vector", RENDERS, ids=lambda vector: str(vector["name"]))
def test_a_golden_vector_is_rendered_inline(vector: Mapping[str, Any]) -> None:
    """Prompt, parts and hashes are the vector's, or the reason and its metadata."""
    given = vector["input"]
    payload = payload_from_mapping(given["payload"])
    if "error" in vector:
        with pytest.raises(PeciaError) as caught:
            render_inline(inline_of(given), payload=payload, max_prompt_bytes=limit_of(given))
        assert vector["error"] == {"reason": caught.value.reason, "metadata": caught.value.metadata}
        return
    expected = vector["expected"]
    made = render_inline(inline_of(given), payload=given["payload"], max_prompt_bytes=limit_of(given))
    assert (
        OfflineRender(
            prompt=expected["prompt"],
            parts=tuple(part(each) for each in expected["parts"]),
            prompt_hash=expected["prompt_hash"],
            payload_hash=expected["payload_hash"],
            bundle_hash=expected["bundle_hash"],
            bundle_id=given["bundle"]["bundle_id"],
            semver=given["bundle"]["semver"],
            renderer_version=expected["renderer_version"],
        )
        == made
    )


@pytest.mark.parametrize(
    "vector",
    # No server can be set to prompts of ten bytes; the next test has a limit that one can be set to.
    [vector for vector in RENDERS if "max_prompt_bytes" not in vector["input"]],
    ids=lambda vector: str(vector["name"]),
)
async def test_a_published_vector_is_rendered_as_the_server_does(
    vector: Mapping[str, Any], tmp_path: Path
) -> None:
    """Both offline renderers and Render give the same bytes, or the same error with all it says."""
    given = vector["input"]
    payload = payload_from_mapping(given["payload"])
    async with (
        live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server,
        AsyncClient(server.target) as client,
    ):
        for template in templates_of(given):
            await client.publish_template(template)
        await client.publish_bundle(bundle_of(given))
        expected = await told(client.render(name_of(given), payload=payload))
        for offline in (AsyncOffline(server.target), BlockingOffline(server.target)):
            assert expected == await told(offline.render(name_of(given), payload))
            await offline.close()


@pytest.mark.parametrize("spare", [0, -1])
async def test_a_limit_is_that_of_a_server_with_the_same(spare: int, tmp_path: Path) -> None:
    """The largest prompt is rendered by both, and one byte more by neither."""
    bundle = any_inline_bundle(dict.fromkeys(("system", "personality", "activity", "task"), "{{task}}"))
    payload = payload_from_mapping(
        {"semantic_traits": {}, "activity_level": 0, "stress": 0, "task": "é" * 200}
    )
    size = len(render_inline(bundle, payload=payload).prompt.encode())
    limit = size + spare
    async with (
        live_server(f"sqlite:///{tmp_path / 'pecia.db'}", max_prompt_bytes=str(limit)) as server,
        AsyncClient(server.target) as client,
    ):
        expected = await told(client.render(inline_bundle=bundle, payload=payload))
    assert expected == await told(inline(bundle, payload, limit))
    assert (grpc.StatusCode.FAILED_PRECONDITION == expected[0]) == (spare < 0)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name an SQLite file."""
    return f"sqlite:///{tmp_path_factory.mktemp('offline') / 'pecia.db'}"


@pytest.fixture
async def target(database: str) -> AsyncIterator[str]:
    """Give a server."""
    async with live_server(database) as server:
        yield server.target


async def test_payload_vectors_are_judged_as_the_server_does(target: str) -> None:
    """Hash, or reason, metadata and violations; what no message can carry is refused by its builder."""
    judged = []
    async with AsyncClient(target) as client:
        for vector in PAYLOADS:
            try:
                payload = payload_from_mapping(vector["input"])
            except ValueError:
                assert "error" in vector
                continue
            bundle = any_inline_bundle()
            expected = await told(client.render(inline_bundle=bundle, payload=payload, validate_only=True))
            assert expected == await told(inline(bundle, payload)), vector["name"]
            judged.append(vector["name"])
    assert len(judged) > 0.9 * len(PAYLOADS)


async def test_generated_cases_are_rendered_as_the_server_does(target: str) -> None:
    """A hundred of every kind, published, each rendered by both and inline."""
    cases = [dataclasses.asdict(case) for case in generate_cases(100, seed=8785)]
    prompts = 0
    async with AsyncClient(target) as client:
        offline: Offline = AsyncOffline(target)
        for case in cases:
            payload = payload_from_mapping(case["payload"])
            for template in templates_of(case):
                await client.publish_template(template)
            await client.publish_bundle(bundle_of(case))
            expected = await told(client.render(name_of(case), payload=payload))
            assert expected == await told(offline.render(name_of(case), payload))
            assert expected == await told(inline(inline_of(case), payload))
            prompts += isinstance(expected[0], bytes)
        await offline.close()
    assert 90 < prompts < 100, "some lack a path"
