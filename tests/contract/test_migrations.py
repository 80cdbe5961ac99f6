"""Migrations: one revision after the other, the same schema as the tables, and no server on another one."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.storage import migrations, tables
from pecia_service.storage.engine import Database
from pecia_service.storage.schema import (
    SchemaError,
    current_revision,
    head_revision,
    migrate,
    prepare,
    require_current,
)
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SQLITE_CATALOGUE = """
SELECT m.name, m.type, c.name, c.type, c."notnull", c.pk, i.name, i."desc", i.coll
FROM sqlite_master AS m
LEFT JOIN pragma_table_info(m.name) AS c ON m.type = 'table'
LEFT JOIN pragma_index_xinfo(m.name) AS i ON m.type = 'index'
WHERE m.name NOT LIKE 'alembic%' AND m.tbl_name NOT LIKE 'alembic%' ORDER BY 1, c.cid, i.seqno
"""
POSTGRESQL_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname, a.attidentity
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'alembic%' ORDER BY 1, a.attnum
"""
POSTGRESQL_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%' ORDER BY 1
"""
CATALOGUES = {"sqlite": (SQLITE_CATALOGUE,), "postgresql": (POSTGRESQL_COLUMNS, POSTGRESQL_INDEXES)}


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    """Give a database without a single table."""
    database = Database.open(database_url)
    yield database
    await database.dispose()


async def read_catalogue(engine_name: str, database: Database) -> list[tuple[object, ...]]:
    """Return all that the engine knows of tables, columns, keys and indexes."""
    return [tuple(row) for query in CATALOGUES[engine_name] for row in await database.fetch(text(query))]


async def execute(database: Database, statement: str) -> None:
    """Run one statement in a transaction."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text(statement))

    await database.write(work)


async def read_rows(database: Database, table: str) -> list[tuple[object, ...]]:
    """Return all rows of a table."""
    return [tuple(row) for row in await database.fetch(text(f"SELECT * FROM {table}"))]


async def test_a_fresh_database_is_migrated_to_the_head(empty: Database) -> None:
    """From nothing to the revision that this code needs."""
    before = await current_revision(empty)
    answer = await migrate(empty)
    assert (before, answer, await current_revision(empty)) == (None, head_revision(), head_revision())


async def test_migrations_give_the_schema_of_the_tables(engine_name: str, empty: Database) -> None:
    """Columns, types, collations, keys and indexes, as the engine's own catalogue has them."""
    await migrate(empty)
    migrated = await read_catalogue(engine_name, empty)

    async def recreate(connection: AsyncConnection) -> None:
        await connection.run_sync(tables.metadata.drop_all)
        await connection.run_sync(tables.metadata.create_all)

    await empty.write(recreate)
    created = await read_catalogue(engine_name, empty)
    assert len(created) > 80
    assert migrated == created


async def test_a_second_migration_changes_nothing(engine_name: str, empty: Database) -> None:
    """Rows stay as well."""
    await migrate(empty)
    await execute(empty, "INSERT INTO audit_piece_uses VALUES ('default', 'r', 'h')")
    before = await read_catalogue(engine_name, empty)
    await migrate(empty)
    rows = await empty.fetch(text("SELECT * FROM audit_piece_uses"))
    after = await read_catalogue(engine_name, empty)
    assert (after, [tuple(row) for row in rows]) == (before, [("default", "r", "h")])


async def test_several_migrate_at_once(engine_name: str, database_url: str, empty: Database) -> None:
    """As the workers of a server do that start together; the schema is made once."""
    others = [Database.open(database_url) for _ in range(6)]
    try:
        answers = await asyncio.gather(*(migrate(database) for database in others))
    finally:
        for database in others:
            await database.dispose()
    versions = await empty.fetch(text("SELECT version_num FROM alembic_version"))
    assert (answers, [row[0] for row in versions]) == ([head_revision()] * 6, [head_revision()])
    assert len(await read_catalogue(engine_name, empty)) > 80


async def test_a_migration_that_fails_leaves_nothing(engine_name: str, empty: Database) -> None:
    """A table in the way has the whole migration rolled back."""
    await execute(empty, "CREATE TABLE labels (x INTEGER)")
    before = await read_catalogue(engine_name, empty)
    with pytest.raises(Exception, match="labels"):
        await migrate(empty)
    assert (await read_catalogue(engine_name, empty), await current_revision(empty)) == (before, None)


LATER_REVISION = """
revision = "later"
down_revision = "{head}"

def upgrade(op):
    op.execute("UPDATE labels SET revision = revision + 1")
"""


