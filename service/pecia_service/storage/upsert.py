"""INSERT … ON CONFLICT, which SQLAlchemy spells differently for each engine."""

from __future__ import annotations

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.storage.url import EngineKind


def insert_if_absent(connection: AsyncConnection, table: Table) -> Insert:
    """Make an INSERT that leaves a row alone whose primary key is there; its rowcount tells what it did."""
    if connection.dialect.name == EngineKind.POSTGRESQL.value:
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def insert_or_lock(connection: AsyncConnection, table: Table) -> Insert:
    """Make an INSERT like `insert_if_absent` that also locks a row that is there until the transaction ends.

    SQLite has nothing to lock: one transaction writes at a time.
    """
    if connection.dialect.name == EngineKind.POSTGRESQL.value:
        key = table.primary_key.columns
        return postgresql.insert(table).on_conflict_do_update(
            index_elements=key, set_={column.name: column for column in key}
        )
    return insert_if_absent(connection, table)
