"""Adds up what the generator processes count, over the whole run and piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from load.plan import Plan
from load.recorder import Counts
from load.result import Interval, Result
from load.schedule import Window


@dataclass(slots=True)
class _Piece:
    counts: Counts = field(default_factory=Counts)
    missing: int = 0


class Collector:
    """Takes the counts of each process piece by piece; keeps the totals, and a line for each piece."""

    def __init__(self, plan: Plan, window: Window) -> None:
        self._plan = plan
        self._window = window
        self._total = Counts()
        self._pieces: dict[int, _Piece] = {}
        self._lines: list[Interval] = []
        self._working = plan.processes

    @property
    def answered(self) -> int:
        """How many right answers there are so far."""
        return self._total.answered

    @property
    def failed(self) -> int:
        """How many calls have no right answer so far."""
        total = self._total
        return sum(total.errors.values()) + total.unfinished + total.not_begun

    def take(self, number: int, document: dict[str, Any], *, last: bool) -> Iterator[Interval]:
        """Take what a process counted in an interval; yield those that all processes have now counted."""
        counts = Counts.from_document(document)
        self._total.add(counts)
        piece = self._pieces.setdefault(number, _Piece(missing=self._working))
        piece.counts.add(counts)
        piece.missing -= 1
        if last:
            # It says nothing of the intervals that come, nor is it waited for in those that others began.
            self._working -= 1
            for later in (other for begun, other in self._pieces.items() if begun > number):
                later.missing -= 1
        for complete in sorted(each for each, piece in self._pieces.items() if piece.missing <= 0):
            yield from self._line(complete, self._pieces.pop(complete).counts)

    def result(self, server_cpu: float | None, generator_cpu: list[float]) -> Result:
        """Put the result together, when all processes have said their last."""
        plan, total = self._plan, self._total
        seconds = plan.seconds if plan.requests is None else max(0.0, total.ended - self._window.measured)
        return Result(
            plan=plan,
            seconds=seconds,
            answered=total.answered,
            completed=total.completed,
            errors=dict(total.errors.most_common()),
            unfinished=total.unfinished,
            not_begun=total.not_begun,
            late=total.late,
            latest=total.latest,
            latency=total.latency.summary(),
            curve=total.latency.curve(),
            histogram=total.latency.encode(),
            intervals=self._lines,
            server_cpu=server_cpu,
            generator_cpu=sum(generator_cpu),
            busiest=max(generator_cpu) / seconds if seconds else 0.0,
        )

    def _line(self, number: int, counts: Counts) -> Iterator[Interval]:
        interval = self._plan.interval
        begun, ended = number * interval, (number + 1) * interval
        if self._plan.requests is None:
            ended = min(ended, self._plan.seconds)
        elif not self._working:
            ended = min(ended, counts.ended - self._window.measured)
        if ended - begun < interval / 10:
            # What came after the window, or in a sliver of it, would be a rate of next to nothing.
            return
        latency = counts.latency.summary()
        line = Interval(
            ended,
            counts.completed / (ended - begun),
            sum(counts.errors.values()) + counts.unfinished + counts.not_begun,
            latency.p50,
            latency.p99,
            latency.max,
        )
        self._lines.append(line)
        yield line
