"""What is measured on the event loop: calls, and how late the loop is."""

import asyncio
import threading

import pytest
from pecia_service.server.monitoring.calls import BUCKETS, CallMetrics
from pecia_service.server.monitoring.loop_calls import LoopAwayError, LoopCalls
from pecia_service.server.monitoring.loop_lag import LoopLag
from prometheus_client import CollectorRegistry, generate_latest
from support.pages import SECONDS, Scrape

RENDER = "/pecia.v1.PromptService/Render"
NAME = "pecia.v1.PromptService/Render"


async def test_calls_are_counted_by_method_and_status() -> None:
    """And timed, and counted while they are in flight."""
    registry = CollectorRegistry()
    calls = CallMetrics(registry)
    for _ in range(3):
        calls.started(RENDER)
    calls.finished(RENDER, "OK", 0.0004)
    calls.finished(RENDER, "NOT_FOUND", 2.0)
    found = Scrape(generate_latest(registry).decode())
    assert 1 == found.value("pecia_requests_in_flight", method=NAME)
    assert [1, 1, 0] == [
        found.value("pecia_requests_total", method=NAME, code=code) for code in ("OK", "NOT_FOUND", "ABORTED")
    ]
    assert (2, 2.0004) == (
        found.value("pecia_request_seconds_count", method=NAME),
        found.value("pecia_request_seconds_sum", method=NAME),
    )
    assert [1, 2, 2] == [
        found.value("pecia_request_seconds_bucket", method=NAME, le=bound)
        for bound in ("0.0005", "2.5", "+Inf")
    ]
    assert list(BUCKETS) == sorted(BUCKETS)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_the_loop_lag_is_the_worst_of_the_last_while() -> None:
    """An old one is forgotten; a tick that does not come at all counts as it goes."""

    class Ticker:
        def __init__(self) -> None:
            self.clock = Clock()
            self.lag = LoopLag(self.clock)

        def tick(self, late: float) -> None:
            self.clock.now += 0.5 + late
            self.lag._tick()

    async def run() -> list[float]:
        ticker = Ticker()
        ticker.lag.start()
        found = [ticker.lag.seconds()]
        ticker.tick(0.25)
        ticker.tick(0.0)
        found.append(ticker.lag.seconds())
        ticker.clock.now += 4.5
        found.append(ticker.lag.seconds())
        ticker.lag.stop()
        found.append(ticker.lag.seconds())
        ticker.lag.start()
        for _ in range(30):
            ticker.tick(0.0)
        found.append(ticker.lag.seconds())
        ticker.lag.stop()
        return found

    assert [0.0, 0.25, 4.0, 0.25, 0.0] == asyncio.run(run())


async def test_a_loop_that_answers_is_asked_from_another_thread() -> None:
    """And what it raises comes back too."""

    async def fail() -> None:
        raise ValueError("a fault")

    loop = LoopCalls()
    assert "here" == await asyncio.to_thread(loop.ask, lambda: asyncio.sleep(0, "here"), SECONDS)
    with pytest.raises(ValueError, match="a fault"):
        await asyncio.to_thread(loop.ask, fail, SECONDS)


async def test_what_a_loop_does_not_do_in_time_is_cancelled() -> None:
    """Nothing goes on for somebody who has left."""
    ended = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    loop = LoopCalls()
    with pytest.raises(LoopAwayError):
        await asyncio.to_thread(loop.ask, hang, 0.01)
    await asyncio.wait_for(ended.wait(), SECONDS)


def test_a_loop_that_is_stuck_or_gone_is_away() -> None:
    """Whoever asks learns it in time."""
    found = []

    async def work() -> None:
        loop = LoopCalls()
        asking = threading.Thread(target=ask, args=(loop,))
        asking.start()
        # On the loop itself: nothing else runs there meanwhile.
        asking.join(SECONDS)
        loops.append(loop)

    def ask(loop: LoopCalls) -> None:
        try:
            loop.ask(nothing, 0.05)
        except LoopAwayError:
            found.append("away")

    async def nothing() -> None:
        found.append("ran")

    loops: list[LoopCalls] = []
    asyncio.run(work())
    ask(loops[0])
    assert ["away", "away"] == found
