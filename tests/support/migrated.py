"""Databases with the newest schema, copied from one that was migrated once."""

import shutil
from pathlib import Path

from pecia_service.storage.engine import Database
from pecia_service.storage.schema import migrate
from support.postgres import PostgresServer


class MigratedDatabases:
    """Makes migrated databases for one test session; each engine's migrations run at the first request."""

    def __init__(self, folder: Path) -> None:
        self._sqlite_template = folder / "template.db"
        self._postgres_template: str | None = None

    async def create_sqlite(self, file: Path) -> str:
        """Create a migrated SQLite database in a new file and return its URL."""
        if not self._sqlite_template.exists():
            await _migrate(f"sqlite:///{self._sqlite_template}")
        shutil.copyfile(self._sqlite_template, file)
        return f"sqlite:///{file}"

    async def create_postgres(self, server: PostgresServer) -> str:
        """Create a migrated database of the session's server and return its URL."""
        if self._postgres_template is None:
            template = await server.create_database()
            await _migrate(template)
            self._postgres_template = template
        return await server.create_database(self._postgres_template)


async def _migrate(url: str) -> None:
    database = Database.open(url)
    try:
        await migrate(database)
    finally:
        await database.dispose()
