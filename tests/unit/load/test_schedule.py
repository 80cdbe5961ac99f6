"""When calls are due, and which process makes them."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from load.plan import Kind, Plan
from load.schedule import Left, Schedule, Window, shared

START = 1_000.0


def drained(schedule: Schedule) -> Iterator[tuple[int, float]]:
    """Yield all calls of a schedule."""
    while (ticket := schedule.take()) is not None:
        yield ticket


@given(
    processes=st.integers(1, 5),
    rate=st.floats(1, 500),
    seconds=st.floats(0.1, 3),
    warmup=st.floats(0, 2),
    taken=st.integers(0, 200),
)
def test_calls_of_an_open_loop_are_due_at_the_rate_whoever_makes_them(
    processes: int, rate: float, seconds: float, warmup: float, taken: int
) -> None:
    """All processes together make each call once, and what is not begun is counted to the call."""
    plan = Plan(kind=Kind.RENDER, callers=16, processes=processes, rate=rate, seconds=seconds, warmup=warmup)
    window = Window.of(plan, START)
    all_calls = [sorted(drained(Schedule(plan, share, window, lambda: START))) for share in range(processes)]
    together = sorted(call for calls in all_calls for call in calls)
    assert [(number, START + number / rate) for number in range(len(together))] == together
    assert together[-1][1] < window.until <= START + len(together) / rate

    left = []
    for share in range(processes):
        schedule = Schedule(plan, share, window, lambda: START)
        for _ in range(taken):
            schedule.take()
        left.append(schedule.left().count)
    measured = [[due for _, due in calls[taken:] if due >= window.measured] for calls in all_calls]
    assert [len(due) for due in measured] == left


def test_calls_that_were_never_begun_keep_their_due_times() -> None:
    """They have waited since then."""
    plan = Plan(kind=Kind.RENDER, rate=10, seconds=1, warmup=0.5)
    schedule = Schedule(plan, 0, Window.of(plan, START), lambda: START)
    taken = [schedule.take() for _ in range(7)]
    assert (6, START + 0.6) == taken[-1]
    assert [pytest.approx(START + number / 10) for number in range(7, 15)] == [
        due for due, _ in schedule.left().groups()
    ]


def test_very_many_calls_that_were_never_begun_are_few_groups() -> None:
    """A server that is dead for an hour costs no memory; no group is said to have waited too long."""
    groups = list(Left(10_000_001, 0.0, 0.5).groups())
    assert 10_000_001 == sum(count for _, count in groups)
    assert len(groups) <= 1_000
    assert [(number + 1) * 10_001 * 0.5 - 0.5 for number in range(3)] == [due for due, _ in groups[:3]]


def test_nothing_begins_when_nobody_waits_for_it_any_more() -> None:
    """After the drain time calls that were due are left."""
    plan = Plan(kind=Kind.RENDER, rate=10, seconds=1, warmup=0, drain=2)
    window = Window.of(plan, START)
    assert (0, START) == Schedule(plan, 0, window, lambda: window.until + 1.9).take()
    assert None is Schedule(plan, 0, window, lambda: window.deadline).take()


def test_a_call_of_a_closed_loop_is_due_when_it_is_taken() -> None:
    """Its caller has only just become free."""
    times = iter([START + 0.25, START + 0.5, START + 1.5])
    plan = Plan(kind=Kind.RENDER, seconds=1, warmup=0)
    assert [(0, START + 0.25), (1, START + 0.5)] == list(
        drained(Schedule(plan, 0, Window.of(plan, START), lambda: next(times)))
    )


@pytest.mark.parametrize("rate", [None, 50.0])
def test_a_number_of_requests_is_kept_to(rate: float | None) -> None:
    """Those of the warm-up are not among them."""
    plan = Plan(kind=Kind.RENDER, processes=3, requests=50, rate=rate, warmup=1)
    window = Window.of(plan, START)
    moment = START if rate else window.measured
    calls = [
        due
        for share in range(3)
        for _, due in drained(Schedule(plan, share, window, lambda: moment))
        if due >= window.measured
    ]
    assert 50 == len(calls)


@given(total=st.integers(0, 1_000), shares=st.integers(1, 40))
def test_shares_add_up(total: int, shares: int) -> None:
    """No caller is lost, and no process has more than one more than another."""
    parts = [shared(total, share, shares) for share in range(shares)]
    assert (total, True) == (sum(parts), max(parts) - min(parts) <= 1)
