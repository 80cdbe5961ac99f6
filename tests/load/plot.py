"""Results as a figure: latency by percentile, and rate and latency over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from load.result import Result
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

_SIZE: Final = (9.0, 11.0)
_DOTS: Final = 144
_TICKS: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_LEAST_SECONDS: Final = 1e-6


def write(results: Sequence[Result], prefix: Path) -> list[Path]:
    """Write PREFIX.svg and PREFIX.png; return their paths. The same results give the same bytes of SVG."""
    paths = [prefix.with_name(f"{prefix.name}.{form}") for form in ("svg", "png")]
    # Without a date and with a fixed salt, a figure that is committed changes only when its data do.
    with rc_context({"svg.hashsalt": "pecia"}):
        figure = draw(results)
        for path in paths:
            figure.savefig(path, dpi=_DOTS, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def draw(results: Sequence[Result]) -> Figure:
    """Return the figure; nothing is shown on a screen."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    curves, rates, tails = figure.subplots(3, 1)
    for result in results:
        _curve(curves, result)
        ended = [interval.ended for interval in result.intervals]
        rates.plot(ended, [interval.rate for interval in result.intervals], marker=".")
        tails.plot(ended, [_milliseconds(interval.p99) for interval in result.intervals], marker=".")
    _label_percentiles(curves)
    rates.set(ylabel="right answers a second", xlabel="seconds")
    rates.set_ylim(bottom=0)
    tails.set(ylabel="p99, milliseconds", xlabel="seconds", yscale="log")
    for axes in (curves, tails):
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    for axes in (curves, rates, tails):
        axes.grid(visible=True, which="major", alpha=0.4)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def _curve(axes: Axes, result: Result) -> None:
    # Of a hundred latencies none is the one in a thousand.
    known = 100 * (1 - 1 / max(2, result.latency.count))
    points = [(_nines(each), _milliseconds(seconds)) for each, seconds in result.curve if 0 < each <= known]
    axes.plot([x for x, _ in points], [y for _, y in points], marker=".", label=result.plan.name)


def _label_percentiles(axes: Axes) -> None:
    axes.set(xlabel="percentile", ylabel="milliseconds from when a call was due", yscale="log")
    axes.set_xticks(
        [_nines(percentile) for percentile in _TICKS], [f"{percentile:g}" for percentile in _TICKS]
    )


def _nines(percentile: float) -> float:
    """Return how often one in how many is slower, on a scale where 90, 99 and 99.9 % are as far apart."""
    return -math.log10(1 - percentile / 100)


def _milliseconds(seconds: float) -> float:
    return max(seconds, _LEAST_SECONDS) * 1000
