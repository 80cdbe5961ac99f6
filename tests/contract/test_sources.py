"""What every source of pieces does alike: inline, directory, database, and a cache around one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pecia_service.caching.bounded import BoundedCache
from pecia_service.canonical import JsonObject
from pecia_service.errors import ErrorReason, NotFoundError
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.ports import BundleSource, TemplateSource
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.cached import (
    CachedBundleSource,
    CachedTemplateSource,
    weigh_bundle,
    weigh_template,
)
from pecia_service.rendering.sources.database import DatabaseBundleSource, DatabaseTemplateSource
from pecia_service.rendering.sources.directory import read_directory
from pecia_service.rendering.sources.directory_pieces import DirectoryBundleSource, DirectoryTemplateSource
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
from pecia_service.storage.engine import Database
from support.domain import TENANT, TickingClock
from support.migrated import MigratedDatabases
from support.pieces import make_payload
from support.sinks import RecordingSink
from support.strategies import clean_text, json_objects

CONSTRAINTS: JsonObject = {"FORBIDDEN_TOKENS": ["Sure"], "MAX_PARAGRAPHS": 3, "TONE": {"calm": 1e21}}
CONTENTS = {
    Slot.SYSTEM: '{{semantic_traits.name | "Juna"}}\n\nLimits: {{constraints}}\n\\{{kept}} \U0001f600',
    Slot.PERSONALITY: "---\nTraits: {{semantic_traits}}",
    Slot.ACTIVITY: "{{activity_level}} {{stress}}",
    Slot.TASK: '{"task": {{json:task}}}',
}
TEMPLATES = [
    Template.define(
        template_id=f"companion-{slot.value}",
        semver="1.0.0",
        role=Role.USER if slot is Slot.TASK else Role.SYSTEM,
        content=content,
        constraints=CONSTRAINTS if slot is Slot.SYSTEM else None,
        adapter_version="chat-1" if slot is Slot.SYSTEM else "",
        description="Says who.",
    )
    for slot, content in CONTENTS.items()
]
OTHERS = [
    Template.define(template_id="companion-task", semver="1.0.1", role=Role.USER, content="{{task}}"),
    Template.define(template_id="companion-task", semver="1.0.1+build", role=Role.USER, content="{{task}}!"),
]
BUNDLE = Bundle.define(
    bundle_id="companion",
    semver="1.2.0",
    slots={slot: template.ref for slot, template in zip(Slot, TEMPLATES, strict=True)},
    tags=["gpt-4o", "default"],
    description="For chat.",
)
EVERY = [*TEMPLATES, *OTHERS]


@dataclass(frozen=True)
class Sources:
    """The sources under test, which all hold the same pieces."""

    bundles: BundleSource
    templates: TemplateSource


def write_directory(root: Path) -> None:
    """Write the pieces as the files of a directory; JSON is YAML too."""
    for template in EVERY:
        path = root / "templates" / template.template_id / f"{template.semver}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {
            "role": template.role.value,
            "constraints": template.constraints.to_json(),
            "adapter_version": template.adapter_version,
            "description": template.description,
        }
        text = f"---\n{json.dumps(head).replace('1e+21', '1.0e+21')}\n---\n{template.content}\n"
        path.write_text(text, encoding="utf-8")
    path = root / "bundles" / BUNDLE.bundle_id / BUNDLE.semver / "bundle.yaml"
    path.parent.mkdir(parents=True)
    slots = {slot.value: str(ref) for slot, ref in BUNDLE.slots.items()}
    definition = {"slots": slots, "tags": BUNDLE.tags, "description": BUNDLE.description}
    path.write_text(json.dumps(definition), encoding="utf-8")


async def publish(database: Database) -> None:
    """Publish the pieces in a database."""
    registry = Registry(RegistryStore(database), TickingClock())
    for template in EVERY:
        await registry.publish_template(TENANT, template)
    await registry.publish_bundle(TENANT, BUNDLE)


@pytest.fixture(params=["inline", "directory", "cached", "sqlite", "postgresql"])
async def sources(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_databases: MigratedDatabases
) -> AsyncIterator[Sources]:
    """Give the sources of one kind."""
    inline = Sources(InlineBundleSource([BUNDLE]), InlineTemplateSource(EVERY))
    async with AsyncExitStack() as stack:
        match request.param:
            case "inline":
                yield inline
            case "directory":
                write_directory(tmp_path)
                contents = read_directory(tmp_path)
                yield Sources(DirectoryBundleSource(contents), DirectoryTemplateSource(contents))
            case "cached":
                yield Sources(
                    CachedBundleSource(
                        inline.bundles,
                        BoundedCache(max_entries=8, max_bytes=10**6, weigh=weigh_bundle),
                        TENANT,
                    ),
                    CachedTemplateSource(
                        inline.templates,
                        BoundedCache(max_entries=8, max_bytes=10**6, weigh=weigh_template),
                        TENANT,
                    ),
                )
            case engine:
                if engine == "sqlite":
                    url = await migrated_databases.create_sqlite(tmp_path / "pecia.db")
                else:
                    server = request.getfixturevalue("postgres_server")
                    url = await migrated_databases.create_postgres(server)
                    stack.push_async_callback(server.drop_database, url)
                database = Database.open(url)
                stack.push_async_callback(database.dispose)
                await publish(database)
                yield Sources(
                    DatabaseBundleSource(database, TENANT), DatabaseTemplateSource(database, TENANT)
                )


async def test_gives_a_bundle(sources: Sources) -> None:
    """A bundle comes back with everything that it was defined with."""
    bundle = await sources.bundles.get_bundle("companion", "1.2.0")
    assert (str(BUNDLE), BUNDLE.definition_hash, BUNDLE.tags, BUNDLE.description) == (
        str(bundle),
        bundle.definition_hash,
        bundle.tags,
        bundle.description,
    )
    assert list(BUNDLE.slots.items()) == list(bundle.slots.items())


@pytest.mark.parametrize("template", EVERY, ids=lambda template: str(template.ref))
async def test_gives_a_template(sources: Sources, template: Template) -> None:
    """A template comes back compiled and with all its hashes."""
    found = await sources.templates.get_template(template.template_id, template.semver)
    assert template == found
    assert template.constraints_hash == found.constraints_hash


async def test_gives_the_same_again(sources: Sources) -> None:
    """Asking twice gives the same twice."""
    first = await sources.bundles.get_bundle("companion", "1.2.0")
    assert first == await sources.bundles.get_bundle("companion", "1.2.0")


@pytest.mark.parametrize(
    ("bundle_id", "semver"),
    [("companion", "9.0.0"), ("Companion", "1.2.0"), ("companion", "1.2.0+x"), ("", "")],
)
async def test_missing_bundle(sources: Sources, bundle_id: str, semver: str) -> None:
    """A bundle that does not exist is NOT_FOUND by the name that was asked for; names match exactly."""
    with pytest.raises(NotFoundError) as caught:
        await sources.bundles.get_bundle(bundle_id, semver)
    assert ErrorReason.BUNDLE_NOT_FOUND is caught.value.reason
    assert {"bundle_id": bundle_id, "semver": semver} == caught.value.metadata


@pytest.mark.parametrize(
    ("template_id", "semver"),
    [("companion-task", "9.0.0"), ("Companion-task", "1.0.0"), ("companion-task", "1.0.0+build")],
)
async def test_missing_template(sources: Sources, template_id: str, semver: str) -> None:
    """A template that does not exist is NOT_FOUND by the name that was asked for; names match exactly."""
    with pytest.raises(NotFoundError) as caught:
        await sources.templates.get_template(template_id, semver)
    assert ErrorReason.TEMPLATE_NOT_FOUND is caught.value.reason
    assert {"template_id": template_id, "semver": semver} == caught.value.metadata


async def test_gives_several_templates(sources: Sources) -> None:
    """Several templates come at once, whatever the order, and one that is named twice comes once."""
    refs = [EVERY[5].ref, EVERY[0].ref, EVERY[5].ref, EVERY[3].ref]
    found = await sources.templates.get_templates(refs)
    assert {EVERY[0].ref: EVERY[0], EVERY[3].ref: EVERY[3], EVERY[5].ref: EVERY[5]} == dict(found)


async def test_missing_ones_of_several_are_left_out(sources: Sources) -> None:
    """What does not exist is not in the answer, and does not fail it."""
    missing = [TemplateRef("companion-task", "9.0.0"), TemplateRef("nothing", "1.0.0")]
    found = await sources.templates.get_templates([missing[0], EVERY[1].ref, missing[1]])
    assert {EVERY[1].ref: EVERY[1]} == dict(found)
    assert {} == dict(await sources.templates.get_templates(missing))
    assert {} == dict(await sources.templates.get_templates([]))


@given(traits=json_objects, task=clean_text, levels=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
    deadline=None,
)
async def test_renders_the_same_from_every_source(
    sources: Sources, traits: JsonObject, task: str, levels: tuple[float, float]
) -> None:
    """Prompt and hashes are those of an inline render, whatever source the pieces come from."""
    generator = PromptGenerator(
        sources.bundles,
        sources.templates,
        Renderer(),
        RecordingSink(),
        clock=lambda: 0,
        new_id=lambda: "",
    )
    payload = make_payload(task, traits, *levels)
    inline = await generator.render_inline(BUNDLE, TEMPLATES, payload)
    stored = await generator.render_from_bundle("companion", "1.2.0", payload)
    assert (inline.prompt, inline.parts, inline.receipt) == (stored.prompt, stored.parts, stored.receipt)
