"""Waiting for a record that is on its way, within bounds."""

from collections.abc import Callable

import grpc
import pytest
from pecia_client import PeciaError
from pecia_service.cli.session import Session


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        """Give the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.sleeps.append(seconds)
        self.now += seconds


def failing(times: int, reason: str, retry_after: float | None) -> Callable[[], str]:
    """Make a call that fails some times and then answers."""
    left = [times]

    def call() -> str:
        if left[0]:
            left[0] -= 1
            raise PeciaError(grpc.StatusCode.UNAVAILABLE, "wait", reason=reason, retry_after=retry_after)
        return "answer"

    return call


def session(clock: Clock) -> Session:
    """Make a session with this clock."""
    return Session(monotonic=clock.monotonic, sleep=clock.sleep)


def test_a_pending_record_is_waited_for_as_the_server_says() -> None:
    """Each time as long as RetryInfo asks for."""
    clock = Clock()
    answer = session(clock).when_recorded(failing(2, "AUDIT_RECORD_PENDING", 1.5), timeout=10)
    assert [answer, clock.sleeps] == ["answer", [1.5, 1.5]]


def test_waiting_without_retry_info_takes_half_a_second() -> None:
    """A server that names no delay is not hammered."""
    clock = Clock()
    session(clock).when_recorded(failing(1, "AUDIT_RECORD_PENDING", None), timeout=10)
    assert clock.sleeps == [0.5]


def test_waiting_ends_with_the_timeout() -> None:
    """A delay that would go past it is not begun."""
    clock = Clock()
    with pytest.raises(PeciaError):
        session(clock).when_recorded(failing(99, "AUDIT_RECORD_PENDING", 4.0), timeout=10)
    assert clock.sleeps == [4.0, 4.0]


def test_any_other_error_is_not_waited_for() -> None:
    """The client has retried what can be retried."""
    clock = Clock()
    with pytest.raises(PeciaError):
        session(clock).when_recorded(failing(1, "STORAGE_UNAVAILABLE", 1.0), timeout=10)
    assert clock.sleeps == []
