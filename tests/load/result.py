"""What came out of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from load.histogram import Histogram, Latency
from load.plan import Plan

FORMAT: Final = "pecia.load.v1"
BUSY: Final = 0.85
"""A generator that used so much of one processor may have been what limited the rate."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened in a piece of the window, which ended so many seconds after the window began."""

    ended: float
    rate: float
    errors: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one run; times are in seconds.

    Attributes:
        plan: What was run.
        seconds: How long the window was.
        answered: Right answers to calls that were due in the window.
        completed: Right answers that came in the window: what rates are made of.
        errors: Calls that failed or were answered wrongly, by label.
        unfinished: Calls that had no answer when the drain time was over.
        not_begun: Calls of an open loop that had not even begun by then.
        late: Calls that began more than 5 ms after they were due.
        latest: The longest that a call began after it was due.
        latency: Of right answers from when the call was due, with what waited in vain as long as it waited.
        curve: Pairs of a percentile and its latency.
        histogram: All latencies, in microseconds, as HdrHistogram's own text.
        intervals: The window piece by piece.
        server_cpu: Processor time that the server used in the window; None if it is not known.
        generator_cpu: Processor time of all generator processes in the window.
        busiest: The largest share of one processor that one generator process used.

    """

    plan: Plan
    seconds: float
    answered: int
    completed: int
    errors: Mapping[str, int]
    unfinished: int
    not_begun: int
    late: int
    latest: float
    latency: Latency
    curve: list[tuple[float, float]]
    histogram: str
    intervals: list[Interval]
    server_cpu: float | None
    generator_cpu: float
    busiest: float

    @property
    def failed(self) -> int:
        """How many calls had no right answer."""
        return sum(self.errors.values()) + self.unfinished + self.not_begun

    @property
    def requests(self) -> int:
        """How many calls were due in the window."""
        return self.answered + self.failed

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.completed / self.seconds if self.seconds else 0.0

    @property
    def renders_rate(self) -> float:
        """Renders a second."""
        return self.rate * self.plan.renders_per_call

    @property
    def calls_per_cpu_second(self) -> float | None:
        """Right answers for each second of the server's processor time; None if that is not known."""
        return self.completed / self.server_cpu if self.server_cpu else None

    @property
    def renders_per_cpu_second(self) -> float | None:
        """Renders for each second of the server's processor time; None if that is not known."""
        calls = self.calls_per_cpu_second
        return None if calls is None else calls * self.plan.renders_per_call

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "format": FORMAT,
            "name": self.plan.name,
            "requests": self.requests,
            "failed": self.failed,
            "rate": self.rate,
            "renders_rate": self.renders_rate,
            "calls_per_cpu_second": self.calls_per_cpu_second,
            "renders_per_cpu_second": self.renders_per_cpu_second,
            **{
                name: getattr(self, name)
                for name in self.__slots__
                if name not in {"plan", "latency", "intervals", "curve", "errors"}
            },
            "errors": dict(self.errors),
            "plan": self.plan.document(),
            "latency": self.latency.document(),
            "curve": [{"percentile": percentile, "seconds": seconds} for percentile, seconds in self.curve],
            "intervals": [asdict(interval) for interval in self.intervals],
        }

    def histogram_of(self) -> Histogram:
        """Return all latencies, to be merged with others'."""
        return Histogram.decode(self.histogram)
