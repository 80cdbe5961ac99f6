"""What a database's errors tell: they end up in logs, so never the values of a statement."""

import pytest
from pecia_service.storage.engine import Database
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

FAULTY = text("SELECT 1 FROM nothing WHERE 'x' = :value")


async def test_errors_hide_the_values(database: Database) -> None:
    """The text of a faulty statement's error has the statement and not what it was given."""
    with pytest.raises(DBAPIError) as caught:
        async with database.read() as connection:
            await connection.execute(FAULTY, {"value": "my-secret"})
    assert [True, False] == [part in str(caught.value) for part in ("FROM nothing", "my-secret")]
