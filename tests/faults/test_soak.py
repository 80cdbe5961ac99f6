"""Mixed load for a long time: the memory in use stays where it was after the warm-up."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from support.faults.figures import Fault, Figures
from support.faults.scale import seed, size
from support.faults.served import SECONDS, connected, serving
from support.faults.storm import Storm, prepare
from support.faults.trend import fit
from support.migrated import MigratedDatabases
from support.postgres import PostgresServer

# Of ten clients one goes away before it is answered.
CANCELLED_SHARE = 0.1


async def test_the_memory_in_use_does_not_grow(
    migrated_databases: MigratedDatabases, postgres_server: PostgresServer, tmp_path: Path, figures: Figures
) -> None:
    """On both engines at once; a third of the time is the warm-up, in which caches fill."""
    seconds = size(10, 600)
    # What ten seconds show is mostly the warm-up; then the allocator's arenas are the steps.
    noise = size(24, 3) * 2**20
    urls = {
        "sqlite": await migrated_databases.create_sqlite(tmp_path / "soak.db"),
        "postgresql": await migrated_databases.create_postgres(postgres_server),
    }
    storms: dict[str, Storm] = {}
    async with AsyncExitStack() as stack:
        servers = []
        for engine, url in urls.items():
            server = await stack.enter_async_context(
                serving(
                    url,
                    flat=True,
                    audit_spool_dir=tmp_path / engine,
                    cache_bytes=2**18,
                    database_pool_size=4,
                    # A queue for the few connections is no outage, however slow the machine.
                    database_connect_timeout=SECONDS,
                )
            )
            client = await stack.enter_async_context(connected(server.target))
            await prepare(client.registry)
            storms[engine] = Storm(
                client.prompts,
                client.registry,
                Random(seed()),
                lambda server=server: server.resident,  # type: ignore[misc]  # a default binds it now
                CANCELLED_SHARE,
            )
            servers.append(server)
        await asyncio.gather(*(storm.blow(seconds) for storm in storms.values()))
        for server in servers:
            await server.stopped(4 * SECONDS)
    trends = {engine: fit(storm.resident[len(storm.resident) // 3 :]) for engine, storm in storms.items()}
    for engine, storm in storms.items():
        figures.add(
            Fault.SOAK,
            f"{engine}, {seconds} s",
            calls=storm.ended.total(),
            cancelled=storm.ended["CANCELLED"],
            failed=len(storm.failed),
            resident=f"{storm.resident[-1] / 2**20:.0f} MiB",
            growth_after_a_third=f"{trends[engine]}, 95 % confidence",
        )
        assert [] == storm.failed
        assert trends[engine].within_noise(noise)
