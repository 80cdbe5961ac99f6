"""The database as a source of pieces: one statement a call, and the errors of every source."""

import re
from collections.abc import Awaitable, Callable

import pytest
from pecia_service.errors import ErrorReason, NotFoundError
from pecia_service.registry.model import Bundle, Template, TemplateRef
from pecia_service.registry.service import Registry
from pecia_service.rendering.sources.database import (
    DatabaseBundleSource,
    DatabaseLabelSource,
    DatabaseTemplateSource,
)
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import bundles
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.domain import ACTOR, TENANT, define_bundle, define_template, define_templates
from support.statements import counted_statements

TEMPLATES = [define_template("greeting", "1.0.0"), define_template("greeting", "2.0.0"), *define_templates()]
REFS = [template.ref for template in TEMPLATES]


@pytest.fixture(autouse=True)
async def bundle(registry: Registry) -> Bundle:
    """Publish the templates, and a bundle that two labels point to; give the bundle."""
    for template in TEMPLATES:
        await registry.publish_template(TENANT, template)
    published = await registry.publish_bundle(TENANT, define_bundle(tags=["a"]))
    await registry.set_label(
        TENANT, bundle_id="companion", label="live", semver="1.0.0", etag=None, actor=ACTOR
    )
    return published.piece


CALLS: dict[str, Callable[[Database], Awaitable[object]]] = {
    "get_bundle": lambda database: DatabaseBundleSource(database, TENANT).get_bundle("companion", "1.0.0"),
    "get_template": lambda database: DatabaseTemplateSource(database, TENANT).get_template(
        "greeting", "2.0.0"
    ),
    "get_templates": lambda database: DatabaseTemplateSource(database, TENANT).get_templates(REFS),
    "get_labelled": lambda database: DatabaseLabelSource(database, TENANT).get_labelled("companion", "live"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_each_call_is_one_statement(
    database: Database, call: Callable[[Database], Awaitable[object]]
) -> None:
    """And no transaction around it, which would be two more trips."""
    with counted_statements(database) as statements:
        await call(database)
    assert [statement.split()[0] for statement in statements] == ["SELECT"]


async def test_nothing_asked_is_no_statement(database: Database) -> None:
    """No templates are found without asking."""
    with counted_statements(database) as statements:
        found = await DatabaseTemplateSource(database, TENANT).get_templates([])
    assert (found, statements) == ({}, [])


async def test_pieces_come_back_as_they_were_published(database: Database, bundle: Bundle) -> None:
    """By version and by label."""
    found = (
        await DatabaseBundleSource(database, TENANT).get_bundle("companion", "1.0.0"),
        await DatabaseLabelSource(database, TENANT).get_labelled("companion", "live"),
        await DatabaseTemplateSource(database, TENANT).get_template("greeting", "2.0.0"),
    )
    assert found == (bundle, bundle, TEMPLATES[1])


@pytest.mark.parametrize("count", range(1, len(REFS) + 1))
async def test_templates_are_fetched_together(database: Database, count: int) -> None:
    """Any number, asked for twice, with some that do not exist."""
    asked = [TemplateRef("greeting", "3.0.0"), *REFS[:count], *REFS[:count], TemplateRef("none", "1.0.0")]
    found = await DatabaseTemplateSource(database, TENANT).get_templates(asked)
    expected: dict[TemplateRef, Template] = {template.ref: template for template in TEMPLATES[:count]}
    assert found == expected


async def test_ids_and_versions_are_not_mixed(database: Database, registry: Registry) -> None:
    """Asking for a@1 and b@2 does not give a@2."""
    for name, semver in (("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.0.0"), ("b", "2.0.0")):
        await registry.publish_template(TENANT, define_template(name, semver))
    asked = [TemplateRef("a", "1.0.0"), TemplateRef("b", "2.0.0")]
    found = await DatabaseTemplateSource(database, TENANT).get_templates(asked)
    assert set(found) == set(asked)


MISSING: dict[str, tuple[Callable[[Database], Awaitable[object]], ErrorReason, dict[str, str]]] = {
    "bundle": (
        lambda database: DatabaseBundleSource(database, TENANT).get_bundle("companion", "1.0.1"),
        ErrorReason.BUNDLE_NOT_FOUND,
        {"bundle_id": "companion", "semver": "1.0.1"},
    ),
    "template": (
        lambda database: DatabaseTemplateSource(database, TENANT).get_template("greeting", "1.0.1"),
        ErrorReason.TEMPLATE_NOT_FOUND,
        {"template_id": "greeting", "semver": "1.0.1"},
    ),
    "label": (
        lambda database: DatabaseLabelSource(database, TENANT).get_labelled("companion", "test"),
        ErrorReason.LABEL_NOT_FOUND,
        {"bundle_id": "companion", "label": "test"},
    ),
    "bundle of another tenant": (
        lambda database: DatabaseBundleSource(database, "other").get_bundle("companion", "1.0.0"),
        ErrorReason.BUNDLE_NOT_FOUND,
        {"bundle_id": "companion", "semver": "1.0.0"},
    ),
    "template of another tenant": (
        lambda database: DatabaseTemplateSource(database, "other").get_template("greeting", "1.0.0"),
        ErrorReason.TEMPLATE_NOT_FOUND,
        {"template_id": "greeting", "semver": "1.0.0"},
    ),
    "label of another tenant": (
        lambda database: DatabaseLabelSource(database, "other").get_labelled("companion", "live"),
        ErrorReason.LABEL_NOT_FOUND,
        {"bundle_id": "companion", "label": "live"},
    ),
}


@pytest.mark.parametrize(("call", "reason", "metadata"), MISSING.values(), ids=MISSING.keys())
async def test_what_does_not_exist_is_not_found(
    database: Database,
    call: Callable[[Database], Awaitable[object]],
    reason: ErrorReason,
    metadata: dict[str, str],
) -> None:
    """The error names what was asked for."""
    with pytest.raises(NotFoundError) as caught:
        await call(database)
    assert (caught.value.reason, caught.value.metadata) == (reason, metadata)


async def test_a_label_can_outlive_its_bundle(database: Database) -> None:
    """Only someone behind the service's back can do that; the error names the version that is gone."""

    async def remove(connection: AsyncConnection) -> None:
        await connection.execute(delete(bundles))

    await database.write(remove)
    with pytest.raises(NotFoundError) as caught:
        await DatabaseLabelSource(database, TENANT).get_labelled("companion", "live")
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.BUNDLE_NOT_FOUND,
        {"bundle_id": "companion", "semver": "1.0.0"},
    )


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_each_statement_finds_its_rows_by_an_index(
    engine_name: str, database: Database, call: Callable[[Database], Awaitable[object]]
) -> None:
    """No call reads a table from end to end, nor all rows of a tenant."""
    with counted_statements(database) as statements:
        await call(database)
    plan = await explain(engine_name, database, statements[0])
    assert re.findall(r"Seq Scan.*|SCAN (?:templates|bundles|labels).*|.*\(tenant_id=\?\)", plan) == []


async def explain(engine_name: str, database: Database, statement: str) -> str:
    """Return how the engine would run a statement with any parameters."""

    async def work(connection: AsyncConnection) -> str:
        if engine_name == "sqlite":
            parameters = ("x",) * statement.count("?")
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return "\n".join(row.detail for row in rows)
        # Small tables are read from end to end whatever index they have.
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        parameters = ("x",) * statement.count("$")
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(row[0] for row in rows)

    return await database.write(work)
