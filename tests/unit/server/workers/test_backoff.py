"""The pauses before a worker is started again."""

import pytest
from pecia_service.server.workers.backoff import HEALTHY_SECONDS, Backoff


def test_the_pause_doubles_up_to_a_bound() -> None:
    """A worker that can't start costs little, however long that lasts."""
    backoff = Backoff(lambda: 1.0)
    assert pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]) == [
        backoff.pause(0) for _ in range(9)
    ]


def test_the_pause_is_short_again_after_a_worker_has_served() -> None:
    """What ended a worker that served is no failed start."""
    backoff = Backoff(lambda: 1.0)
    pauses = [backoff.pause(served) for served in (0, 0, HEALTHY_SECONDS, 0)]
    assert pytest.approx([0.2, 0.4, 0.1, 0.2]) == pauses


def test_pauses_differ_by_chance() -> None:
    """Workers that die together come back one by one, after half of the pause at least."""
    assert pytest.approx([0.1, 0.15, 0.2]) == [
        Backoff(lambda chance=chance: chance).pause(0)  # type: ignore[misc]  # a lambda's default is not inferred
        for chance in (0.0, 0.5, 1.0)
    ]


def test_ten_thousand_failures_are_no_overflow() -> None:
    """The bound holds however often a start fails."""
    backoff = Backoff(lambda: 1.0)
    assert pytest.approx(15.0) == [backoff.pause(0) for _ in range(10_000)][-1]
