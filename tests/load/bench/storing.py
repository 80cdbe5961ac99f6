"""Renders over stores with few templates and with very many: what is stored must not slow a warm render."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from typing import Final

from load.bench import works
from load.bench.bench import Bench, Lap
from load.bench.figures import Row, ratio
from load.bench.rounds import Measured, interleave
from load.bench.serving import ENGINES, closed_by, published, serve

FEWEST: Final = "fewest templates"


def cost(engine: str) -> str:
    """Name the row that compares most templates with fewest."""
    return f"Cost of a warm render with most templates, {engine}"


def stored(bench: Bench) -> None:
    """Compare stores of several sizes, on either engine."""
    warm, label = works.render(), works.render(label=True)
    for engine in ENGINES:
        with ExitStack() as stack:
            laps: dict[str, Lap] = {}
            for count in bench.scale.stored:
                bench.progress(f"{engine}: storing {count:,} templates")
                store = published(bench, stack, engine, count)
                server = serve(bench, stack, store)
                laps[_name(count)] = Lap(bench, server, warm, store=store)
                laps[f"{_name(count)}, by label"] = Lap(bench, server, label, store=store)
            measured = interleave(closed_by(stack, laps), bench.scale.rounds, bench.progress)
            bench.results.rows += _rows(engine, bench, measured)


def _rows(engine: str, bench: Bench, measured: Measured) -> list[Row]:
    section = f"Templates stored, {engine} (audit on)"
    fewest, *more = (_name(count) for count in bench.scale.stored)
    rows = [measured.row(section, fewest, "renders")]
    rows += [measured.row(section, name, "renders", against=fewest) for name in more]
    rows.append(measured.row(section, f"{fewest}, by label", "renders"))
    rows += [
        measured.row(section, f"{name}, by label", "renders", against=f"{fewest}, by label") for name in more
    ]
    if more:
        # The cost is the reverse of the rate.
        costs = ratio(measured.rates(fewest), measured.rates(more[-1]))
        wall = ratio(measured.walls(fewest), measured.walls(more[-1]))
        row = Row(section, cost(engine), "", ratio=costs, wall_ratio=wall, against=FEWEST)
        rows.append(dataclasses.replace(row, note=f"{more[-1]} against {fewest}"))
    return rows


def _name(count: int) -> str:
    return f"{count:,} templates"
