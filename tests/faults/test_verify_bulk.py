"""One bad record among very many is found over a channel, in memory that does not grow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped] # its stubs are a package that nothing else here needs
import pytest
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import replay_pb2
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.store import AuditStore
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import audit_records
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.audit import TENANT, make_payload, make_pieces, make_receipt, publish_pieces, render
from support.server import LiveServer, live_server

BATCH = 5_000
PAYLOADS = 50

# What a few pages of records can weigh, and far less than the 60 MB that 100,000 of them would.
NOISE_BYTES = 4 * 1024 * 1024
MOST_RUNS = 3


async def fill(database: Database, count: int) -> None:
    """Publish the pieces, and keep records of 50 payloads in turn."""
    pieces = make_pieces()
    await publish_pieces(Registry(RegistryStore(database), lambda: 0), pieces)
    payloads = [make_payload(f"Task {number}.", number=number) for number in range(PAYLOADS)]
    rendered = [(render(pieces, payload), payload) for payload in payloads]

    def record(number: int) -> AuditRecord:
        result, payload = rendered[number % PAYLOADS]
        receipt = make_receipt(result, number)
        return make_record(
            TENANT, receipt, result, payload, inline=False, keep_prompt=True, keep_payload=True
        )

    store = AuditStore(database)
    for start in range(0, count, BATCH):
        await store.insert_many([record(number) for number in range(start, start + BATCH)])


async def damage(database: Database, number: int) -> str:
    """Change one byte of one stored prompt; return its render id."""
    kind = number % PAYLOADS
    result = render(make_pieces(), make_payload(f"Task {kind}.", number=kind))
    render_id = make_receipt(result, number).render_id

    async def work(connection: AsyncConnection) -> None:
        changed = func.replace(audit_records.c.prompt, "Juna", "Jana")
        await connection.execute(
            update(audit_records).where(audit_records.c.render_id == render_id).values(prompt=changed)
        )

    await database.write(work)
    return render_id


@dataclass
class Verified:
    """What a verification streamed, and how much memory was in use at each of its progress reports."""

    damaged: str
    findings: list[tuple[str, list[replay_pb2.ReplayCause]]] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    summary: replay_pb2.VerifySummary | None = None

    @property
    def growth(self) -> int:
        """By how many bytes more were in use in the last fifth of the run than in the first."""
        fifth = len(self.resident) // 5
        return max(self.resident[-fifth:]) - max(self.resident[:fifth])


@asynccontextmanager
async def filled(url: str, count: int, bad: int) -> AsyncIterator[tuple[LiveServer, str]]:
    """Serve many records of which one is damaged; give the server and that one's render id."""
    async with live_server(url) as server:
        await fill(server.application.database, count)
        yield server, await damage(server.application.database, bad)


async def verify(server: LiveServer, damaged: str) -> Verified:
    """Verify all records; server and client are this process."""
    process = psutil.Process()
    verified = Verified(damaged)
    async for event in server.prompts.VerifyAudit(pb.VerifyAuditRequest()):
        assert verified.summary is None
        match event.WhichOneof("event"):
            case "progress":
                verified.progress.append((event.progress.checked, event.progress.total))
                verified.resident.append(process.memory_info().rss)
            case "finding":
                causes = [finding.cause for finding in event.finding.findings]
                verified.findings.append((event.finding.render_id, causes))
            case "summary":
                verified.summary = event.summary
    return verified


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_one_bad_record_among_very_many_is_found_in_constant_memory(migrated_database_url: str) -> None:
    """Exactly one finding among 100,000; after the first fifth of the run memory stays where it is."""
    # What an allocator takes once is no growth, whenever it comes: what leaks does so in every run.
    runs: list[Verified] = []
    async with filled(migrated_database_url, 100_000, 61_803) as (server, damaged):
        while len(runs) < MOST_RUNS and not (runs and runs[-1].growth < NOISE_BYTES):
            runs.append(await verify(server, damaged))

    verified = runs[-1]
    assert [(verified.damaged, [replay_pb2.REPLAY_CAUSE_RECORD_DAMAGED])] == verified.findings
    assert replay_pb2.VerifySummary(checked=100_000, matched=99_999, mismatched=1) == verified.summary
    assert [(checked, 100_000) for checked in range(0, 100_001, 1_000)] == verified.progress
    assert verified.growth < NOISE_BYTES


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_one_bad_record_among_many_is_found_on_postgresql(migrated_database_url: str) -> None:
    """Exactly one finding among 5,000."""
    async with filled(migrated_database_url, 5_000, 3_090) as (server, damaged):
        verified = await verify(server, damaged)

    assert [(verified.damaged, [replay_pb2.REPLAY_CAUSE_RECORD_DAMAGED])] == verified.findings
    assert replay_pb2.VerifySummary(checked=5_000, matched=4_999, mismatched=1) == verified.summary
    assert [(checked, 5_000) for checked in range(0, 5_001, 1_000)] == verified.progress
