"""The audit's store on every engine: what goes in comes out, in pages, and only what is pruned is gone."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.store import AuditStore, Extent, Pruned
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.registry.model import Slot, Template
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import audit_piece_uses, audit_pieces
from pecia_service.storage.upsert import insert_or_lock
from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.audit import EPOCH_MS, TENANT, make_payload, make_pieces, make_template, record_render
from support.statements import counted_statements

ALL = AuditFilter()
FIRST = EPOCH_MS * 1000
"""The time of the first record, in microseconds."""


@pytest.fixture
def store(database: Database) -> AuditStore:
    """Give a store over an empty database."""
    return AuditStore(database)


def kept(record: AuditRecord) -> AuditRecord:
    """Return a record as it is read back: its pieces are kept apart."""
    return dataclasses.replace(record, pieces=())


def inline_record(number: int, *tasks: str) -> AuditRecord:
    """Make an inline record of the usual pieces, or of others in the task's slot."""
    return record_render(number, pieces=make_pieces(task=tasks[0]) if tasks else None, inline=True)


def ids(records: Sequence[AuditRecord]) -> list[str]:
    """Return render ids."""
    return [record.render_id for record in records]


async def count_rows(database: Database, *tables: str) -> list[int]:
    """Count the rows of tables."""
    return [(await database.fetch(text(f"SELECT count(*) FROM {table}")))[0][0] for table in tables]


def replace_file(database: Database, change: Callable[[bytes], bytes]) -> bytes:
    """Change the file of a database that is closed, and return what it was."""
    path = Path(database.url.location)
    data = path.read_bytes()
    path.write_bytes(change(data))
    return data


async def scanned(store: AuditStore, wanted: AuditFilter = ALL, **bounds: int) -> list[list[AuditRecord]]:
    """Return the pages of a scan."""
    extent = await store.extent(TENANT, wanted)
    assert extent.last is not None
    async with aclosing(store.scan(TENANT, wanted, extent.last, **bounds)) as pages:
        return [page async for page in pages]


async def test_a_record_comes_back_as_it_was(store: AuditStore) -> None:
    """Every field survives, with text of every plane."""
    payload = make_payload('J\u00fcna \U0001f600 \\ "quoted"\n', mood="\ue000\U00010000")
    records = [
        record_render(0, payload=payload),
        record_render(1, keep_prompt=False),
        record_render(2, keep_payload=False),
        inline_record(3),
    ]
    await store.insert_many(records)
    found = [await store.get(TENANT, record.render_id) for record in records]
    assert found == [kept(record) for record in records]


