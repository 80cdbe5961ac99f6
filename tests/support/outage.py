"""A PostgreSQL server of a test's own, to be stopped and started in the midst of the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pecia_service.storage.engine import Database
from pecia_service.storage.schema import migrate
from support.postgres import PostgresServer


@asynccontextmanager
async def private_postgres() -> AsyncIterator[tuple[PostgresServer, str]]:
    """Start a server, and give it with the URL of a migrated database."""
    server = PostgresServer.create(durable=True)
    try:
        await server.start()
        url = await server.create_database()
        database = Database.open(url)
        try:
            await migrate(database)
        finally:
            await database.dispose()
        yield server, url
    finally:
        server.discard()
