"""What a database's errors tell: they end up in logs, so never the values of a statement."""

import pytest
from pecia_service.storage.engine import Database
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection


async def test_errors_hide_the_values(database: Database) -> None:
    """The text of a faulty statement's error has the statement and not what it was given."""

    async def fail(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1 FROM nothing WHERE 'x' = :value"), {"value": "my-secret"})

    with pytest.raises(DBAPIError) as caught:
        await database.read(fail)
    assert [True, False] == [part in str(caught.value) for part in ("FROM nothing", "my-secret")]