async def test_records_wait_for_a_table_that_was_taken_away(store: AuditStore, database: Database) -> None:
    """What an operator can mend is no reason to give records up: they are written once the table is back."""

    async def rename(old: str, new: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

        await database.write(work)

    record = record_render(0)
    await rename("audit_records", "audit_records_away")
    with pytest.raises(UnavailableError) as caught:
        await store.insert_many([record])
    await rename("audit_records_away", "audit_records")
    await store.insert_many([record])
    assert (caught.value.reason, await store.get(TENANT, record.render_id)) == (
        ErrorReason.STORAGE_UNAVAILABLE,
        kept(record),
    )


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_records_wait_for_a_damaged_file_to_be_restored(store: AuditStore, database: Database) -> None:
    """Another record would fare no better: none is at fault."""
    await database.dispose()
    whole = replace_file(database, lambda data: data[:4096] + b"\xff" * (len(data) - 4096))
    with pytest.raises(UnavailableError):
        await store.insert_many([record_render(0)])
    await database.dispose()
    replace_file(database, lambda _: whole)
    await store.insert_many([record_render(0)])
    assert kept(record_render(0)) == await store.get(TENANT, record_render(0).render_id)


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("state", ["42501", "XX002"])
async def test_records_wait_for_a_server_that_is_mended(
    store: AuditStore, database: Database, state: str
) -> None:
    """A right that is missing and a broken index say nothing of the record."""

    async def broken(connection: AsyncConnection) -> None:
        body = f"BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END"
        await connection.execute(
            text(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        )
        await connection.execute(
            text("CREATE TRIGGER fail BEFORE INSERT ON audit_records EXECUTE FUNCTION fail()")
        )

    await database.write(broken)
    with pytest.raises(UnavailableError) as caught:
        await store.insert_many([record_render(0)])
    assert ErrorReason.STORAGE_UNAVAILABLE == caught.value.reason


async def test_a_record_that_the_database_refuses_is_an_error_of_its_own(store: AuditStore) -> None:
    """What no operator can mend is told apart, so that the others can go on without it."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each driver has its own
        await store.insert_many([dataclasses.replace(record_render(0), tenant_id=None)])  # type: ignore[arg-type]  # what no caller gives
    assert not isinstance(caught.value, UnavailableError)


async def test_an_absent_record_is_none(store: AuditStore) -> None:
    """There is no error on this level."""
    assert await store.get(TENANT, record_render().render_id) is None


async def test_delivering_again_changes_nothing(store: AuditStore) -> None:
    """A batch may be written twice, also when a part of it was redacted meanwhile."""
    records = [inline_record(0), record_render(1)]
    await store.insert_many(records)
    redacted = await store.redact(TENANT, records[1].render_id, 7)
    await store.insert_many([*records, record_render(2)])
    found = [await store.get(TENANT, record.render_id) for record in records]
    assert (found, await store.count(TENANT, ALL)) == ([kept(records[0]), redacted], 3)


async def test_a_batch_is_few_statements(store: AuditStore, database: Database) -> None:
    """However many records it has, a batch is one statement for each table, and BEGIN on SQLite."""
    with counted_statements(database) as statements:
        await store.insert_many([inline_record(number) for number in range(50)])
    inserts = [statement for statement in statements if statement.startswith("INSERT")]
    assert (len(inserts), len(statements) <= 4) == (3, True)


async def test_tenants_do_not_meet(store: AuditStore) -> None:
    """One tenant's records are not another's, in any question."""
    theirs = record_render(tenant_id="acme", inline=True)
    await store.insert_many([theirs])
    use = theirs.templates[0]
    answers = (
        await store.get(TENANT, theirs.render_id),
        await store.page(TENANT, ALL, limit=10),
        await store.extent(TENANT, ALL),
        await store.load_pieces(TENANT, [use.definition_hash]),
        await store.redact(TENANT, theirs.render_id, 1),
        await store.prune_batch(TENANT, FIRST + 1),
    )
    assert answers == (None, [], Extent(0, None), {}, None, Pruned(0, 0))


async def test_tenants_with_records_are_found_in_order(store: AuditStore) -> None:
    """Retention goes from tenant to tenant."""
    await store.insert_many([record_render(n, tenant_id=tenant) for n, tenant in enumerate(["b", "a", "B"])])
    found, tenant = [], ""
    while following := await store.next_tenant(tenant):
        found.append(tenant := following)
    assert found == ["B", "a", "b"]


async def test_pages_are_newest_first(store: AuditStore) -> None:
    """A page follows the place where the one before ended, also among records of one moment."""
    records = [record_render(number) for number in range(5)]
    same = [
        dataclasses.replace(record, receipt=dataclasses.replace(record.receipt, created_at=FIRST + 2000))
        for record in records[1:4]
    ]
    await store.insert_many([records[0], *same, records[4]])
    found: list[AuditRecord] = []
    before = None
    while page := await store.page(TENANT, ALL, limit=2, before=before):
        found += [entry.record for entry in page]
        before = (found[-1].receipt.created_at, found[-1].render_id)
    assert ids(found) == ids(records)[::-1]


async def test_a_page_tells_what_is_kept_and_leaves_it_out(store: AuditStore) -> None:
    """Lists carry no texts."""
    records = [record_render(0), record_render(1, keep_prompt=False), record_render(2, keep_payload=False)]
    await store.insert_many(records)
    entries = await store.page(TENANT, ALL, limit=10)
    assert [(entry.payload_kept, entry.prompt_kept) for entry in entries] == [
        (False, True),
        (True, False),
        (True, True),
    ]
    assert [entry.record for entry in entries] == [
        dataclasses.replace(record, payload=None, prompt=None) for record in reversed(records)
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AuditFilter(), [0, 1, 2, 3]),
        (AuditFilter(start=FIRST + 1000), [1, 2, 3]),
        (AuditFilter(end=FIRST + 1000), [0]),
        (AuditFilter(start=FIRST + 1000, end=FIRST + 3000), [1, 2]),
        (AuditFilter(bundle_id="juna"), [0, 1, 2, 3]),
        (AuditFilter(bundle_id="other"), []),
        (AuditFilter(bundle_id="juna", semver="2.0.0"), [2]),
        (AuditFilter(prompt_hash=record_render(payload=make_payload("Sleep.")).receipt.prompt_hash), [3]),
    ],
    ids=["all", "start", "end", "between", "bundle", "no bundle", "version", "prompt"],
)
async def test_a_filter_selects(store: AuditStore, wanted: AuditFilter, expected: list[int]) -> None:
    """Lists, counts and scans select alike."""
    records = [
        record_render(0),
        record_render(1),
        record_render(2, pieces=make_pieces("2.0.0")),
        record_render(3, payload=make_payload("Sleep.")),
    ]
    await store.insert_many(records)
    chosen = [records[index].render_id for index in expected]
    listed = [entry.record.render_id for entry in await store.page(TENANT, wanted, limit=10)]
    extent = await store.extent(TENANT, wanted)
    pages = await scanned(store, wanted) if chosen else []
    assert (listed[::-1], extent.total, [id_ for page in pages for id_ in ids(page)]) == (
        chosen,
        len(chosen),
        chosen,
    )


async def test_a_scan_is_oldest_first_with_texts(store: AuditStore) -> None:
    """A scan gives whole records, in pages of a size."""
    records = [record_render(number) for number in range(5)]
    await store.insert_many(records)
    assert await scanned(store, max_records=2) == [records[:2], records[2:4], records[4:]]


async def test_a_page_of_a_scan_is_bounded_by_bytes(store: AuditStore) -> None:
    """Large texts make small pages; a single one may be larger than the bound."""
    tasks = ["a" * 1000, "b" * 1000, "c" * 1000, "d" * 5000, "\u20ac" * 400, "e"]
    records = [
        record_render(number, payload=make_payload(task), keep_payload=False)
        for number, task in enumerate(tasks)
    ]
    await store.insert_many(records)
    pages = await scanned(store, max_bytes=2500)
    assert [ids(page) for page in pages] == [
        ids(records[:2]),
        ids(records[2:3]),
        ids(records[3:4]),
        ids(records[4:]),
    ]


async def test_a_scan_ends_where_it_was_told(store: AuditStore) -> None:
    """Records that arrive meanwhile are left for the next run."""
    await store.insert_many([record_render(0), record_render(1)])
    extent = await store.extent(TENANT, ALL)
    assert extent.last is not None
    seen: list[str] = []
    async with aclosing(store.scan(TENANT, ALL, extent.last, max_records=1)) as pages:
        async for page in pages:
            seen += ids(page)
            await store.insert_many([record_render(10 + len(seen))])
    assert seen == ids([record_render(0), record_render(1)])


async def test_a_scan_that_is_left_holds_no_connection(store: AuditStore, database: Database) -> None:
    """Pages are statements of their own."""
    await store.insert_many([record_render(number) for number in range(3)])
    extent = await store.extent(TENANT, ALL)
    assert extent.last is not None
    pages = store.scan(TENANT, ALL, extent.last, max_records=1)
    await anext(pages)
    in_use = database.engine.pool.checkedout()  # type: ignore[attr-defined] # both engines have a queue pool
    await pages.aclose()
    assert in_use == 0


async def test_redaction_erases_the_texts_and_nothing_else(store: AuditStore) -> None:
    """Hashes and names stay."""
    record = inline_record(0)
    await store.insert_many([record])
    redacted = await store.redact(TENANT, record.render_id, 7)
    assert redacted == dataclasses.replace(kept(record), payload=None, prompt=None, redacted_at=7)


async def test_a_redacted_record_stays_as_it_is(store: AuditStore) -> None:
    """The first redaction's time is kept."""
    record = record_render()
    await store.insert_many([record])
    first = await store.redact(TENANT, record.render_id, 7)
    assert await store.redact(TENANT, record.render_id, 8) == first


async def test_inline_pieces_are_kept_once(store: AuditStore, database: Database) -> None:
    """Records of the same pieces share them."""
    await store.insert_many([inline_record(0), inline_record(1)])
    await store.insert_many([inline_record(2)])
    assert await count_rows(database, "audit_pieces", "audit_piece_uses") == [4, 12]


async def test_inline_pieces_come_back_by_their_hash(store: AuditStore) -> None:
    """A piece is read back as the template that it is; an unknown one is left out."""
    piece = make_template(
        Slot.TASK, constraints={"NO_EMOJI": True, "X": [1, None]}, description="D\u00e9j\u00e0"
    )
    await store.insert_many([dataclasses.replace(inline_record(0), pieces=(piece,))])
    found = await store.load_pieces(TENANT, [piece.definition_hash, "0" * 64])
    assert found == {piece.definition_hash: piece}


async def test_pruning_deletes_what_is_older_in_batches(store: AuditStore) -> None:
    """A batch is the oldest records; the time itself is not older."""
    await store.insert_many([record_render(number) for number in range(5)])
    before = FIRST + 3000
    pruned = [await store.prune_batch(TENANT, before, limit=2) for _ in range(3)]
    assert (pruned, ids((await scanned(store))[0])) == (
        [Pruned(2, 0), Pruned(1, 0), Pruned(0, 0)],
        ids([record_render(3), record_render(4)]),
    )


async def test_pruning_deletes_the_pieces_that_no_record_uses(store: AuditStore, database: Database) -> None:
    """Of two records that share three pieces, the older takes one piece along, the younger the rest."""
    await store.insert_many([inline_record(0), inline_record(1, "Do that: {{task}}"), record_render(2)])
    pruned = [await store.prune_batch(TENANT, FIRST + 10_000, limit=1) for _ in range(3)]
    assert (pruned, await count_rows(database, "audit_pieces", "audit_piece_uses")) == (
        [Pruned(1, 1), Pruned(1, 4), Pruned(1, 0)],
        [0, 0],
    )


async def blocked_backends(database: Database) -> int:
    """Count the transactions of this database that wait for another's lock."""
    rows = await database.fetch(
        text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    )
    count: int = rows[0][0]
    return count


async def wait_until_blocked(database: Database, task: asyncio.Task[Any]) -> None:
    """Wait until a transaction waits for a lock; PostgreSQL has no event for that."""
    while not await blocked_backends(database):
        assert not task.done(), "it should wait for the other transaction"


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_piece_that_is_being_used_again_is_not_pruned(store: AuditStore, database: Database) -> None:
    """A writer that finds a piece there keeps it from a pruner that looks for uses before it commits."""
    await store.insert_many([inline_record(0)])
    again = inline_record(1)
    piece = again.pieces[0]
    running: list[asyncio.Task[Pruned]] = []
    async with asyncio.timeout(30):

        async def use_and_wait(connection: AsyncConnection) -> Pruned:
            await connection.execute(
                insert_or_lock(connection, audit_pieces), [await stored_row(database, piece)]
            )
            use = {
                "tenant_id": TENANT,
                "render_id": again.render_id,
                "definition_hash": piece.definition_hash,
            }
            await connection.execute(audit_piece_uses.insert(), [use])
            pruning = asyncio.create_task(store.prune_batch(TENANT, FIRST + 1))
            running.append(pruning)
            await wait_until_blocked(database, pruning)
            return Pruned(0, 0)

        await database.write(use_and_wait)
        pruned = await running[0]
    assert (pruned, list(await store.load_pieces(TENANT, [piece.definition_hash]))) == (
        Pruned(1, 3),
        [piece.definition_hash],
    )


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_piece_that_is_being_pruned_is_stored_again(store: AuditStore, database: Database) -> None:
    """A writer waits for a pruner that holds a piece, and brings it back when it was deleted."""
    await store.insert_many([inline_record(0)])
    again = inline_record(1)
    chosen = audit_pieces.c.tenant_id == TENANT
    running: list[asyncio.Task[None]] = []

    async def delete_and_wait(connection: AsyncConnection) -> None:
        await connection.execute(select(audit_pieces.c.definition_hash).where(chosen).with_for_update())
        running.append(asyncio.create_task(store.insert_many([again])))
        await wait_until_blocked(database, running[0])
        await connection.execute(audit_pieces.delete().where(chosen))

    async with asyncio.timeout(30):
        await database.write(delete_and_wait)
        await running[0]
    assert await count_rows(database, "audit_pieces", "audit_piece_uses") == [4, 8]


async def stored_row(database: Database, piece: Template) -> dict[str, object]:
    """Return the row of a piece as it is stored."""
    rows = await database.fetch(
        select(audit_pieces).where(audit_pieces.c.definition_hash == piece.definition_hash)
    )
    return rows[0]._asdict()


async def test_writers_and_pruners_leave_every_record_its_pieces(
    store: AuditStore, database: Database
) -> None:
    """Whatever the order, a record that is there has its pieces, and no piece is there without a use."""
    rounds = 15
    await store.insert_many([inline_record(0)])
    for number in range(1, rounds + 1):
        before = FIRST + number * 1000
        await asyncio.gather(
            store.prune_batch(TENANT, before),
            store.insert_many([inline_record(number)]),
            store.insert_many([inline_record(number + 100), inline_record(number + 200)]),
            store.prune_batch(TENANT, before),
        )
    lost = await database.fetch(
        select(func.count())
        .select_from(audit_piece_uses.outerjoin(audit_pieces, joined()))
        .where(audit_pieces.c.definition_hash.is_(None))
    )
    while (await store.prune_batch(TENANT, FIRST * 2)).records:
        pass
    assert (lost[0][0], await count_rows(database, "audit_pieces", "audit_piece_uses")) == (0, [0, 0])


def joined() -> ColumnElement[bool]:
    """Join uses with their pieces."""
    return (audit_pieces.c.tenant_id == audit_piece_uses.c.tenant_id) & (
        audit_pieces.c.definition_hash == audit_piece_uses.c.definition_hash
    )
