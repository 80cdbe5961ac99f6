"""Clients that go away at random points: nothing of their calls stays behind."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from structlog.testing import capture_logs
from support.counters import checked_out
from support.faults.figures import Fault, Figures
from support.faults.load import account
from support.faults.scale import seed, size
from support.faults.served import connected, serving
from support.faults.storm import Storm, prepare, reset_labels
from support.faults.tasks import left_over, running
from support.faults.trend import Trend, fit
from support.server import LiveServer, live_server
from support.wire import payload, version_ref

SECONDS = 30.0
IN_FLIGHT = 48

# A server's memory grows over its first calls: modules are imported, statements compiled, caches filled.
WARMING = 1_500
MOST_STORMS = 3

# The allocator's arenas and the database's page caches come in steps of about a MiB.
NOISE_BYTES = 4 * 2**20


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server that takes few calls at once, with a bundle in two versions."""
    async with live_server(
        migrated_database_url,
        max_in_flight=str(IN_FLIGHT),
        max_in_flight_per_caller=str(IN_FLIGHT),
        database_pool_size="4",
    ) as live:
        await prepare(live.registry)
        yield live


async def accepted(server: LiveServer, count: int) -> Counter[str]:
    """Open so many streams at once, and count how they were taken."""
    calls: list[Any] = [server.prompts.RenderStream(timeout=SECONDS) for _ in range(count)]
    taken: Counter[str] = Counter()
    request = pb.RenderStreamRequest(request=pb.RenderRequest(bundle=version_ref(), payload=payload()))
    for call in calls:
        answer: object = aio.EOF
        # A call that is refused may have ended before anything is written to it.
        with suppress(asyncio.InvalidStateError, aio.AioRpcError):
            await call.write(request)
            answer = await call.read()
        taken[(await call.code()).name if answer is aio.EOF else "OK"] += 1
    for call in calls:
        if not call.done():
            await call.done_writing()
        await call.code()
    return taken


async def history(server: LiveServer, label: str) -> list[tuple[int, str, str]]:
    """Return the revision of each event of a label, with the versions before and after, the oldest first."""
    events, token = [], ""
    while True:
        page = await server.registry.ListLabelEvents(
            registry_pb.ListLabelEventsRequest(
                bundle_id="companion", label=label, page_size=200, page_token=token
            )
        )
        events += [(event.revision, event.from_semver, event.to_semver) for event in page.events]
        if not (token := page.next_page_token):
            return events[::-1]


def unbroken(events: list[tuple[int, str, str]]) -> bool:
    """Tell whether each event begins where the one before ended."""
    ends = ["", *(after for _, _, after in events)]
    return all(
        (revision, before) == (number, ends[number - 1])
        for number, (revision, before, _) in enumerate(events, 1)
    )


async def test_cancelled_calls_leave_nothing_behind(
    server: LiveServer, engine_name: str, figures: Figures, migrated_database_url: str
) -> None:
    """No task, connection, lock or slot of a call outlives it."""
    count = size(300, 10_000)
    await accepted(server, 1)
    before = await running()
    storm = Storm(server.prompts, server.registry, Random(seed()), lambda: 0)
    with capture_logs() as logs:
        await storm.rage(count)
        assert await server.application.sink.flush(SECONDS)
        # A lock that was left behind would hold these up.
        async with asyncio.timeout(SECONDS):
            await reset_labels(server.registry)
        left = await left_over(before, SECONDS)
        lent = checked_out(server.application.database)
        full = await accepted(server, IN_FLIGHT)
        # A client has its status before the server has done with the call, and the slot is free.
        left += await left_over(before, SECONDS)
        beyond = await accepted(server, IN_FLIGHT + 1)
    result = await account(migrated_database_url, storm.acknowledged)
    whole = [unbroken(await history(server, label)) for label in ("a", "b")]
    figures.add(
        Fault.CANCELLATION,
        engine_name,
        calls=count,
        cancelled=storm.ended["CANCELLED"],
        tasks_left=left.total(),
        connections_lent=lent,
        slots_free=f"{full['OK']} of {IN_FLIGHT}",
        lost=result.lost,
    )
    assert ({}, 0, [True, True]) == (left, lent, whole)
    assert ({"OK": IN_FLIGHT}, {"OK": IN_FLIGHT, "RESOURCE_EXHAUSTED": 1}) == (full, beyond)
    assert [] == storm.failed
    assert 0 < storm.ended["CANCELLED"] < count
    assert (0, 0) == (result.lost, result.wrong)
    assert [] == [entry for entry in logs if entry["log_level"] == "error"]


async def test_cancelled_calls_leave_the_memory_flat(
    migrated_database_url: str, engine_name: str, tmp_path: Path, figures: Figures
) -> None:
    """In a process of its own, with caches that are soon full."""
    count = size(600, 10_000)
    async with (
        serving(
            migrated_database_url,
            flat=True,
            audit_spool_dir=tmp_path / "spool",
            database_pool_size=4,
            cache_bytes=2**18,
            log_level="info",
        ) as server,
        connected(server.target) as client,
    ):
        await prepare(client.registry)
        random = Random(seed())
        await Storm(client.prompts, client.registry, random, lambda: 0).rage(WARMING)
        # What an allocator takes once is no growth, whenever it comes: what leaks does so in every storm.
        trends: list[Trend] = []
        while len(trends) < MOST_STORMS and not (trends and trends[-1].within_noise(NOISE_BYTES)):
            storm = Storm(client.prompts, client.registry, random, lambda: server.resident)
            await storm.rage(count)
            trends.append(fit(storm.resident))
        await server.stopped()
    figures.add(
        Fault.CANCELLATION,
        f"{engine_name}, memory",
        storms=len(trends),
        calls=count,
        cancelled=storm.ended["CANCELLED"],
        growth=str(trends[-1]),
    )
    assert trends[-1].within_noise(NOISE_BYTES)
