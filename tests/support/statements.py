"""Counting the SQL statements that a database is sent."""

from collections.abc import Iterator
from contextlib import contextmanager

from pecia_service.storage.engine import Database
from sqlalchemy import event


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """Gather the statements that are executed within the block."""
    statements: list[str] = []

    def gather(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", gather)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", gather)
