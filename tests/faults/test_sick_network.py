"""A database behind a slow, half-open or cutting network: calls end in time, and the pool recovers."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import asyncpg
import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from support.counters import checked_out
from support.faults.figures import Fault, Figures
from support.faults.load import rows
from support.faults.proxy import GOOD, Behaviour, FaultProxy, proxied
from support.faults.scale import seed, size
from support.faults.tasks import left_over, running
from support.server import LiveServer, live_server
from support.wire import label_ref, payload, publish, template, version_ref

POOL = 4
CALLERS = 8
TIMEOUT = 1.0
DEADLINE = 6.0
# What a loaded machine may need to tell a client that its deadline has passed.
SLACK = 1.0
RECOVERY_SECONDS = 15.0
PROXY = ("FaultProxy.", "_Link.")


def hang(proxy: FaultProxy) -> None:
    """Let nothing pass any more, nor tell anybody."""
    proxy.behave(Behaviour(forwards=False))


def vanish(proxy: FaultProxy) -> None:
    """Lose the far side of what is connected, and hang what connects anew."""
    proxy.half_open()
    proxy.behave(Behaviour(forwards=False))


def refuse(proxy: FaultProxy) -> None:
    """Reset what is connected, and what connects anew."""
    proxy.reset()
    proxy.behave(Behaviour(accepts=False))


SICKNESSES: dict[str, Callable[[FaultProxy], None]] = {
    "slow": lambda proxy: proxy.behave(Behaviour(delay=0.1)),
    "a trickle": lambda proxy: proxy.behave(Behaviour(bytes_per_second=2_000)),
    "black hole": hang,
    "half-open": FaultProxy.half_open,
    "half-open, then silent": vanish,
    "reset": FaultProxy.reset,
    "refused": refuse,
    "cut in a statement": lambda proxy: proxy.behave(Behaviour(cut_after=300)),
}


@dataclass
class Calls:
    """Calls that need the database, one after the other."""

    server: LiveServer
    random: Random
    ended: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def any(self) -> Awaitable[object]:
        """Begin a call of a random kind."""
        registry, prompts = self.server.registry, self.server.prompts
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: prompts.Render(
                pb.RenderRequest(bundle=label_ref("live"), payload=payload()), timeout=DEADLINE
            ),
            lambda: registry.GetBundle(registry_pb.GetBundleRequest(bundle=version_ref()), timeout=DEADLINE),
            lambda: registry.ListTemplates(registry_pb.ListTemplatesRequest(), timeout=DEADLINE),
            lambda: prompts.ListAuditRecords(pb.ListAuditRecordsRequest(), timeout=DEADLINE),
            lambda: registry.PublishTemplate(
                registry_pb.PublishTemplateRequest(template=template(f"t{self.random.randrange(10**9)}")),
                timeout=DEADLINE,
            ),
            lambda: registry.SetLabel(
                registry_pb.SetLabelRequest(
                    bundle_id="companion", label=f"l{self.random.randrange(3)}", semver="1.0.0"
                ),
                timeout=DEADLINE,
            ),
        ]
        return self.random.choice(calls)()

    async def once(self) -> bool:
        """Make a call, and note how it ended and how long it took; tell whether it succeeded."""
        begun = time.monotonic()
        try:
            await self.any()
            code = "OK"
        except aio.AioRpcError as error:
            code = error.code().name
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.ended[code] += 1
        return code == "OK"

    async def wave(self, count: int) -> bool:
        """Make so many calls of each caller, all callers at once; tell whether every one succeeded."""

        async def caller() -> bool:
            return all([await self.once() for _ in range(count)])

        return all(await asyncio.gather(*(caller() for _ in range(CALLERS))))


async def prepare(url: str) -> None:
    """Publish what the calls are about, by a server that is in no hurry."""
    async with live_server(url, audit_sink="null") as server:
        await publish(server.registry)
        await server.registry.SetLabel(
            registry_pb.SetLabelRequest(bundle_id="companion", label="live", semver="1.0.0")
        )


async def backends(url: str) -> list[str]:
    """Return the state of each of the database's connections, aside from the one that asks."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT coalesce(state, 'starting') AS state FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [row["state"] for row in rows]
    finally:
        await connection.close()


async def settled(url: str) -> list[str]:
    """Wait until the database has no more connections than the pool, all idle; return their states."""
    async with asyncio.timeout(RECOVERY_SECONDS):
        while True:
            states = await backends(url)
            if len(states) <= POOL and set(states) <= {"idle"}:
                return states


async def render_cached(server: LiveServer, count: int) -> set[str]:
    """Render a bundle that is cached; return the ids."""
    request = pb.RenderRequest(bundle=version_ref(), payload=payload())
    answers = [await server.prompts.Render(request, timeout=DEADLINE) for _ in range(count)]
    return {answer.receipt.render_id for answer in answers}


async def recover(calls: Calls) -> tuple[float, int]:
    """Call until a whole wave succeeds; return the seconds that took, and how many calls failed."""
    begun, failed = time.monotonic(), calls.ended.total() - calls.ended["OK"]
    async with asyncio.timeout(RECOVERY_SECONDS):
        while not await calls.wave(1):
            pass
    return time.monotonic() - begun, calls.ended.total() - calls.ended["OK"] - failed


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("sickness", SICKNESSES)
async def test_a_sick_network_leaves_nothing_behind(
    sickness: str, migrated_database_url: str, figures: Figures
) -> None:
    """Each call ends by its deadline; then calls succeed, and no connection, task or record is lost."""
    rounds, waves = size(1, 4), size(1, 3)
    seconds, failed, longest, ids = 0.0, 0, 0.0, set[str]()
    await prepare(migrated_database_url)
    async with (
        proxied(migrated_database_url) as (proxy, url),
        live_server(
            url,
            database_pool_size=str(POOL),
            database_connect_timeout=str(TIMEOUT),
            database_statement_timeout=str(TIMEOUT),
            audit_durability="memory",
        ) as server,
    ):
        sick, well = Calls(server, Random(seed())), Calls(server, Random(seed()))
        # The first connections may take longer than this server waits for one.
        await recover(well)
        ids |= await render_cached(server, 1)
        tasks = await running(PROXY)
        for _ in range(rounds):
            SICKNESSES[sickness](proxy)
            _, more = await asyncio.gather(sick.wave(waves), render_cached(server, 20))
            ids |= more
            proxy.behave(GOOD)
            took, failures = await recover(well)
            seconds, failed = max(seconds, took), failed + failures
            longest = max(longest, sick.slowest)
        assert await server.application.sink.flush(RECOVERY_SECONDS)
        states = await settled(migrated_database_url)
        lent = checked_out(server.application.database)
        left = await left_over(tasks, RECOVERY_SECONDS, PROXY)
        dropped = server.application.sink.status().dropped
        recorded = {render_id for render_id, _ in await rows(migrated_database_url)}
    figures.add(
        Fault.SICK_NETWORK,
        f"{sickness}, {rounds} times",
        calls_meanwhile=", ".join(f"{count} {code}" for code, count in sorted(sick.ended.items())),
        slowest=f"{longest:.1f} s of {DEADLINE:.0f} s",
        whole_again_after=f"{seconds:.1f} s",
        failed_after_it=failed,
        connections=f"{len(states)} of {POOL}, {lent} lent",
        tasks_left=left.total(),
        records_lost=len(ids - recorded),
    )
    assert set(sick.ended) <= {"OK", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
    assert longest <= DEADLINE + SLACK
    assert (0, {}) == (lent, left)
    assert (set(), 0) == (ids - recorded, dropped)
