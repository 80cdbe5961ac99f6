"""Two processes over one database, used at random, answer as if there were one call at a time."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from pecia.v1 import registry_service_pb2 as registry_pb
from support.faults.figures import Fault, Figures
from support.faults.linearizable import check
from support.faults.load import rows
from support.faults.races import BUNDLE, COUNTER, History, RandomClient, prepare
from support.faults.registry_model import NO_LABEL
from support.faults.scale import seed, size
from support.faults.served import SECONDS, connected, serving

CLIENTS = 3
COUNTING_CLIENTS = 2


async def test_two_processes_behave_like_one(
    migrated_database_url: str, engine_name: str, tmp_path: Path, figures: Figures
) -> None:
    """No update is lost, no version changes or is missed, labels are linearizable, records prove prompts."""
    calls, turns = size(60, 500), size(5, 50)
    counted = 2 * COUNTING_CLIENTS * turns
    history, random = History(), Random(seed())
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                serving(migrated_database_url, audit_spool_dir=tmp_path / "spool", audit_settle_seconds=60)
            )
            for _ in range(2)
        ]
        clients = [
            (f"{number}.{index}", await stack.enter_async_context(connected(server.target)))
            for number, server in enumerate(servers)
            for index in range(CLIENTS + COUNTING_CLIENTS)
        ]
        await prepare(clients[0][1], counted)
        async with asyncio.TaskGroup() as group:
            for place, (name, client) in enumerate(clients):
                user = RandomClient(name, client, history, Random(random.random()))
                counts = place % (CLIENTS + COUNTING_CLIENTS) >= CLIENTS
                group.create_task(user.count(turns) if counts else user.run(calls))
        listed = await clients[0][1].registry.ListLabels(registry_pb.ListLabelsRequest(bundle_id=BUNDLE))
        (reached,) = [label.semver for label in listed.labels if label.label == COUNTER]
        for server in servers:
            await server.stopped(2 * SECONDS)
    recorded = {render_id for render_id, _ in await rows(migrated_database_url)}
    verdicts = {key: check(calls, NO_LABEL) for key, calls in history.labels.items()}
    verdicts_of_versions = {key: check(calls, "") for key, calls in history.versions.items()}
    broken = [
        f"{key}: {verdict.stuck_at}"
        for key, verdict in (verdicts | verdicts_of_versions).items()
        if not verdict.linearizable
    ]
    figures.add(
        Fault.RACES,
        f"{engine_name}, 2 processes, {len(clients)} clients",
        calls_judged=history.calls,
        labels=len(verdicts),
        versions=len(verdicts_of_versions),
        not_linearizable=len(broken),
        increments=f"{history.counted} of {reached.partition('.')[0]}",
        proved=history.verified,
        replayed_before_written=history.pending,
        other_faults=len(history.faults),
    )
    assert ([], []) == (history.faults, broken)
    assert (counted, f"{counted}.0.0") == (history.counted, reached)
    assert set(history.rendered) <= recorded
    assert history.verified > 0
