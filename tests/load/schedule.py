"""When the calls of one process are due."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from load.plan import MAX_SECONDS, Plan

_MAX_GROUPS: Final = 1_000

Clock = Callable[[], float]
clock: Clock = time.monotonic
"""Seconds that all processes of a machine count alike."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time of a run, on the clock that all its processes share."""

    start: float
    measured: float
    until: float
    deadline: float

    @classmethod
    def of(cls, plan: Plan, start: float) -> Window:
        """Return when a run that starts then measures, begins no more calls, and waits no longer."""
        measured = start + plan.warmup
        if plan.requests is None:
            until = measured + plan.seconds
        elif plan.rate is not None:
            until = measured + plan.requests / plan.rate
        else:
            until = measured + MAX_SECONDS
        return cls(start, measured, until, until + plan.drain)


@dataclass(frozen=True, slots=True)
class Left:
    """Calls that were due one after the other and never begun."""

    count: int
    first: float
    interval: float

    def groups(self) -> Iterator[tuple[float, int]]:
        """Yield due times, each with how many calls it stands for: one, or few of very many."""
        size = -(-self.count // _MAX_GROUPS) or 1
        for begin in range(0, self.count, size):
            # The last of a group has waited least: what is said of the group is not too much.
            last = min(begin + size, self.count)
            yield self.first + (last - 1) * self.interval, last - begin


class Schedule:
    """Hands out the calls of one process, which takes every n-th of the whole run."""

    def __init__(self, plan: Plan, share: int, window: Window, now: Clock = clock) -> None:
        self._now = now
        self._window = window
        self._next = share
        self._step = plan.processes
        self._pace = None if plan.rate is None else _Pace(plan, plan.rate, window)
        # Only a closed loop has to count: an open one knows which of its calls is the last.
        self._left = None if plan.requests is None else shared(plan.requests, share, plan.processes)

    def take(self) -> tuple[int, float] | None:
        """Return the number and the due time of the next call; None when there is none.

        In a closed loop it is due now; in an open loop, at its place in the order of the rate, however late
        it is taken.
        """
        now = self._now()
        # The last calls of an open loop may begin late, as long as anybody waits for their answers.
        if now >= self._window.deadline:
            return None
        due = self._due_now(now) if self._pace is None else self._pace.due(self._next)
        if due is None:
            return None
        number = self._next
        self._next += self._step
        return number, due

    def left(self) -> Left:
        """Return the measured calls of an open loop that nobody was free to begin."""
        if self._pace is None:
            return Left(0, 0.0, 0.0)
        behind = max(0, self._pace.first - self._next)
        number = self._next - (-behind // self._step) * self._step
        count = max(0, -((number - self._pace.end) // self._step))
        return Left(
            count,
            self._pace.moment(number),
            self._pace.moment(number + self._step) - self._pace.moment(number),
        )

    def _due_now(self, now: float) -> float | None:
        if now >= self._window.until or self._left == 0:
            return None
        if self._left is not None and now >= self._window.measured:
            self._left -= 1
        return now


class _Pace:
    """When the calls of an open loop are due, from `first`, which is the first measured one, up to `end`."""

    def __init__(self, plan: Plan, rate: float, window: Window) -> None:
        self._start = window.start
        self._rate = rate
        self.first = self._not_before(window.measured)
        self.end = self._not_before(window.until) if plan.requests is None else self.first + plan.requests

    def moment(self, number: int) -> float:
        """Return when a call is due, whether there is one or not."""
        return self._start + number / self._rate

    def due(self, number: int) -> float | None:
        """Return when a call is due; None if it comes after the last."""
        return self.moment(number) if number < self.end else None

    def _not_before(self, moment: float) -> int:
        number = max(0, math.floor((moment - self._start) * self._rate) - 1)
        # What rounding does to the product must not decide: times are compared as they are used.
        while self.moment(number) < moment:
            number += 1
        return number


def shared(total: int, share: int, shares: int) -> int:
    """Return how many of `total` fall to one of several shares."""
    return total // shares + (share < total % shares)
