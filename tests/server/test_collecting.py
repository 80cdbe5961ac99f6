"""How often a server's process collects garbage."""

from pathlib import Path

from support.migrated import MigratedDatabases
from support.spools import run_python

SECONDS = 60.0

PROGRAM = """
import asyncio, gc, os, signal, sys
from pecia_service.server.app import serve
from pecia_service.settings import Settings

def started(_):
    print(*gc.get_threshold(), gc.get_freeze_count() > 10_000)
    os.kill(os.getpid(), signal.SIGTERM)

before = gc.get_threshold()
settings = Settings.load(
    {"PECIA_LISTEN": "127.0.0.1:0", "PECIA_DATABASE_URL": sys.argv[1], "PECIA_AUDIT_SPOOL_DIR": sys.argv[2]}
)
asyncio.run(serve(settings, started))
print(*before)
"""


async def test_a_server_looks_for_garbage_less_often(
    migrated_databases: MigratedDatabases, tmp_path: Path
) -> None:
    """Among more new objects, and not among those that are there from the start."""
    url = await migrated_databases.create_sqlite(tmp_path / "pecia.db")
    process = run_python(PROGRAM, url, tmp_path / "spool")
    said, _ = process.communicate(timeout=SECONDS)
    (young, *rest, frozen), before = (line.split() for line in said.splitlines())
    assert ("10000", before[1:], "True") == (young, rest, frozen)
