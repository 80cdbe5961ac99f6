"""`kill -9` under load: each render that a client was answered has its audit row after the restart."""

import asyncio
import os
import signal
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.faults.figures import Fault, Figures
from support.faults.load import Load, account
from support.faults.scale import seed, size
from support.faults.served import SECONDS, Client, Served, connected, serving
from support.server import live_server
from support.wire import publish

CONNECTIONS = 3

# After how many answers a kill is due: while records wait, are written, and are settled.
SHORTEST_LIFE, LONGEST_LIFE = 5, 400


@dataclass
class Lives:
    """Lives of servers over one database and one spool, and what clients were answered in all of them."""

    url: str
    settings: dict[str, Any]
    load: Load = field(default_factory=lambda: Load("kill"))
    recovered: int = 0
    damaged: int = 0

    def read(self, server: Served) -> None:
        """Count what the server found of the lives before."""
        self.recovered += sum(entry["count"] for entry in server.events("audit_records_recovered"))
        self.damaged += sum(entry["set_aside"] for entry in server.events("audit_spool_damaged"))

    async def render(
        self, clients: list[Client], group: asyncio.TaskGroup, answers: int, stop: asyncio.Event
    ) -> None:
        """Begin to render in every way, and wait for so many answers; a caller ends at its first failure."""
        self.load.aim(answers)
        for client in clients:
            for caller in (self.load.unary, self.load.unary, self.load.batches, self.load.stream):
                group.create_task(caller(client, stop))
        async with asyncio.timeout(SECONDS):
            await self.load.reached.wait()

    async def live(self, answers: int) -> None:
        """Live one life, from the start to the kill."""
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(serving(self.url, **self.settings))
            clients = [await stack.enter_async_context(connected(server.target)) for _ in range(CONNECTIONS)]
            async with asyncio.TaskGroup() as group:
                await self.render(clients, group, answers, asyncio.Event())
                server.kill()
            await server.ended()
            self.read(server)

    async def settle(self) -> None:
        """Live a last life, in which nothing is asked and everything is written."""
        async with serving(self.url, **self.settings) as server:
            await server.stopped(2 * SECONDS)
            self.read(server)


async def prepare(url: str) -> None:
    """Publish what is rendered."""
    async with live_server(url, audit_sink="null") as server:
        await publish(server.registry)


def answers(random: Random) -> int:
    """Return in how many answers the next kill is due."""
    return random.randint(SHORTEST_LIFE, LONGEST_LIFE)


async def test_a_killed_server_has_lost_nothing(
    migrated_database_url: str, engine_name: str, tmp_path: Path, figures: Figures
) -> None:
    """Killed again and again, also while it recovers: no acknowledged render is missing or there twice."""
    kills, random = size(3, 50), Random(seed())
    spool = tmp_path / "spool"
    await prepare(migrated_database_url)
    lives = Lives(migrated_database_url, {"audit_spool_dir": spool, "shutdown_grace": SECONDS})
    for _ in range(kills):
        await lives.live(answers(random))
    await lives.settle()
    result = await account(migrated_database_url, lives.load.acknowledged)
    figures.add(
        Fault.KILL,
        f"{engine_name}, one process",
        kills=kills,
        acknowledged=result.acknowledged,
        lost=result.lost,
        wrong=result.wrong,
        twice=result.twice,
        recovered_from_the_spool=lives.recovered,
        damaged=lives.damaged,
    )
    assert (0, 0, 0, 0) == (result.lost, result.wrong, result.twice, lives.damaged)
    assert lives.recovered > 0


async def test_a_killed_worker_has_lost_nothing(
    migrated_database_url: str, engine_name: str, tmp_path: Path, figures: Figures
) -> None:
    """The other worker and its successor take over what it left, while they go on serving."""
    kills, random = size(1, 50), Random(seed())
    spool = tmp_path / "spool"
    await prepare(migrated_database_url)
    settings: dict[str, Any] = {"audit_spool_dir": spool, "shutdown_grace": SECONDS, "workers": 2}
    lives = Lives(migrated_database_url, settings)
    async with serving(migrated_database_url, **settings) as server:
        for number in range(kills):
            async with AsyncExitStack() as stack:
                clients = [
                    await stack.enter_async_context(connected(server.target)) for _ in range(CONNECTIONS)
                ]
                async with asyncio.TaskGroup() as group:
                    stop = asyncio.Event()
                    await lives.render(clients, group, answers(random), stop)
                    os.kill(random.choice(server.workers), signal.SIGKILL)
                    await server.logged("worker serves", 3 + number)
                    stop.set()
        await server.stopped(2 * SECONDS)
        lives.read(server)
    await lives.settle()
    result = await account(migrated_database_url, lives.load.acknowledged)
    figures.add(
        Fault.KILL,
        f"{engine_name}, one of two workers",
        kills=kills,
        acknowledged=result.acknowledged,
        lost=result.lost,
        wrong=result.wrong,
        twice=result.twice,
        recovered_from_the_spool=lives.recovered,
        damaged=lives.damaged,
    )
    assert (0, 0, 0, 0) == (result.lost, result.wrong, result.twice, lives.damaged)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(("durability", "kept"), [("memory", False), ("spool", True), ("fsync", True)])
async def test_only_what_is_not_spooled_is_lost(
    durability: str, kept: bool, migrated_database_url: str, tmp_path: Path, figures: Figures
) -> None:
    """Killed while the database takes nothing: in memory every record is lost, and the loss is seen."""
    spool = tmp_path / "spool"
    await prepare(migrated_database_url)
    lives = Lives(migrated_database_url, {"audit_spool_dir": spool, "audit_durability": durability})
    with closing(sqlite3.connect(migrated_database_url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        await lives.live(100)
    await lives.settle()
    result = await account(migrated_database_url, lives.load.acknowledged)
    figures.add(
        Fault.KILL,
        f"sqlite, the database locked, durability {durability}",
        kills=1,
        acknowledged=result.acknowledged,
        lost=result.lost,
        recovered_from_the_spool=lives.recovered,
    )
    assert (0 if kept else result.acknowledged) == result.lost
    assert result.acknowledged >= 100
