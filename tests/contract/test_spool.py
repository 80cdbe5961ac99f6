"""The spool over a real database: what was recorded arrives once, whatever happened to its process."""

from pathlib import Path

from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.service import VerifySummary
from pecia_service.audit.sinks.spooled import Durability
from pecia_service.audit.store import AuditStore
from pecia_service.registry.service import Registry
from pecia_service.storage.engine import Database
from support.audit import TENANT, make_audit, make_pieces, publish_pieces, record_render, with_receipt
from support.spools import PATIENCE, left_behind, records, segment_of, spooling

ALL = AuditFilter()


async def verified(database: Database) -> VerifySummary:
    """Replay all records of the database."""
    summary = VerifySummary()
    async for event in make_audit(database).verify(TENANT, ALL):
        if isinstance(event, VerifySummary):
            summary = event
    return summary


async def test_what_goes_through_files_can_be_replayed(
    database: Database, registry: Registry, tmp_path: Path
) -> None:
    """Stored and inline renders, in memory and read back, prove to the byte."""
    await publish_pieces(registry, make_pieces())
    async with spooling(tmp_path, store=AuditStore(database), max_records=5, segment_bytes=10_000) as it:
        it.take([record_render(number, inline=bool(number % 2)) for number in range(40)])
        assert await it.sink.flush(PATIENCE)
    assert VerifySummary(checked=40, matched=40) == await verified(database)


async def test_what_was_delivered_already_is_not_there_twice(
    database: Database, registry: Registry, tmp_path: Path
) -> None:
    """A process that died between the commit and its note delivers again, which changes nothing."""
    await publish_pieces(registry, make_pieces())
    store = AuditStore(database)
    made = [record_render(number, inline=bool(number % 2)) for number in range(10)]
    await store.insert_many(made[:7])
    left_behind(tmp_path, segment_of(*made))
    async with spooling(tmp_path, store=store) as it:
        assert await it.sink.flush(PATIENCE)
    assert VerifySummary(checked=10, matched=10) == await verified(database)


async def test_a_redacted_record_stays_redacted(database: Database, tmp_path: Path) -> None:
    """A text that was erased does not come back out of a file."""
    store = AuditStore(database)
    [record] = records(1)
    await store.insert_many([record])
    await store.redact(TENANT, record.render_id, 1)
    left_behind(tmp_path, segment_of(record))
    async with spooling(tmp_path, store=store) as it:
        assert await it.sink.flush(PATIENCE)
    found = await store.get(TENANT, record.render_id)
    assert (None, None) == (found and found.prompt, found and found.payload)


async def test_with_commit_the_row_is_there_when_the_render_is_answered(
    database: Database, tmp_path: Path
) -> None:
    """Each of them, however many come together."""
    store = AuditStore(database)
    async with spooling(tmp_path, store=store, durability=Durability.COMMIT) as it:
        for record in records(5):
            recorded = it.sink.record(record)
            assert recorded is not None
            await recorded
            assert record.render_id == (await store.page(TENANT, ALL, limit=1))[0].record.render_id


async def test_a_record_that_no_database_takes_is_set_aside(database: Database, tmp_path: Path) -> None:
    """A time beyond what the column holds is refused; its neighbours are written."""
    store = AuditStore(database)
    good, bad, also_good = records(3)
    left_behind(tmp_path, segment_of(good, with_receipt(bad, created_at=2**63), also_good))
    async with spooling(tmp_path, store=store) as it:
        assert await it.sink.flush(PATIENCE)
        status = it.sink.status()
    assert (2, 1, 0, 2) == (status.written, status.damaged, status.dropped, await store.count(TENANT, ALL))
