"""INSERT … ON CONFLICT, which SQLAlchemy spells differently for each engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


class RowsInsert:
    """Inserts rows that have every column of a table, as `insert_if_absent` does; for one kind of engine.

    The driver gets the values as they are: SQLAlchemy would look at each of them, for half as long as SQLite
    takes to keep them. So this is for columns whose values need no conversion.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._compiled: tuple[str, Sequence[str]] | None = None

    async def run(self, connection: AsyncConnection, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert rows in the connection's transaction."""
        if self._compiled is None:
            compiled = insert_if_absent(connection, self._table).compile(dialect=connection.dialect)
            assert compiled.positiontup is not None, "the parameters of both drivers have positions"
            self._compiled = str(compiled), compiled.positiontup
        statement, names = self._compiled
        await connection.exec_driver_sql(statement, [tuple([row[name] for name in names]) for row in rows])
