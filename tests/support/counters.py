"""A table of counters, for tests of what transactions do to it."""

import asyncio
from typing import cast

from pecia_service.storage.engine import Database
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import QueuePool

INSERT = text("INSERT INTO counters VALUES (:name, 0)")
INCREMENT = text("UPDATE counters SET value = value + 1 WHERE name = :name")
READ = text("SELECT value FROM counters WHERE name = :name")


class Sleeper:
    """Remembers how long it was told to sleep, and lets others run instead."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, delay: float) -> None:
        """Sleep for no time."""
        self.delays.append(delay)
        await asyncio.sleep(0)


async def increment(connection: AsyncConnection, name: str = "a") -> None:
    """Add one to a counter."""
    await connection.execute(INCREMENT, {"name": name})


async def read(database: Database, name: str = "a") -> int:
    """Return a counter's value."""
    rows = await database.fetch(READ.bindparams(name=name))
    value: int = rows[0].value
    return value


def checked_out(database: Database) -> int:
    """Count the connections that are lent."""
    return cast(QueuePool, database.engine.pool).checkedout()
