"""Changing the registry's rows behind the service's back, on SQLite, which keeps any type in any column."""

from __future__ import annotations

from typing import Final

from pecia_service.storage.tables import bundles, label_events, label_requests, labels, templates
from sqlalchemy.ext.asyncio import AsyncEngine

REGISTRY: Final = (templates, bundles, labels, label_events, label_requests)


class Vandal:
    """Changes rows of the registry's tables, and puts all of them back as they were at first."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def remember(self) -> None:
        """Keep all rows as they are now."""
        async with self._engine.begin() as connection:
            for table in REGISTRY:
                await connection.exec_driver_sql(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")

    async def restore(self) -> None:
        """Put back the rows that were kept."""
        async with self._engine.begin() as connection:
            for table in REGISTRY:
                await connection.exec_driver_sql(f"DELETE FROM {table}")
                await connection.exec_driver_sql(f"INSERT INTO {table} SELECT * FROM kept_{table}")

    async def change(self, table: str, where: str, **values: str) -> None:
        """Put SQL values into columns of the one row of a table that an SQL condition names."""
        columns = ", ".join(f"{column} = {value}" for column, value in values.items())
        async with self._engine.begin() as connection:
            changed = await connection.exec_driver_sql(f"UPDATE {table} SET {columns} WHERE {where}")
            assert changed.rowcount == 1
