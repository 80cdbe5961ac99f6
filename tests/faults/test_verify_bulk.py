"""One bad record among 100,000 is found, in memory that does not grow."""

import psutil  # type: ignore[import-untyped] # its stubs are a package that nothing else here needs
import pytest
from pecia_service.audit.comparison import ReplayCause, ReplayResult
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.service import VerifyProgress, VerifySummary
from pecia_service.audit.store import AuditStore
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import audit_records
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.audit import TENANT, make_audit, make_payload, make_pieces, make_receipt, publish_pieces, render

RECORDS = 100_000
BAD = 61_803
BATCH = 5_000

# What a few pages of records can weigh, and far less than the 60 MB that all of them would.
NOISE_BYTES = 4 * 1024 * 1024


async def fill(database: Database) -> None:
    """Publish the pieces, and keep records of 50 payloads in turn."""
    pieces = make_pieces()
    await publish_pieces(Registry(RegistryStore(database), lambda: 0), pieces)
    payloads = [make_payload(f"Task {number}.", number=number) for number in range(50)]
    rendered = [(render(pieces, payload), payload) for payload in payloads]

    def record(number: int) -> AuditRecord:
        result, payload = rendered[number % len(rendered)]
        receipt = make_receipt(result, number)
        return make_record(
            TENANT, receipt, result, payload, inline=False, keep_prompt=True, keep_payload=True
        )

    store = AuditStore(database)
    for start in range(0, RECORDS, BATCH):
        await store.insert_many([record(number) for number in range(start, start + BATCH)])


async def damage(database: Database) -> str:
    """Change one byte of one stored prompt; return its render id."""
    result = render(make_pieces(), make_payload(f"Task {BAD % 50}.", number=BAD % 50))
    render_id = make_receipt(result, BAD).render_id

    async def work(connection: AsyncConnection) -> None:
        changed = func.replace(audit_records.c.prompt, "Juna", "Jana")
        await connection.execute(
            update(audit_records).where(audit_records.c.render_id == render_id).values(prompt=changed)
        )

    await database.write(work)
    return render_id


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_one_bad_record_among_many_is_found_in_constant_memory(database: Database) -> None:
    """Exactly one finding; after the first fifth of the run memory stays where it is."""
    await fill(database)
    bad = await damage(database)
    found: list[ReplayResult] = []
    progress: list[int] = []
    resident: list[int] = []
    summary: VerifySummary | None = None
    process = psutil.Process()
    async for event in make_audit(database).verify(TENANT, AuditFilter()):
        match event:
            case VerifyProgress():
                progress.append(event.checked)
                resident.append(process.memory_info().rss)
            case ReplayResult():
                found.append(event)
            case VerifySummary():
                summary = event
    [finding] = found
    assert (finding.render_id, [each.cause for each in finding.findings]) == (
        bad,
        [ReplayCause.RECORD_DAMAGED],
    )
    assert summary == VerifySummary(checked=RECORDS, matched=RECORDS - 1, mismatched=1)
    assert progress == list(range(0, RECORDS + 1, 1_000))
    fifth = len(resident) // 5
    assert max(resident[-fifth:]) - max(resident[:fifth]) < NOISE_BYTES
