"""How threads are scheduled: as batch by default, and never at the price of a start."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from pecia_service.server.scheduling import schedule
from structlog.testing import capture_logs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such policies")


def policy_after(policy: str) -> tuple[int, int]:
    """Apply a policy in a thread of its own, and return its own and that of a thread that it starts."""

    def apply() -> tuple[int, int]:
        schedule(policy)
        with ThreadPoolExecutor(1) as inner:
            return os.sched_getscheduler(0), inner.submit(os.sched_getscheduler, 0).result()

    with ThreadPoolExecutor(1) as outer:
        return outer.submit(apply).result()


def test_batch_holds_for_the_thread_and_for_those_it_starts() -> None:
    """gRPC's threads begin later, and take it over."""
    assert (os.SCHED_BATCH, os.SCHED_BATCH) == policy_after("batch")


def test_a_policy_that_was_chosen_stays() -> None:
    """Whoever starts the server as a background job knows why."""

    def begin() -> int:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        schedule("batch")
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:
        assert os.SCHED_IDLE == pool.submit(begin).result()


def test_normal_changes_nothing() -> None:
    """Whoever started the server may have chosen a policy."""
    before = os.sched_getscheduler(0)
    assert (before, before) == policy_after("normal")


def test_a_refusal_is_logged_and_does_not_keep_a_server_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container's profile may forbid the call."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with capture_logs() as logs:
        schedule("batch")
    assert [
        {"event": "cpu_scheduling_refused", "error": "Operation not permitted", "log_level": "warning"}
    ] == logs


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no such call."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_setscheduler")
    with capture_logs() as logs:
        schedule("batch")
    assert [] == logs
