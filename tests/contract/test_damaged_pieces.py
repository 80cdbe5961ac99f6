"""A row that was changed behind the service's back is reported with the part that was changed."""

from collections.abc import Awaitable, Callable

import pytest
from pecia_service.canonical import sha256_hex
from pecia_service.errors import DataLossError, ErrorReason
from pecia_service.paging import PageRequest
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model import Slot, TemplateRef
from pecia_service.registry.service import Registry
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.sources.database import DatabaseBundleSource, DatabaseTemplateSource
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import bundles, templates
from sqlalchemy import Table, bindparam, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.domain import TENANT, define_bundle, define_template, define_templates

REF = TemplateRef("companion-task", "1.0.0")

TEMPLATE_DAMAGE = [
    ("content", "This is the tasK.", "content"),
    ("content", "", "content"),
    ("content_hash", "0" * 64, "content"),
    ("constraints_json", '{"NO_EMOJI":false}', "constraints"),
    ("constraints_json", '{"NO_EMOJI": true}', "constraints"),
    ("constraints_json", '{"NO_EMOJI":true', "constraints"),
    ("constraints_json", '["NO_EMOJI"]', "constraints"),
    ("constraints_json", "", "constraints"),
    ("constraints_json", "{}", "constraints"),
    ("constraints_hash", "0" * 64, "constraints"),
    ("role", "user", "definition"),
    ("role", "root", "definition"),
    ("adapter_version", "2", "definition"),
    ("description", "Another.", "definition"),
    ("definition_hash", "0" * 64, "definition"),
]

BUNDLE_DAMAGE = [
    *((f"{slot.value}_id", "companion-other", "definition") for slot in Slot),
    *((f"{slot.value}_semver", "1.0.1", "definition") for slot in Slot),
    ("tags_json", '["a"]', "definition"),
    ("tags_json", '["b", "a"]', "definition"),
    ("tags_json", '["b","a"', "definition"),
    ("tags_json", '{"b":"a"}', "definition"),
    ("tags_json", '["b",1]', "definition"),
    ("description", "Another.", "definition"),
    ("definition_hash", "0" * 64, "definition"),
]


@pytest.fixture(autouse=True)
async def _published(registry: Registry) -> None:
    for template in define_templates():
        await registry.publish_template(TENANT, template)
    await registry.publish_template(TENANT, define_template("companion-other", content="This is the other."))
    await registry.publish_template(
        TENANT, define_template("strict", "1.0.0", constraints={"NO_EMOJI": True})
    )
    await registry.publish_bundle(TENANT, define_bundle(tags=["b", "a"]))


async def tamper(database: Database, table: Table, identifier: str, **values: str) -> None:
    """Change columns of the row of an id."""

    async def work(connection: AsyncConnection) -> None:
        changed = await connection.execute(update(table).where(table.columns[1] == identifier).values(values))
        assert changed.rowcount == 1

    await database.write(work)


async def find_damage(call: Awaitable[object]) -> dict[str, str]:
    """Return what the error says that the call ends in."""
    with pytest.raises(DataLossError) as caught:
        await call
    assert caught.value.reason is ErrorReason.PIECE_DAMAGED
    return caught.value.metadata


@pytest.mark.parametrize(("column", "value", "part"), TEMPLATE_DAMAGE)
async def test_a_changed_template_is_damaged(
    database: Database, registry: Registry, column: str, value: str, part: str
) -> None:
    """Whoever reads it, alone or with others, is told the piece and its part."""
    await tamper(database, templates, "strict", **{column: value})
    source, ref = DatabaseTemplateSource(database, TENANT), TemplateRef("strict", "1.0.0")
    damage = [
        await find_damage(source.get_template(ref.template_id, ref.semver)),
        await find_damage(source.get_templates([REF, ref])),
        await find_damage(registry.get_template(TENANT, ref)),
    ]
    assert damage == [{"piece": "template", "part": part, "id": "strict", "semver": "1.0.0"}] * 3


@pytest.mark.parametrize(("column", "value", "part"), BUNDLE_DAMAGE)
async def test_a_changed_bundle_is_damaged(
    database: Database, registry: Registry, column: str, value: str, part: str
) -> None:
    """Whoever reads it, by version or by label, is told the piece and its part."""
    await tamper(database, bundles, "companion", **{column: value})
    damage = [
        await find_damage(DatabaseBundleSource(database, TENANT).get_bundle("companion", "1.0.0")),
        await find_damage(registry.get_bundle(TENANT, "companion", "1.0.0")),
    ]
    assert damage == [{"piece": "bundle", "part": part, "id": "companion", "semver": "1.0.0"}] * 2


