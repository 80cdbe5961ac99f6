"""Figures of a run: medians with their quartiles, and ratios of what was measured side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Figure:
    """The median of several samples, and the quartiles between which half of them are."""

    median: float
    low: float
    high: float
    samples: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Sum up samples; raises ValueError when there are none."""
        if not samples:
            raise ValueError("a figure needs at least one sample")
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0], 1)
        low, _, high = quantiles(samples, n=4, method="inclusive")
        return cls(median(samples), low, high, len(samples))


def ratio(over: Sequence[float], under: Sequence[float]) -> Figure:
    """Compare what was measured side by side: a noisy machine slows both of a pair."""
    return Figure.of([upper / lower for upper, lower in zip(over, under, strict=True)])


@dataclass(frozen=True)
class Row:
    """One line of the results.

    `rate` is per second of processor time, `wall` per second of the clock; `ratio` compares rates with those
    of the row that is named `against`. A row that could not be measured says why in `missing`.
    """

    section: str
    name: str
    unit: str
    rate: Figure | None = None
    wall: Figure | None = None
    ratio: Figure | None = None
    wall_ratio: Figure | None = None
    against: str = ""
    note: str = ""
    missing: str = ""
