"""Offline renderers believe nothing that they cannot prove: answers that were changed on their way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from pecia.v1 import registry_service_pb2 as pb
from pecia_client import AsyncClient, PeciaError
from pecia_client.messages import Bundle, Constraints, Role, Template
from pecia_client.offline import AsyncOfflineRenderer, BundleCache
from support.offline import AsyncOffline, BlockingOffline, GoBetween, Offline, go_between
from support.server import live_server
from support.wire import payload, publish

PAYLOAD = payload()
DAMAGED = (grpc.StatusCode.DATA_LOSS, "PIECE_DAMAGED")


@pytest.fixture
async def between(tmp_path: Path) -> AsyncIterator[tuple[GoBetween, str]]:
    """Give a go-between of a real server, which changes what it hands on, and its target."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as live:
        await publish(live.registry, template_fields={"constraints": Constraints(forbidden_tokens=["AI"])})
        await publish(live.registry, bundle_id="other")
        async with go_between(live.target) as made:
            yield made


@pytest.fixture(params=[AsyncOffline, BlockingOffline], ids=["async", "sync"])
async def offline(request: pytest.FixtureRequest, between: tuple[GoBetween, str]) -> AsyncIterator[Offline]:
    """Give an offline renderer that asks the go-between."""
    made: Offline = request.param(between[1], BundleCache())
    yield made
    await made.close()


def change_content(answer: Template) -> None:
    """Write another text."""
    answer.definition.content = "Do as I say."


def change_content_and_hash(answer: Template) -> None:
    """Write another text, and the hash that belongs to it."""
    change_content(answer)
    answer.content_hash = sha256(b"Do as I say.").hexdigest()


def change_constraints(answer: Template) -> None:
    """Allow what was forbidden."""
    answer.definition.constraints.Clear()


def break_constraints(answer: Template) -> None:
    """Send what are no constraints."""
    answer.definition.constraints.further.fields["MAX_PARAGRAPHS"].number_value = 1


def change_role(answer: Template) -> None:
    """Let somebody else speak."""
    answer.definition.role = Role.ROLE_DEVELOPER


def drop_role(answer: Template) -> None:
    """Let nobody speak."""
    answer.definition.role = Role.ROLE_UNSPECIFIED


def change_version(answer: Template) -> None:
    """Answer another template than was asked for."""
    answer.definition.semver = "1.0.1"


def break_syntax(answer: Template) -> None:
    """Send what does not compile, with the hash that belongs to it."""
    answer.definition.content = "{{nothing"
    answer.content_hash = sha256(b"{{nothing").hexdigest()


def change_slot(answer: Bundle) -> None:
    """Let two slots name one template."""
    answer.definition.slots.task.CopyFrom(answer.definition.slots.activity)


def drop_slot(answer: Bundle) -> None:
    """Let a slot name nothing."""
    answer.definition.slots.ClearField("task")


def change_bundle_hash(answer: Bundle) -> None:
    """Claim another identity."""
    answer.bundle_hash = "0" * 64


def change_tags(answer: Bundle) -> None:
    """Allow another model."""
    answer.definition.tags.append("llama")


def change_bundle_id(answer: Bundle) -> None:
    """Answer another bundle than was asked for."""
    answer.definition.bundle_id = "other"


def change_bundle_version(answer: Bundle) -> None:
    """Answer another version than was asked for."""
    answer.definition.semver = "2.0.0"


async def refused(offline: Offline) -> PeciaError:
    """Render, and return why that failed."""
    with pytest.raises(PeciaError) as caught:
        await offline.render("companion@1.0.0", PAYLOAD)
    return caught.value


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        change_content_and_hash,
        change_constraints,
        break_constraints,
        change_role,
        drop_role,
        change_version,
        break_syntax,
    ],
)
async def test_a_changed_template_is_refused(
    change: Callable[[Template], None], between: tuple[GoBetween, str], offline: Offline
) -> None:
    """Nothing is rendered of it, nothing is kept, and the true one is rendered afterwards."""

    def apply(response: pb.GetTemplateResponse) -> None:
        if response.template.definition.template_id == "companion-task":
            change(response.template)

    go, _ = between
    go.change_template = apply
    error = await refused(offline)
    go.change_template = lambda _: None
    made = await offline.render("companion@1.0.0", PAYLOAD)
    assert (*DAMAGED, "Do this: Plan the day.") == (error.code, error.reason, made.parts[3].text)


@pytest.mark.parametrize(
    "change",
    [change_slot, drop_slot, change_bundle_hash, change_tags, change_bundle_id, change_bundle_version],
)
async def test_a_changed_bundle_is_refused(
    change: Callable[[Bundle], None], between: tuple[GoBetween, str], offline: Offline
) -> None:
    """Nothing is rendered of it, nothing is kept, and the true one is rendered afterwards."""
    go, _ = between
    go.change_bundle = lambda response: change(response.bundle)
    error = await refused(offline)
    go.change_bundle = lambda _: None
    made = await offline.render("companion@1.0.0", PAYLOAD)
    assert (*DAMAGED, "Do this: Plan the day.") == (error.code, error.reason, made.parts[3].text)


async def test_a_template_that_is_erased_meanwhile_is_refused(
    between: tuple[GoBetween, str], offline: Offline
) -> None:
    """The bundle was answered before the erasure, and the template after it."""

    def erase(response: pb.GetTemplateResponse) -> None:
        response.template.definition.ClearField("content")
        response.template.erased_at.GetCurrentTime()

    between[0].change_template = erase
    error = await refused(offline)
    assert (grpc.StatusCode.FAILED_PRECONDITION, "TEMPLATE_ERASED") == (error.code, error.reason)


async def test_what_is_forgotten_while_it_is_fetched_is_not_kept(between: tuple[GoBetween, str]) -> None:
    """It may hold what was erased; who waits for it gets it, and the next one asks again."""
    go, target = between
    go.gate.clear()
    cache = BundleCache()
    async with AsyncClient(target) as client:
        renderer = AsyncOfflineRenderer(client, cache)
        first = asyncio.create_task(renderer.render("companion@1.0.0", payload=PAYLOAD))
        await go.reached.wait()
        cache.forget()
        second = asyncio.create_task(renderer.render("companion@1.0.0", payload=PAYLOAD))
        await asyncio.sleep(0)
        assert not second.done()
        go.gate.set()
        prompts = {(await first).prompt, (await second).prompt}
    counts = cache.statistics()
    assert (1, 2, 1) == (len(prompts), counts.fetches, counts.entries)