async def test_a_changed_bundle_hash_is_found_with_the_templates(database: Database) -> None:
    """It is the hash of the bundle with its templates, so that it is proved when they meet."""
    await tamper(database, bundles, "companion", bundle_hash="0" * 64)
    bundle = await DatabaseBundleSource(database, TENANT).get_bundle("companion", "1.0.0")
    found = await DatabaseTemplateSource(database, TENANT).get_templates(bundle.slots.values())
    with pytest.raises(DataLossError) as caught:
        ResolvedBundle.resolve(bundle, found)
    assert caught.value.metadata == {
        "piece": "bundle",
        "part": "bundle_hash",
        "id": "companion",
        "semver": "1.0.0",
    }


async def test_a_bundle_can_not_be_published_over_a_damaged_template(
    database: Database, registry: Registry
) -> None:
    """Its bundle_hash would be that of a text that nobody published."""
    await tamper(database, templates, "companion-task", content="Something else.")
    damage = await find_damage(registry.publish_bundle(TENANT, define_bundle(semver="2.0.0")))
    assert damage == {"piece": "template", "part": "content", "id": "companion-task", "semver": "1.0.0"}


async def test_lists_answer_what_is_stored(database: Database, registry: Registry) -> None:
    """A damaged piece keeps nobody from the others, and shows as it is: whoever reads it is told."""
    await tamper(
        database,
        templates,
        "strict",
        constraints_json='{"MAX_PARAGRAPHS":3}',
        role="root",
        description="New.",
    )
    await tamper(database, bundles, "companion", task_id="companion-other", tags_json='{"b":"a"}')
    listed = await registry.list_templates(TENANT, "", PageRequest())
    (bundle,) = (await registry.list_bundles(TENANT, "", PageRequest())).items
    (strict,) = [item for item in listed.items if item.template_id == "strict"]
    sound = define_template("strict", "1.0.0", constraints={"NO_EMOJI": True})
    assert len(listed.items) == 6
    assert (strict.role, strict.description, strict.constraints, strict.constraints_hash) == (
        None,
        "New.",
        Constraints(max_paragraphs=3),
        sound.constraints_hash,
    )
    assert (bundle.slots[Slot.TASK], bundle.tags, bundle.definition_hash) == (
        TemplateRef("companion-other", "1.0.0"),
        (),
        define_bundle(tags=["b", "a"]).definition_hash,
    )


@pytest.mark.parametrize("value", ["no JSON", "[]", '{"NO_EMOJI":1}', '{"NO_EMOJI":false}'])
async def test_constraints_that_fit_their_hash_but_are_none_are_damage(
    database: Database, registry: Registry, value: str
) -> None:
    """Whoever changed the hash too is found out: nobody published such a thing."""
    await tamper(
        database,
        templates,
        "strict",
        constraints_json=value,
        constraints_hash=sha256_hex(value.encode()),
    )
    damage = await find_damage(registry.get_template(TENANT, TemplateRef("strict", "1.0.0")))
    assert damage["part"] == "constraints"


READERS: dict[str, Callable[[Database], Awaitable[object]]] = {
    "templates": lambda database: DatabaseTemplateSource(database, TENANT).get_template("strict", "1.0.0"),
    "bundles": lambda database: DatabaseBundleSource(database, TENANT).get_bundle("companion", "1.0.0"),
}


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("table", "column", "part"),
    [
        ("templates", "content", "content"),
        ("templates", "constraints_json", "constraints"),
        ("templates", "description", "definition"),
        ("templates", "role", "definition"),
        ("bundles", "description", "definition"),
        ("bundles", "tags_json", "definition"),
        ("bundles", "task_id", "definition"),
    ],
)
@pytest.mark.parametrize("kind", ["TEXT", "BLOB"])
async def test_bytes_that_are_no_text_are_damage(
    database: Database, table: str, column: str, part: str, kind: str
) -> None:
    """SQLite stores any bytes as text, and blobs in any column; PostgreSQL stores neither."""

    async def work(connection: AsyncConnection) -> None:
        statement = text(f"UPDATE {table} SET {column} = CAST(:value AS {kind})")
        await connection.execute(statement.bindparams(bindparam("value", b"\xff\xfe")))

    await database.write(work)
    assert (await find_damage(READERS[table](database)))["part"] == part
