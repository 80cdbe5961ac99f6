"""The schema's revision: which one a database has, which one this code needs, and the way between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.storage.engine import Database
from pecia_service.storage.failures import sqlstate
from pecia_service.storage.url import EngineKind

_VERSION_TABLE = "alembic_version"

# What PostgreSQL says when another process creates the same table, column or index at the same time.
_CREATED_BY_ANOTHER = frozenset({"42P07", "42701", "42710", "23505"})

_INSUFFICIENT_PRIVILEGE = "42501"


class SchemaError(RuntimeError):
    """The database's schema is not the one that this code needs; the message says what to do."""


def head_revision() -> str:
    """Return the revision that this code needs."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


async def current_revision(database: Database) -> str | None:
    """Return the revision of a database, or None if it is empty.

    Raises UnavailableError (STORAGE_UNAVAILABLE), and SchemaError if it may not be read.
    """
    with _privileged():
        async with database.read() as connection:
            return await connection.run_sync(_current_revision)


async def migrate(database: Database) -> str:
    """Bring a database to `head_revision` in one transaction, and return that.

    Several processes may do so at once. Raises SchemaError for a schema that is newer than this code or may
    not be changed, and UnavailableError (STORAGE_UNAVAILABLE).
    """
    with _privileged():
        try:
            await database.write(_migrate)
        except DBAPIError as error:
            if sqlstate(error) not in _CREATED_BY_ANOTHER:
                raise
            await database.write(_migrate)
    return head_revision()


async def require_current(database: Database) -> None:
    """Raise SchemaError unless a database is at `head_revision`; raises UnavailableError as well."""
    current, head = await current_revision(database), head_revision()
    if current == head:
        return
    if current is None or _is_known(current):
        state = "has no schema" if current is None else f"has the schema of revision {current}"
        raise SchemaError(f"the database {state}, but revision {head} is needed; run: pecia migrate")
    raise _newer(current)


async def prepare(database: Database) -> None:
    """Make a database ready for a server: SQLite is migrated, PostgreSQL must have been.

    Raises SchemaError and UnavailableError (STORAGE_UNAVAILABLE).
    """
    if database.url.kind is EngineKind.SQLITE and await current_revision(database) != head_revision():
        await migrate(database)
    await require_current(database)


@contextmanager
def _privileged() -> Iterator[None]:
    """Raise SchemaError for what the user of the database may not do."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) != _INSUFFICIENT_PRIVILEGE:
            raise
        reason = str(error.orig).partition("\n")[0]
        raise SchemaError(
            f"the database's user lacks a right: {reason}; grant it, or use the user who owns the schema"
        ) from None


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(Path(__file__).with_name("migrations"))


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_known(revision: str) -> bool:
    return any(script.revision == revision for script in _scripts().walk_revisions())


def _newer(revision: str) -> SchemaError:
    return SchemaError(
        f"the database has the schema of revision {revision}, which this version of Pecia does not know; "
        "install the version that migrated it, or a newer one"
    )


async def _migrate(connection: AsyncConnection) -> None:
    await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == EngineKind.POSTGRESQL.value and inspect(connection).has_table(
        _VERSION_TABLE
    ):
        # Whoever comes second waits here until the first has committed, and finds nothing left to do.
        connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE} FOR UPDATE"))
    context, scripts = MigrationContext.configure(connection), _scripts()
    current = context.get_current_revision()
    if current is not None and not _is_known(current):
        raise _newer(current)
    pending = list(scripts.iterate_revisions("head", current))
    operations = Operations(context)
    for script in reversed(pending):
        script.module.upgrade(operations)
        context.stamp(scripts, script.revision)
