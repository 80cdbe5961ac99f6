"""When a server is ready, by the rules alone."""

import asyncio

import pytest
from pecia_service.audit.ports import SinkStatus
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.server.monitoring.database_watch import DatabaseWatch
from pecia_service.server.monitoring.readiness import RECENT_SECONDS, Readiness

CALM = SinkStatus(queued=0, queued_bytes=0, written=0, dropped=0, failing=False)


class FakeDatabase:
    """A database that answers, refuses, or hangs."""

    def __init__(self) -> None:
        self.pings = 0
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def ping(self) -> None:
        """Answer when there is an answer."""
        self.pings += 1
        await self.answers.wait()
        if self.away:
            raise UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "away")


class Judged:
    """A server's readiness over parts that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.audit = CALM
        self.database = FakeDatabase()
        self.watch = DatabaseWatch(self.database.ping, patience=0.01)
        self.readiness = Readiness(self.watch, lambda: self.audit, lambda: self.now)

    async def reasons(self) -> tuple[str, ...]:
        """Judge now."""
        return (await self.readiness.report()).reasons


async def test_a_server_that_serves_is_ready() -> None:
    """Before that it is starting, and afterwards draining, which nothing ends."""
    judged = Judged()
    before = await judged.reasons()
    judged.readiness.serving()
    serving = await judged.reasons()
    judged.readiness.draining()
    assert (("starting",), (), ("draining",)) == (before, serving, await judged.reasons())


async def test_a_full_audit_is_a_reason() -> None:
    """For as long as it is full."""
    judged = Judged()
    judged.readiness.serving()
    judged.audit = SinkStatus(1, 1, 0, 0, failing=True, full=True)
    full = await judged.reasons()
    judged.audit = SinkStatus(1, 1, 0, 0, failing=True)
    assert (("audit_full",), ()) == (full, await judged.reasons())


async def test_dropped_records_are_a_reason_for_a_while() -> None:
    """Each further one begins the while anew; those that were dropped long ago are no reason."""
    judged = Judged()
    judged.readiness.serving()
    found = []
    for seconds, dropped in [
        (0.0, 3),
        (RECENT_SECONDS - 1, 3),
        (2.0, 3),
        (1.0, 4),
        (RECENT_SECONDS - 1, 4),
        (2.0, 4),
    ]:
        judged.now += seconds
        judged.audit = SinkStatus(0, 0, 0, dropped, failing=False)
        found.append(await judged.reasons())
    dropping = ("audit_dropping",)
    assert [dropping, dropping, (), dropping, dropping, ()] == found


async def test_a_database_that_never_answered_is_a_reason() -> None:
    """One that did and is away now is a detail."""
    judged = Judged()
    judged.readiness.serving()
    judged.database.away = True
    never = await judged.readiness.report()
    judged.database.away = False
    here = await judged.readiness.report()
    judged.database.away = True
    away = await judged.readiness.report()
    assert [("database_never_answered",), (), ()] == [never.reasons, here.reasons, away.reasons]
    assert [False, True, False] == [never.database_up, here.database_up, away.database_up]


async def test_a_database_that_hangs_is_asked_once() -> None:
    """Who asks goes on; the question goes on too, and its answer counts."""
    judged = Judged()
    judged.readiness.serving()
    judged.database.answers.clear()
    hanging = [(await judged.readiness.report()).database_up for _ in range(5)]
    pings = judged.database.pings
    judged.database.answers.set()
    back = await judged.readiness.report()
    assert ([False] * 5, 1, True, ()) == (hanging, pings, back.database_up, back.reasons)


async def test_a_watch_that_is_closed_ends_its_question() -> None:
    """No task is left."""
    judged = Judged()
    judged.database.answers.clear()
    await judged.readiness.report()
    await judged.watch.aclose()
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_a_fault_of_a_ping_is_not_hidden() -> None:
    """What is no outage is an error of the page."""

    async def ping() -> None:
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        await DatabaseWatch(ping).is_up()
