"""SIGTERM under load: what was accepted is answered, and the process ends in time, with 0."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from support.faults.figures import Fault, Figures
from support.faults.load import DEADLINE, Load, account
from support.faults.scale import seed, size
from support.faults.served import Client, connected, serving
from support.wire import publish

GRACE_SECONDS = 10.0

# Requests get the grace, then records do; what remains is what a process of Python needs to end.
END_SECONDS = 2 * GRACE_SECONDS + 5

CONNECTIONS = 3

# What arrives while gRPC tells its clients to go, gRPC itself cancels before it is accepted.
REFUSED = {"UNAVAILABLE", "CANCELLED", "stream UNAVAILABLE", "stream CANCELLED"}


class Verifier:
    """A client that verifies all records again and again."""

    def __init__(self) -> None:
        self.finished = 0
        self.refused = 0
        self.cut = 0

    async def run(self, client: Client, stop: asyncio.Event) -> None:
        """Verify until one fails; one that began to answer and did not finish was cut off."""
        while not stop.is_set():
            events: list[str | None] = []
            try:
                async for event in client.prompts.VerifyAudit(pb.VerifyAuditRequest(), timeout=DEADLINE):
                    events += [event.WhichOneof("event")]
            except aio.AioRpcError:
                self.cut += bool(events)
                self.refused += not events
                return
            assert events[-1] == "summary", events
            self.finished += 1


@dataclass(frozen=True)
class Stop:
    """What became of one stop: what clients saw, its seconds, and the failed calls in the server's log."""

    load: Load
    verifier: Verifier
    seconds: float
    failed: Counter[tuple[str, str]]


async def stop_under_load(url: str, spool: Path, after: int, name: str) -> Stop:
    """Tell a server to stop when so many renders are answered; return what clients saw, and its seconds."""
    load, verifier = Load(name), Verifier()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serving(url, audit_spool_dir=spool, shutdown_grace=GRACE_SECONDS)
        )
        clients = [await stack.enter_async_context(connected(server.target)) for _ in range(CONNECTIONS)]
        await publish(clients[0].registry)
        load.aim(after)
        never = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(load.unary(client, never))
                group.create_task(load.batches(client, never))
                group.create_task(load.stream_to_its_end(server.target))
            group.create_task(verifier.run(clients[0], never))
            await load.reached.wait()
            told = time.monotonic()
            await server.stopped(END_SECONDS)
            seconds = time.monotonic() - told
    failed = [(call["status"], call["reason"]) for call in server.events("call") if call["status"] != "OK"]
    return Stop(load, verifier, seconds, Counter(failed))


def moments(rounds: int) -> Iterator[tuple[int, int]]:
    """Number the rounds, and say after how many answers the server of each is told to stop."""
    random = Random(seed())
    for number in range(rounds):
        yield number, random.randrange(50, 600)


async def test_a_stop_under_load_cuts_nothing_off(
    migrated_database_url: str, engine_name: str, tmp_path: Path, figures: Figures
) -> None:
    """Each render that left a record was answered, and the other way round; the rest was refused."""
    rounds = size(1, 20)
    acknowledged: dict[str, str] = {}
    failures: Counter[str] = Counter()
    stops = []
    for number, after in moments(rounds):
        stop = await stop_under_load(migrated_database_url, tmp_path / "spool", after, f"stop {number}")
        acknowledged |= stop.load.acknowledged
        failures += stop.load.failures
        stops.append(stop)
    cut = sum(stop.verifier.cut for stop in stops)
    refused = sum(stop.verifier.refused for stop in stops)
    longest = max(stop.seconds for stop in stops)
    result = await account(migrated_database_url, acknowledged)
    unanswered = result.recorded - (result.acknowledged - result.lost)
    figures.add(
        Fault.STOP,
        f"{engine_name}, {rounds} stops",
        acknowledged=result.acknowledged,
        accepted_and_not_answered=unanswered,
        cut_off=cut,
        lost=result.lost,
        refused=failures.total() + refused,
        longest_stop=f"{longest:.1f} s of {GRACE_SECONDS:.0f} s",
    )
    # A stream that is told to end has had an answer to each request that was read.
    assert {("UNAVAILABLE", "SERVER_STOPPING")} >= {failed for stop in stops for failed in stop.failed}
    assert (0, 0, 0, 0) == (unanswered, cut, result.lost, result.twice)
    assert set(failures) <= REFUSED
    assert longest <= GRACE_SECONDS