async def test_a_later_revision_is_reached_once_and_keeps_the_rows(
    database_url: str, empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second waits for the first, and then finds nothing to do."""
    await migrate(empty)
    await execute(empty, "INSERT INTO labels VALUES ('default', 'b', 'l', '1.0.0', 1, 1, 1, 'a')")
    shutil.copytree(Path(migrations.__path__[0]) / "versions", tmp_path / "versions")
    (tmp_path / "versions" / "later.py").write_text(LATER_REVISION.format(head=head_revision()))
    monkeypatch.setattr("pecia_service.storage.schema._scripts", lambda: ScriptDirectory(tmp_path))
    others = [Database.open(database_url) for _ in range(4)]
    try:
        answers = await asyncio.gather(*(migrate(database) for database in others))
    finally:
        for database in others:
            await database.dispose()
    rows = await empty.fetch(text("SELECT bundle_id, revision FROM labels"))
    assert (answers, await current_revision(empty), [tuple(row) for row in rows]) == (
        ["later"] * 4,
        "later",
        [("b", 2)],
    )


FIRST_ROWS = {
    "templates": (
        "INSERT INTO templates VALUES ('default', 't', '1.0.0', 'p', 'system', 'Hello', '{}', '', 'd', "
        "'c', 'k', 'h', 5, 1)"
    ),
    "bundles": (
        "INSERT INTO bundles VALUES ('default', 'b', '1.0.0', 'p', 't', '1.0.0', 't', '1.0.0', 't', '1.0.0', "
        "'t', '1.0.0', '{}', 'd', 'b', 'h', 1)"
    ),
    "labels": "INSERT INTO labels VALUES ('default', 'b', 'l', '1.0.0', 1, 1, 1, 'a')",
    "audit_piece_uses": "INSERT INTO audit_piece_uses VALUES ('default', 'r', 'h')",
}


async def test_what_the_first_version_stored_goes_on(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows stay as they are; a template is not erased."""
    shutil.copytree(Path(migrations.__path__[0]) / "versions", tmp_path / "versions")
    for later in (tmp_path / "versions").glob("r*.py"):
        if not later.name.startswith("r0001_"):
            later.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("pecia_service.storage.schema._scripts", lambda: ScriptDirectory(tmp_path))
        await migrate(empty)
        assert "0001" == await current_revision(empty)
    for statement in FIRST_ROWS.values():
        await execute(empty, statement)
    before = {name: await read_rows(empty, name) for name in FIRST_ROWS}
    await migrate(empty)
    after = {name: await read_rows(empty, name) for name in FIRST_ROWS}
    assert (after.pop("templates"), after) == ([(*before.pop("templates")[0], None)], before)
    assert [[], []] == [await read_rows(empty, name) for name in ("template_erasures", "credentials")]
    assert head_revision() == await current_revision(empty)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_sqlite_is_migrated_when_a_server_starts(empty: Database) -> None:
    """No set-up is needed, and the second start finds it done."""
    await prepare(empty)
    await prepare(empty)
    assert await current_revision(empty) == head_revision()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_postgresql_must_have_been_migrated(empty: Database) -> None:
    """A server says which command does it, and touches nothing."""
    with pytest.raises(SchemaError) as caught:
        await prepare(empty)
    assert (str(caught.value), await current_revision(empty)) == (
        f"the database has no schema, but revision {head_revision()} is needed; run: pecia migrate",
        None,
    )


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_migrated_postgresql_is_ready(empty: Database) -> None:
    """Nothing more is to be done."""
    await migrate(empty)
    await prepare(empty)
    await require_current(empty)
    assert await current_revision(empty) == head_revision()


async def test_a_newer_schema_is_refused(empty: Database) -> None:
    """By a server and by a migration; neither changes it."""
    await migrate(empty)
    await execute(empty, "UPDATE alembic_version SET version_num = '9999'")
    messages = []
    for call in (prepare, migrate, require_current):
        with pytest.raises(SchemaError) as caught:
            await call(empty)
        messages.append(str(caught.value))
    assert (set(messages), await current_revision(empty)) == (
        {
            "the database has the schema of revision 9999, which this version of Pecia does not know; "
            "install the version that migrated it, or a newer one"
        },
        "9999",
    )


async def test_an_older_schema_is_told_from_none(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has both revisions."""
    await migrate(empty)
    monkeypatch.setattr("pecia_service.storage.schema.head_revision", lambda: "later")
    with pytest.raises(SchemaError) as caught:
        await require_current(empty)
    assert str(caught.value) == (
        f"the database has the schema of revision {head_revision()}, but revision later is needed; "
        "run: pecia migrate"
    )


async def test_a_database_that_can_not_be_opened_is_unavailable(tmp_path: Path) -> None:
    """Not a traceback of the driver."""
    database = Database.open(f"sqlite:///{tmp_path}/no/such/folder/pecia.db")
    with pytest.raises(UnavailableError) as caught:
        await prepare(database)
    assert caught.value.reason is ErrorReason.STORAGE_UNAVAILABLE
