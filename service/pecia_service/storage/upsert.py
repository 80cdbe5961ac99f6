"""INSERT … ON CONFLICT DO NOTHING, which SQLAlchemy spells differently for each engine."""

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
