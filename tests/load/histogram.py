"""Latencies in bounded memory: a HdrHistogram of microseconds, exact to three digits from 1 µs to an hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from hdrh.histogram import HdrHistogram

_LEAST: Final = 1
_MOST: Final = 3_600_000_000
_DIGITS: Final = 3
_MICROSECONDS: Final = 1e6
QUANTILES: Final = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 100.0)
"""The percentiles of a curve."""


@dataclass(frozen=True, slots=True)
class Latency:
    """What is said of many latencies, in seconds; all 0 when there were none."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float

    def document(self) -> dict[str, float]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


class Histogram:
    """Counts latencies; two can be added, and one can be sent as text."""

    def __init__(self) -> None:
        self._counts: Any = HdrHistogram(_LEAST, _MOST, _DIGITS)

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a latency; what is below or above the range counts as its end."""
        self._counts.record_value(min(max(round(seconds * _MICROSECONDS), _LEAST), _MOST), times)

    def merge(self, others: Iterable[Self]) -> None:
        """Add what others have counted."""
        for other in others:
            self._counts.add(other._counts)

    def encode(self) -> str:
        """Return it as HdrHistogram's own text (V2, compressed, base64), which other tools read too."""
        text: bytes = self._counts.encode()
        return text.decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` gave."""
        histogram = cls()
        histogram._counts.decode_and_add(text.encode())
        return histogram

    def at(self, percentile: float) -> float:
        """Return the latency in seconds that so many percent do not exceed."""
        return self._values([percentile])[percentile]

    def curve(self) -> list[tuple[float, float]]:
        """Return pairs of a percentile and its latency in seconds."""
        return [(percentile, value) for percentile, value in self._values(QUANTILES).items()]

    def summary(self) -> Latency:
        """Return what a table shows."""
        count: int = self._counts.get_total_count()
        mean = self._counts.get_mean_value() / _MICROSECONDS if count else 0.0
        return Latency(count, mean, *self._values((50.0, 90.0, 99.0, 99.9, 100.0)).values())

    def _values(self, percentiles: Sequence[float]) -> dict[float, float]:
        """Return the latencies at percentiles in rising order, all found in one pass."""
        if self._counts.get_total_count() == 0:
            return dict.fromkeys(percentiles, 0.0)
        values: dict[float, int] = self._counts.get_percentile_to_value_dict(list(percentiles))
        return {percentile: values[percentile] / _MICROSECONDS for percentile in percentiles}
