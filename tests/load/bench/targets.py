"""The targets: what a ratio must at least or at most be, and whether the one that was measured is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from load.bench.figures import Figure, Row
from load.bench.renderers import JINJA, OURS
from load.bench.serving import (
    BATCH_64,
    ENGINES,
    FLOOR,
    RENDER,
    RENDER_OFF,
    RENDER_POSTGRES,
    STREAM,
    UNARY,
)
from load.bench.storing import FEWEST, cost
from load.bench.verifying import growth, verify
from load.bench.workers import one, two

MET: Final = "met"
NOT_MET: Final = "NOT MET"
NOT_MEASURED: Final = "not measured"


@dataclass(frozen=True)
class Target:
    """What must hold of the row `name` compared with the row `against`, or of its rate where that is empty.

    The bound is a least or a largest value; `unit` follows it where it is not a ratio.
    """

    text: str
    name: str
    against: str
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def bound(self) -> str:
        """The bound as text."""
        sign, value = ("≥", self.least) if self.least is not None else ("≤", self.most)
        return f"{sign} {value:,.6g}{self.unit}"

    def judge(self, rows: Sequence[Row]) -> Judged:
        """Judge by the median of the first row that it is about."""
        for row in rows:
            if row.name == self.name and row.against == self.against and not row.missing:
                figure = row.ratio if self.against else row.rate
                if figure is not None:
                    return Judged(self, figure, row.wall_ratio, self._holds(figure.median))
        return Judged(self, None, None, holds=False)

    def _holds(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Judged:
    """A target with what was measured; None if nothing was."""

    target: Target
    figure: Figure | None
    wall: Figure | None
    holds: bool

    @property
    def verdict(self) -> str:
        """Say whether it is met."""
        if self.figure is None:
            return NOT_MEASURED
        return MET if self.holds else NOT_MET


TARGETS: Final = (
    Target("Render with audit on (SQLite), of the echo floor", RENDER, FLOOR, least=0.85),
    Target("Render with audit on (PostgreSQL), of the echo floor", RENDER_POSTGRES, FLOOR, least=0.85),
    Target("Render with audit on (SQLite), of Render with audit off", RENDER, RENDER_OFF, least=0.92),
    Target(
        "Render with audit on (PostgreSQL), of Render with audit off", RENDER_POSTGRES, RENDER_OFF, least=0.92
    ),
    Target("Renders in batches of 64, of single renders", BATCH_64, UNARY, least=10),
    Target("Renders over a stream, of single renders", STREAM, UNARY, least=2),
    *(
        Target(f"Two workers ({engine}), of one worker, per CPU-second", two(engine), one(engine), least=0.9)
        for engine in ENGINES
    ),
    *(
        Target(
            f"Cost of a warm render ({engine}), most templates stored against fewest",
            cost(engine),
            FEWEST,
            most=1.05,
        )
        for engine in ENGINES
    ),
    *(
        Target(f"VerifyAudit ({engine}), records a second and core", verify(engine), "", least=10_000)
        for engine in ENGINES
    ),
    *(
        Target(f"Memory that VerifyAudit ({engine}) grows by", growth(engine), "", most=4, unit=" MiB")
        for engine in ENGINES
    ),
    Target("The renderer, of compiled Jinja2", OURS, JINJA, least=1),
)


def judge(rows: Sequence[Row]) -> list[Judged]:
    """Judge all targets."""
    return [target.judge(rows) for target in TARGETS]
