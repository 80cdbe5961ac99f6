"""The same content gives the same prompt and the same hashes from every source."""

import dataclasses
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
from pecia_service.errors import Error, ErrorReason
from pecia_service.registry.model import Bundle, Template
from pecia_service.registry.service import Registry
from pecia_service.registry.store.rows import bundle_to_row, template_to_row
from pecia_service.rendering.generator import PromptGenerator, Rendered
from pecia_service.rendering.model import PromptPart, ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.ports import BundleSource, TemplateSource
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.database import DatabaseBundleSource, DatabaseTemplateSource
from pecia_service.rendering.sources.directory import read_directory
from pecia_service.rendering.sources.directory_pieces import DirectoryBundleSource, DirectoryTemplateSource
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
from pecia_service.storage import tables
from pecia_service.storage.engine import Database
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from support.cases import generate_cases
from support.definitions import create_payload, define_bundle, define_template
from support.directories import write_bundle, write_template
from support.domain import START, TENANT, TickingClock
from support.sinks import RecordingSink

CASES = 1000
PUBLISHED = 100
"""How many cases go through the registry; the others are stored as the same rows in bulk, which is faster."""


@dataclass(frozen=True)
class Defined:
    """A generated case as pieces of the domain."""

    bundle: Bundle
    templates: tuple[Template, ...]
    payload: Payload


@dataclass(frozen=True)
class Prompt:
    """Everything about a render that must not depend on where its pieces came from."""

    prompt: str
    parts: tuple[PromptPart, ...]
    prompt_hash: str
    payload_hash: str
    bundle_hash: str
    bundle: str
    constraints: str
    template_hashes: tuple[str, ...]
    definition_hash: str


Outcome: TypeAlias = Prompt | tuple[ErrorReason, dict[str, str]]


def make_generator(bundles: BundleSource, templates: TemplateSource) -> PromptGenerator:
    """Make a generator over two sources."""
    return PromptGenerator(
        bundles, templates, Renderer(), RecordingSink(), clock=TickingClock(), new_id=lambda: "render"
    )


async def outcome_of(render: Awaitable[Rendered]) -> Outcome:
    """Return what a render gives, or why it is refused."""
    try:
        rendered = await render
    except Error as error:
        return error.reason, error.metadata
    result, resolved = rendered.result, rendered.result.resolved
    return Prompt(
        rendered.prompt,
        rendered.parts,
        rendered.receipt.prompt_hash,
        rendered.receipt.payload_hash,
        rendered.receipt.bundle_hash,
        f"{rendered.receipt.bundle_id}@{rendered.receipt.semver}",
        resolved.constraints.canonical.decode(),
        tuple(template.definition_hash for template in resolved.templates.values()),
        result.resolved.bundle.definition_hash,
    )


async def render_all(generator: PromptGenerator, cases: Sequence[Defined]) -> list[Outcome]:
    """Render every case by its bundle's exact version."""
    return [
        await outcome_of(
            generator.render_from_bundle(case.bundle.bundle_id, case.bundle.semver, case.payload)
        )
        for case in cases
    ]


@pytest.fixture(scope="module")
def cases() -> list[Defined]:
    """Give the generated cases, defined once."""
    return [
        Defined(
            define_bundle(case.bundle),
            tuple(define_template(template) for template in case.templates),
            create_payload(case.payload),
        )
        for case in generate_cases(CASES)
    ]


@pytest.fixture
async def expected(cases: Sequence[Defined]) -> list[Outcome]:
    """Give the outcome of each case when its pieces come with the call."""
    generator = make_generator(InlineBundleSource([]), InlineTemplateSource([]))
    return [
        await outcome_of(generator.render_inline(case.bundle, case.templates, case.payload)) for case in cases
    ]


async def publish(registry: Registry, cases: Sequence[Defined]) -> None:
    """Publish pieces as a server does."""
    for case in cases:
        for template in case.templates:
            await registry.publish_template(TENANT, template)
        await registry.publish_bundle(TENANT, case.bundle)


async def store(database: Database, cases: Sequence[Defined]) -> None:
    """Store pieces as the rows that publishing stores, all in one transaction."""
    template_rows = [
        {"tenant_id": TENANT, **template_to_row(template, START)}
        for case in cases
        for template in case.templates
    ]
    bundle_rows = []
    for case in cases:
        resolved = ResolvedBundle.resolve(case.bundle, {each.ref: each for each in case.templates})
        bundle = dataclasses.replace(case.bundle, stored_bundle_hash=resolved.bundle_hash)
        bundle_rows.append({"tenant_id": TENANT, **bundle_to_row(bundle, START)})

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(tables.templates), template_rows)
        await connection.execute(insert(tables.bundles), bundle_rows)

    await database.write(work)


async def test_database_gives_what_inline_gives(
    cases: Sequence[Defined], expected: Sequence[Outcome], database: Database, registry: Registry
) -> None:
    """Published on either engine and read back, every case has the outcome of its pieces given inline."""
    await publish(registry, cases[:PUBLISHED])
    await store(database, cases[PUBLISHED:])
    generator = make_generator(
        DatabaseBundleSource(database, TENANT), DatabaseTemplateSource(database, TENANT)
    )
    assert await render_all(generator, cases) == expected


async def test_directory_gives_what_inline_gives(
    cases: Sequence[Defined], expected: Sequence[Outcome], tmp_path: Path
) -> None:
    """Written as files and read back, every case has the outcome of its pieces given inline."""
    for case in generate_cases(CASES):
        write_bundle(tmp_path, case.bundle)
        for template in case.templates:
            write_template(tmp_path, template)
    contents = read_directory(tmp_path)
    generator = make_generator(DirectoryBundleSource(contents), DirectoryTemplateSource(contents))
    assert await render_all(generator, cases) == expected


async def test_inline_sources_give_what_inline_calls_give(
    cases: Sequence[Defined], expected: Sequence[Outcome]
) -> None:
    """Looked up by version among all others, every case has the outcome of its own pieces."""
    templates = [template for case in cases for template in case.templates]
    generator = make_generator(
        InlineBundleSource(case.bundle for case in cases), InlineTemplateSource(templates)
    )
    assert await render_all(generator, cases) == expected


def test_most_cases_render(expected: Sequence[Outcome]) -> None:
    """The cases are prompts but for the few that lack a path, and no two prompts are the same."""
    reasons = Counter(outcome[0] if isinstance(outcome, tuple) else None for outcome in expected)
    assert set(reasons) == {None, ErrorReason.PLACEHOLDER_UNRESOLVED}
    assert reasons[None] >= CASES * 0.9
    hashes = {outcome.bundle_hash for outcome in expected if isinstance(outcome, Prompt)}
    assert len(hashes) == reasons[None]
