"""Noticing what other processes erase, on every engine: nothing is missed, and nothing is told twice."""

import asyncio
import re
from collections.abc import Collection

import pytest
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.registry.erasure import OVERLAP_MICROSECONDS, Erasures, ErasureWatch
from pecia_service.registry.model import TemplateRef
from pecia_service.registry.model.erasure import ErasureNotice
from pecia_service.registry.service import Registry
from pecia_service.registry.store import ErasureStore, RegistryStore
from pecia_service.storage.engine import Database
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs
from support.domain import ACTOR, START, TENANT, TickingClock, define_template
from support.statements import counted_statements

HOUR = 3600 * 1_000_000


class Other:
    """Another process, whose clock is its own: it publishes and erases."""

    def __init__(self, registry: Registry, database: Database) -> None:
        self.clock = TickingClock()
        self._registry = registry
        self._erasures = Erasures(RegistryStore(database).erasures, self.clock, lambda _: None)

    async def erase(self, name: str, tenant_id: str = TENANT) -> None:
        """Publish and erase a template."""
        template = define_template(name)
        await self._registry.publish_template(tenant_id, template)
        await self._erasures.erase_template(tenant_id, template.ref, reason="Why.", actor=ACTOR)


class Watcher:
    """A watch with a clock that a test moves, and what it was told to forget."""

    def __init__(self, store: ErasureStore) -> None:
        self.now = START
        self.told: list[tuple[str, str]] = []
        self.delays: list[float] = []
        self.turn = asyncio.Event()
        self.watch = ErasureWatch(store, self._forget, seconds=5, clock=lambda: self.now, sleep=self._sleep)

    def _forget(self, erased: Collection[tuple[str, TemplateRef]]) -> None:
        self.told += sorted((tenant_id, ref.template_id) for tenant_id, ref in erased)

    async def _sleep(self, delay: float) -> None:
        self.delays.append(delay)
        await self.turn.wait()
        self.turn.clear()


@pytest.fixture
def other(registry: Registry, database: Database) -> Other:
    """Give another process."""
    return Other(registry, database)


@pytest.fixture
def watcher(database: Database) -> Watcher:
    """Give a watch that began at the start."""
    return Watcher(RegistryStore(database).erasures)


async def test_what_others_erase_is_forgotten_once(other: Other, watcher: Watcher) -> None:
    """Of all tenants; a look at what is known already tells nothing."""
    await other.erase("a")
    await other.erase("a", "other")
    counts = [await watcher.watch.look(), await watcher.watch.look()]
    await other.erase("b")
    counts.append(await watcher.watch.look())
    assert (counts, watcher.told) == ([2, 0, 1], [(TENANT, "a"), ("other", "a"), (TENANT, "b")])


@pytest.mark.parametrize("skew", [-HOUR + 1_000, HOUR])
async def test_clocks_may_differ(other: Other, watcher: Watcher, skew: int) -> None:
    """An erasure is found though it was noted down with a time before the last look, or one to come."""
    await watcher.watch.look()
    other.clock.now = START + skew
    await other.erase("a")
    watcher.now += 5_000_000
    found = [await watcher.watch.look(), await watcher.watch.look()]
    assert found == [1, 0]


async def test_old_erasures_are_not_read_for_ever(other: Other, watcher: Watcher, database: Database) -> None:
    """What is older than the overlap is left out: an empty look stays cheap."""
    await other.erase("a")
    watcher.now += OVERLAP_MICROSECONDS + 1_000_000
    await watcher.watch.look()
    await watcher.watch.look()
    assert await RegistryStore(database).erasures.erased_since(watcher.now - OVERLAP_MICROSECONDS) == []
    assert watcher.told == [(TENANT, "a")]


async def test_a_look_is_one_statement_that_finds_its_rows_by_an_index(
    engine_name: str, database: Database, watcher: Watcher
) -> None:
    """However many templates were ever erased."""
    with counted_statements(database) as statements:
        await watcher.watch.look()
    [statement] = statements

    async def explain(connection: AsyncConnection) -> str:
        if engine_name == "sqlite":
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (1,))
            return "\n".join(row.detail for row in rows)
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", (1,))
        return "\n".join(row[0] for row in rows)

    plan = await database.write(explain)
    assert re.search(r"ix_template_erasures_occurred_at", plan), plan


class Flaky:
    """A store that fails as it is told, and then gives what it has."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.notices: list[ErasureNotice] = []
        self.asked: list[int] = []
        self.looked = asyncio.Event()

    async def erased_since(self, erased_at: int) -> list[ErasureNotice]:
        """Answer what was erased at a time or later."""
        self.asked.append(erased_at)
        self.looked.set()
        if self.failures:
            raise self.failures.pop(0)
        return [notice for notice in self.notices if notice.erased_at >= erased_at]


async def look_again(watcher: Watcher, store: Flaky) -> None:
    """Let the watch look once more."""
    store.looked.clear()
    watcher.turn.set()
    await store.looked.wait()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_outage_of_any_length_misses_nothing() -> None:
    """The next look that works asks for all that came since the last one that did."""
    store = Flaky()
    watcher = Watcher(store)  # type: ignore[arg-type]  # a stand-in for a database that fails on demand
    store.failures = [UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "away") for _ in range(3)]
    store.notices = [ErasureNotice(TENANT, TemplateRef("a", "1.0.0"), START + HOUR)]
    watcher.watch.start()
    for _ in range(4):
        watcher.now += 24 * HOUR
        await look_again(watcher, store)
    await watcher.watch.aclose()
    assert (store.asked, watcher.told) == ([START - OVERLAP_MICROSECONDS] * 4, [(TENANT, "a")])


async def test_a_fault_is_logged_and_does_not_end_the_watch() -> None:
    """By its type alone: its words may hold anything. The outage of a database is logged elsewhere."""
    store = Flaky()
    watcher = Watcher(store)  # type: ignore[arg-type]  # a stand-in for a database that fails on demand
    store.failures = [RuntimeError("secret"), UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "away")]
    store.notices = [ErasureNotice(TENANT, TemplateRef("a", "1.0.0"), START)]
    with capture_logs() as logs:
        watcher.watch.start()
        for _ in range(3):
            await look_again(watcher, store)
        await watcher.watch.aclose()
    assert [(log["event"], log.get("error"), log.get("templates")) for log in logs] == [
        ("erasure_watch_failed", "RuntimeError", None),
        ("erased_templates_forgotten", None, 1),
    ]
    assert "secret" not in str(logs)


async def test_a_look_follows_each_half_of_the_time() -> None:
    """The other half is left for the look itself."""
    store = Flaky()
    watcher = Watcher(store)  # type: ignore[arg-type]  # a stand-in for a database that fails on demand
    watcher.watch.start()
    await look_again(watcher, store)
    await watcher.watch.aclose()
    assert set(watcher.delays) == {2.5}


async def test_a_watch_that_never_started_can_be_closed(watcher: Watcher) -> None:
    """Closing it does nothing."""
    await watcher.watch.aclose()
    assert watcher.delays == []
