"""The audit's use cases on every engine: reading, verifying, redacting, pruning, keeping for a time."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import pytest
from pecia_service.audit.comparison import ReplayResult, ReplayVerdict
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.replay import ReplayClaim
from pecia_service.audit.retention import Retention
from pecia_service.audit.service import Audit, PruneProgress, VerifyProgress, VerifySummary
from pecia_service.audit.sinks.database import DatabaseAuditSink
from pecia_service.audit.sinks.null import NullAuditSink
from pecia_service.audit.store import AuditStore, Pruned
from pecia_service.errors import (
    ErrorReason,
    InvalidInputError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)
from pecia_service.ids import uuid7
from pecia_service.paging import PageRequest
from pecia_service.registry.service import Registry
from pecia_service.storage.engine import Database
from structlog.testing import capture_logs
from support.audit import (
    EPOCH_MS,
    TENANT,
    StubSink,
    make_audit,
    make_payload,
    make_pieces,
    make_receipt,
    publish_pieces,
    record_render,
    render,
    with_receipt,
)
from support.audit_sinks import away

T = TypeVar("T")

ALL = AuditFilter()
LATER_MS = EPOCH_MS + 3_600_000
DAY_MS = 86_400_000


@pytest.fixture
def store(database: Database) -> AuditStore:
    """Give a store over an empty database."""
    return AuditStore(database)


async def gathered(events: AsyncIterator[T]) -> list[T]:
    """Return all that an iterator gives."""
    return [event async for event in events]


def numbered(count: int, *, keep_prompt: bool = True, keep_payload: bool = True) -> list[AuditRecord]:
    """Make records, a millisecond apart."""
    return [
        record_render(number, keep_prompt=keep_prompt, keep_payload=keep_payload) for number in range(count)
    ]


async def test_a_record_is_read_with_its_texts(database: Database, store: AuditStore) -> None:
    """Its id may be in either case."""
    [record] = numbered(1)
    await store.insert_many([record])
    assert await make_audit(database).get(TENANT, record.render_id.upper()) == record


Question = Callable[[Audit, str], Awaitable[object]]
QUESTIONS: list[Question] = [
    lambda audit, render_id: audit.get(TENANT, render_id),
    lambda audit, render_id: audit.replay(TENANT, render_id),
    lambda audit, render_id: audit.redact(TENANT, render_id),
]
by_record = pytest.mark.parametrize("ask", QUESTIONS, ids=["get", "replay", "redact"])


@by_record
@pytest.mark.parametrize("render_id", ["", "1", "01936b2e7c3a7f108a4b2f6d1c9e0b5a", "{" + "0" * 36 + "}"])
async def test_what_is_no_uuid_is_refused(database: Database, ask: Question, render_id: str) -> None:
    """The error names the field."""
    with pytest.raises(InvalidInputError) as caught:
        await ask(make_audit(database), render_id)
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.FIELD_INVALID,
        {"field": "render_id"},
    )


@by_record
@pytest.mark.parametrize("render_id", [uuid7(EPOCH_MS, 0), "00000000-0000-4000-8000-000000000000"])
async def test_an_absent_record_is_not_found(database: Database, ask: Question, render_id: str) -> None:
    """An old id, or one that no render made, leads to nothing."""
    with pytest.raises(NotFoundError) as caught:
        await ask(make_audit(database, now_ms=LATER_MS), render_id)
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.AUDIT_RECORD_NOT_FOUND,
        {"render_id": render_id},
    )


@by_record
async def test_a_record_that_the_sink_holds_is_pending(database: Database, ask: Question) -> None:
    """However old it is: the database may have been away for long."""
    render_id = uuid7(EPOCH_MS, 0)
    sink = StubSink()
    sink.held.add(render_id)
    with pytest.raises(UnavailableError) as caught:
        await ask(make_audit(database, sink, now_ms=LATER_MS), render_id)
    assert (caught.value.reason, caught.value.retry_after) == (ErrorReason.AUDIT_RECORD_PENDING, 1.0)


@by_record
@pytest.mark.parametrize(
    ("age_ms", "reason"),
    [
        (0, ErrorReason.AUDIT_RECORD_PENDING),
        (5_000, ErrorReason.AUDIT_RECORD_PENDING),
        (-5_000, ErrorReason.AUDIT_RECORD_PENDING),
        (5_001, ErrorReason.AUDIT_RECORD_NOT_FOUND),
        (-5_001, ErrorReason.AUDIT_RECORD_NOT_FOUND),
    ],
)
async def test_a_record_of_a_moment_ago_is_pending(
    database: Database, ask: Question, age_ms: int, reason: ErrorReason
) -> None:
    """Another process may hold it; clocks of two machines may differ either way."""
    with pytest.raises((UnavailableError, NotFoundError)) as caught:
        await ask(make_audit(database, now_ms=EPOCH_MS + age_ms), uuid7(EPOCH_MS, 0))
    assert caught.value.reason is reason


class LateStore(AuditStore):
    """Writes what a sink holds right after it was asked for a record."""

    def __init__(self, database: Database, sink: StubSink) -> None:
        super().__init__(database)
        self._sink = sink

    async def get(self, tenant_id: str, render_id: str) -> AuditRecord | None:
        """Return what was there before."""
        found = await super().get(tenant_id, render_id)
        self._sink.held.clear()
        return found


async def test_a_record_that_is_written_while_one_asks_is_not_lost(database: Database) -> None:
    """It was held before the question and is not held after it; it is pending nevertheless."""
    sink = StubSink()
    render_id = uuid7(EPOCH_MS, 0)
    sink.held.add(render_id)
    audit = Audit(
        LateStore(database, sink), sink, NotImplemented, NotImplemented, clock=lambda: LATER_MS * 1000
    )
    with pytest.raises(UnavailableError):
        await audit.get(TENANT, render_id)


DISABLED: list[Callable[[Audit], Awaitable[object]]] = [
    lambda audit: audit.get(TENANT, ""),
    lambda audit: audit.replay(TENANT, ""),
    lambda audit: audit.redact(TENANT, ""),
    lambda audit: audit.list(TENANT, ALL, PageRequest()),
    lambda audit: gathered(audit.verify(TENANT, ALL)),
    lambda audit: gathered(audit.prune(TENANT, 0)),
]


@pytest.mark.parametrize("ask", DISABLED, ids=["get", "replay", "redact", "list", "verify", "prune"])
async def test_without_records_nothing_can_be_asked(
    database: Database, ask: Callable[[Audit], Awaitable[object]]
) -> None:
    """The error names the setting, before anything else."""
    with pytest.raises(PreconditionError) as caught:
        await ask(make_audit(database, NullAuditSink()))
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.AUDIT_DISABLED,
        {"setting": "PECIA_AUDIT_SINK"},
    )


async def test_without_records_a_claim_can_be_replayed(database: Database, registry: Registry) -> None:
    """It needs none."""
    await publish_pieces(registry, make_pieces())
    claim = ReplayClaim.create(make_receipt(render()), make_payload())
    result = await make_audit(database, NullAuditSink()).replay_claim(TENANT, claim)
    assert result.verdict is ReplayVerdict.MATCH


async def test_a_list_goes_page_by_page(database: Database, store: AuditStore) -> None:
    """Each token leads to the next page, and the last has none."""
    records = numbered(5)
    await store.insert_many(records)
    audit, token = make_audit(database), ""
    sizes, found = [], []
    while True:
        page = await audit.list(TENANT, ALL, PageRequest(2, token))
        sizes.append(len(page.items))
        found += [entry.record.render_id for entry in page.items]
        if not (token := page.next_token):
            break
    assert (sizes, found) == ([2, 2, 1], [record.render_id for record in reversed(records)])


@pytest.mark.parametrize(
    ("tenant_id", "wanted", "token"),
    [(TENANT, AuditFilter(start=1), ""), ("acme", ALL, ""), (TENANT, ALL, "x"), (TENANT, ALL, "\u00e9")],
    ids=["filter", "tenant", "no token", "no text"],
)
async def test_a_token_of_another_list_is_refused(
    database: Database, store: AuditStore, tenant_id: str, wanted: AuditFilter, token: str
) -> None:
    """A token belongs to its tenant and its filter."""
    await store.insert_many(numbered(2))
    audit = make_audit(database)
    page = await audit.list(TENANT, ALL, PageRequest(1))
    with pytest.raises(InvalidInputError) as caught:
        await audit.list(tenant_id, wanted, PageRequest(1, token or page.next_token))
    assert caught.value.reason is ErrorReason.PAGE_TOKEN_INVALID


async def test_redaction_takes_the_time_of_the_clock(database: Database, store: AuditStore) -> None:
    """The record that is answered has its texts erased."""
    [record] = numbered(1)
    await store.insert_many([record])
    redacted = await make_audit(database, now_ms=LATER_MS).redact(TENANT, record.render_id)
    assert redacted == dataclasses.replace(record, payload=None, prompt=None, redacted_at=LATER_MS * 1000)


async def test_verifying_nothing_gives_an_empty_summary(database: Database) -> None:
    """Progress comes first and the summary last."""
    events = await gathered(make_audit(database).verify(TENANT, ALL))
    assert events == [VerifyProgress(0, 0), VerifySummary()]


async def test_verifying_counts_each_verdict(
    database: Database, store: AuditStore, registry: Registry
) -> None:
    """What is not a match is told, oldest first, and the summary counts all."""
    await publish_pieces(registry, make_pieces())
    older = render()
    by_another_version = make_record(
        TENANT,
        dataclasses.replace(make_receipt(older, 3), renderer_version="0"),
        older,
        make_payload(),
        inline=False,
        keep_prompt=True,
        keep_payload=True,
    )
    records = [
        record_render(0),
        with_receipt(record_render(1), adapter_version="changed"),
        record_render(2, keep_payload=False),
        by_another_version,
    ]
    await store.insert_many(records)
    first, *results, last = await gathered(make_audit(database).verify(TENANT, ALL))
    told = [(event.render_id, event.verdict) for event in results if isinstance(event, ReplayResult)]
    assert (first, told, last) == (
        VerifyProgress(0, 4),
        [
            (records[1].render_id, ReplayVerdict.MISMATCH),
            (records[2].render_id, ReplayVerdict.UNVERIFIABLE),
        ],
        VerifySummary(checked=4, matched=2, mismatched=1, unverifiable=1, renderer_version_differs=1),
    )


async def test_verifying_takes_a_filter(database: Database, store: AuditStore) -> None:
    """Only what is selected is replayed."""
    await store.insert_many(numbered(4, keep_payload=False))
    wanted = AuditFilter(start=(EPOCH_MS + 1) * 1000, end=(EPOCH_MS + 3) * 1000)
    *_, summary = await gathered(make_audit(database).verify(TENANT, wanted))
    assert summary == VerifySummary(checked=2, unverifiable=2)


async def test_verifying_tells_progress_each_thousand_records(database: Database, store: AuditStore) -> None:
    """A long run is seen to move."""
    await store.insert_many(numbered(2_001, keep_payload=False, keep_prompt=False))
    events = await gathered(make_audit(database).verify(TENANT, ALL))
    progress = [event for event in events if isinstance(event, VerifyProgress)]
    assert progress == [VerifyProgress(checked, 2_001) for checked in (0, 1_000, 2_000)]


async def test_verifying_gives_others_a_turn(database: Database, store: AuditStore) -> None:
    """A page of records does not hold the event loop."""
    records = numbered(200, keep_payload=False)
    await store.insert_many(records)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with aclosing(make_audit(database).verify(TENANT, ALL)) as events:
        await anext(events)
        await anext(events)
        counting = asyncio.create_task(count_turns())
        async for event in events:
            if isinstance(event, ReplayResult) and event.render_id == records[-1].render_id:
                break
        counting.cancel()
    assert turns >= 200 // 16 - 1


async def test_a_verification_that_is_left_holds_nothing(database: Database, store: AuditStore) -> None:
    """Whoever stops listening leaves no connection in use."""
    await store.insert_many(numbered(3, keep_payload=False))
    events = make_audit(database).verify(TENANT, ALL)
    await anext(events)
    await anext(events)
    await events.aclose()
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined] # both engines have a queue pool


async def test_pruning_tells_running_counts(database: Database, store: AuditStore) -> None:
    """Counts grow batch by batch, and the last says that it is the last."""
    await store.insert_many([record_render(number, inline=True) for number in range(501)])
    before = (EPOCH_MS + 501) * 1000
    told = await gathered(make_audit(database).prune(TENANT, before))
    assert told == [
        PruneProgress(500, 0, done=False),
        PruneProgress(501, 4, done=False),
        PruneProgress(501, 4, done=True),
    ]


async def test_pruning_can_only_count(database: Database, store: AuditStore) -> None:
    """What would be deleted is told, and stays."""
    await store.insert_many(numbered(3))
    told = await gathered(make_audit(database).prune(TENANT, (EPOCH_MS + 2) * 1000, validate_only=True))
    assert (told, await store.count(TENANT, ALL)) == ([PruneProgress(2, 0, done=True)], 3)


async def test_pruning_nothing_is_done_at_once(database: Database) -> None:
    """There is always a last message."""
    assert await gathered(make_audit(database).prune(TENANT, 0)) == [PruneProgress(0, 0, done=True)]


async def test_what_the_sink_writes_can_be_replayed(
    database: Database, store: AuditStore, registry: Registry
) -> None:
    """From a render through the queue to the database, and back."""
    await publish_pieces(registry, make_pieces())
    sink = DatabaseAuditSink(store)
    sink.start()
    records = [record_render(number, inline=bool(number % 2)) for number in range(20)]
    for record in records:
        sink.record(record)
    await sink.aclose(30)
    *_, summary = await gathered(make_audit(database, sink).verify(TENANT, ALL))
    assert summary == VerifySummary(checked=20, matched=20)


async def test_a_record_that_no_database_takes_does_not_block_the_others(
    database: Database, store: AuditStore
) -> None:
    """A time beyond what the column holds is refused; its neighbours are written."""
    sink = DatabaseAuditSink(store)
    sink.start()
    good, bad, also_good = numbered(3)
    for record in (good, with_receipt(bad, created_at=2**70), also_good):
        sink.record(record)
    await sink.aclose(30)
    status = sink.status()
    assert (status.written, status.dropped, await store.count(TENANT, ALL)) == (2, 1, 2)


def retention(store: AuditStore, days: int, sleep: Callable[[float], Awaitable[None]]) -> Retention:
    """Make a retention that looks after the records three days after the first."""
    return Retention(store, days=days, interval=60, clock=lambda: (EPOCH_MS + 3 * DAY_MS) * 1000, sleep=sleep)


class Rounds:
    """Lets a repeated task run for some rounds, and tells when they are over."""

    def __init__(self, count: int) -> None:
        self.slept: list[float] = []
        self.over = asyncio.Event()
        self._count = count

    async def sleep(self, seconds: float) -> None:
        """Begin the next round, or never."""
        self.slept.append(seconds)
        if len(self.slept) == self._count:
            self.over.set()
            await asyncio.Event().wait()


async def test_retention_deletes_what_is_too_old_of_all_tenants(store: AuditStore) -> None:
    """Records younger than the days stay."""
    ages = [("acme", 0), ("acme", DAY_MS), ("default", 0), ("default", 2 * DAY_MS)]
    await store.insert_many([record_render(number, tenant_id=tenant) for tenant, number in ages])
    deleted = await retention(store, 2, Rounds(1).sleep).run_once()
    left = [(tenant, await store.count(tenant, ALL)) for tenant in ("acme", "default")]
    assert (deleted, left) == (2, [("acme", 1), ("default", 1)])


async def test_retention_repeats(store: AuditStore) -> None:
    """It runs at the start and after each interval."""
    await store.insert_many(numbered(1))
    rounds = Rounds(2)
    keeper = retention(store, 1, rounds.sleep)
    keeper.start()
    await rounds.over.wait()
    await keeper.aclose()
    assert (rounds.slept, await store.count(TENANT, ALL)) == ([60, 60], 0)


async def test_retention_of_no_days_keeps_all(store: AuditStore) -> None:
    """Zero means for ever; there is nothing to start or to stop."""
    await store.insert_many(numbered(1))
    keeper = retention(store, 0, Rounds(1).sleep)
    keeper.start()
    await keeper.aclose()
    assert await store.count(TENANT, ALL) == 1


class AwayStore(AuditStore):
    """Is away the first time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._away = True

    async def prune_batch(self, tenant_id: str, before: int, *, limit: int = 500) -> Pruned:
        """Fail, or delete."""
        if self._away:
            self._away = False
            raise away()
        return await super().prune_batch(tenant_id, before, limit=limit)


async def test_retention_tries_again_after_a_failure(database: Database, store: AuditStore) -> None:
    """An outage is logged without its text, and the next round does the work."""
    await store.insert_many(numbered(1))
    rounds = Rounds(2)
    with capture_logs() as logs:
        keeper = retention(AwayStore(database), 1, rounds.sleep)
        keeper.start()
        await rounds.over.wait()
        await keeper.aclose()
    told = [(entry["event"], entry.get("error"), entry.get("deleted")) for entry in logs]
    assert told == [
        ("audit_retention_failed", "UnavailableError", None),
        ("audit_records_expired", None, 1),
    ]
