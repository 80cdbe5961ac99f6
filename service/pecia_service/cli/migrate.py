"""`pecia migrate`: bring a database's schema to the revision that this version needs."""

from __future__ import annotations

import asyncio

import click

from pecia_service.cli.database import checked_url, database_errors, database_option
from pecia_service.cli.options import json_option
from pecia_service.cli.session import Session, pass_session
from pecia_service.storage.engine import Database
from pecia_service.storage.schema import current_revision
from pecia_service.storage.schema import migrate as migrate_schema

# A change of a large table takes longer than any statement of the service may.
_STATEMENT_TIMEOUT = 24 * 3600.0


@click.command(short_help="Migrate a database's schema.")
@database_option
@json_option
@pass_session
def migrate(session: Session, *, database_url: str, as_json: bool) -> None:
    """Migrate a database. One that is up to date stays as it is.

    Servers on SQLite do this by themselves; servers on PostgreSQL refuse to start until it is done.

    \b
    Example:
      pecia migrate --database-url postgresql://pecia@localhost/pecia
    """
    url = checked_url(database_url)
    with database_errors(url):
        before, after = asyncio.run(_migrate(url))
    if as_json:
        session.output.json({"from_revision": before, "to_revision": after})
    elif before == after:
        session.output.line(f"the database is at revision {after} already")
    else:
        session.output.line(f"migrated from {before or 'an empty database'} to revision {after}")


async def _migrate(url: str) -> tuple[str | None, str]:
    database = Database.open(url, pool_size=1, statement_timeout=_STATEMENT_TIMEOUT)
    try:
        before = await current_revision(database)
        return before, await migrate_schema(database)
    finally:
        await database.dispose()
