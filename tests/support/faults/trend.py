"""A straight line through samples of memory, with the confidence interval of its slope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

_BLOCKS = 20

# The 97.5 % quantile of Student's t with _BLOCKS - 2 = 18 degrees of freedom.
_T = 2.1009


@dataclass(frozen=True)
class Trend:
    """The growth over the whole time that was sampled, and the bounds of its 95 % confidence interval."""

    growth: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_mebibytes(self.growth)} ({_mebibytes(self.low)} to {_mebibytes(self.high)})"

    def within_noise(self, floor: float) -> bool:
        """Tell whether the interval shows no growth beyond `floor`, the size of steps that mean nothing."""
        return self.low <= floor


def fit(samples: Sequence[float]) -> Trend:
    """Fit a line by least squares to at least 40 samples that were taken at equal distances.

    Neighbouring samples are alike, which would make the interval too narrow: means of 20 blocks are fitted.
    """
    if len(samples) < 2 * _BLOCKS:
        raise ValueError(f"a trend needs at least {2 * _BLOCKS} samples, got {len(samples)}")
    edges = [round(number * len(samples) / _BLOCKS) for number in range(_BLOCKS + 1)]
    means = [fmean(samples[start:end]) for start, end in pairwise(edges)]
    # The whole time is 1, so that the slope is the growth over it.
    times = [(number + 0.5) / _BLOCKS for number in range(_BLOCKS)]
    middle, level = fmean(times), fmean(means)
    spread = sum((time - middle) ** 2 for time in times)
    slope = sum((time - middle) * (mean - level) for time, mean in zip(times, means, strict=True)) / spread
    residual = sum(
        (mean - level - slope * (time - middle)) ** 2 for time, mean in zip(times, means, strict=True)
    )
    margin = _T * math.sqrt(residual / (_BLOCKS - 2) / spread)
    return Trend(slope, slope - margin, slope + margin)


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the least sample that is not below the given share of all of them."""
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]


def _mebibytes(count: float) -> str:
    return f"{count / 2**20:+.2f} MiB"
