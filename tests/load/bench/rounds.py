"""Interleaved rounds: every variant runs once in each, so that what slows the machine slows all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from load.bench.figures import Figure, Row, ratio


@dataclass(frozen=True)
class Sample:
    """What one lap of a variant did, in how much time of the clock and of processors."""

    count: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """How many in a second of processor time."""
        return self.count / self.cpu_seconds

    @property
    def wall(self) -> float:
        """How many in a second of the clock."""
        return self.count / self.seconds


@dataclass
class Measured:
    """The samples of each variant, in the order of the rounds."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def rates(self, name: str) -> list[float]:
        """Return a variant's counts per second of processor time."""
        return [sample.rate for sample in self.samples[name]]

    def walls(self, name: str) -> list[float]:
        """Return a variant's counts per second of the clock."""
        return [sample.wall for sample in self.samples[name]]

    def row(self, section: str, name: str, unit: str, *, against: str = "", note: str = "") -> Row:
        """Sum up a variant, compared with another if one is named."""
        return Row(
            section,
            name,
            unit,
            rate=Figure.of(self.rates(name)),
            wall=Figure.of(self.walls(name)),
            ratio=ratio(self.rates(name), self.rates(against)) if against else None,
            wall_ratio=ratio(self.walls(name), self.walls(against)) if against else None,
            against=against,
            note=note,
        )


def interleave(
    variants: Mapping[str, Callable[[], Sample]], rounds: int, progress: Callable[[str], None]
) -> Measured:
    """Run each variant once to warm it, and then so many rounds of all; every other one backwards."""
    measured = Measured({name: [] for name in variants})
    for lap in variants.values():
        lap()
    names = list(variants)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            sample = variants[name]()
            measured.samples[name].append(sample)
            progress(f"round {number + 1}/{rounds}  {name}: {sample.rate:,.0f}/CPU s  {sample.wall:,.0f}/s")
    return measured
