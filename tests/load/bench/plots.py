"""The plots of a run, as SVG and PNG: a bar for each row that has a rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from load.bench.figures import Row
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_FORMATS: Final = ("svg", "png")
_WIDTH: Final = 9.0
_HEAD: Final = 1.0
_BAR: Final = 0.42
_DOTS: Final = 120
_COLOUR: Final = "#35618f"


def draw(rows: Sequence[Row], folder: Path) -> dict[str, Path]:
    """Draw a plot for each section that has rates, into a folder; return the SVG file of each.

    The same rows give the same bytes of SVG.
    """
    sections: dict[str, list[Row]] = {}
    for row in rows:
        if row.rate is not None and row.unit != "MiB":
            sections.setdefault(row.section, []).append(row)
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Path] = {}
    with rc_context({"svg.hashsalt": "pecia"}):
        for section, members in sections.items():
            figure = _bars(section, members)
            for form in _FORMATS:
                metadata = {"Date": None} if form == "svg" else None
                figure.savefig(folder / f"{slug(section)}.{form}", dpi=_DOTS, metadata=metadata)
            drawn[section] = folder / f"{slug(section)}.svg"
    return drawn


def slug(section: str) -> str:
    """Return a file's name for a section."""
    words = "".join(letter if letter.isalnum() else " " for letter in section.lower()).split()
    return "-".join(words)


def _bars(section: str, rows: Sequence[Row]) -> Figure:
    """Draw a bar for each row, with its quartiles; nothing is shown on a screen."""
    figure = Figure(figsize=(_WIDTH, _HEAD + _BAR * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rates = [row.rate for row in rows if row.rate is not None]
    medians = [rate.median for rate in rates]
    places = list(range(len(rows)))
    axes.barh(places, medians, color=_COLOUR, height=0.7)
    spread = [[rate.median - rate.low for rate in rates], [rate.high - rate.median for rate in rates]]
    axes.errorbar(medians, places, xerr=spread, fmt="none", ecolor="black", capsize=3)
    axes.set_yticks(places, [row.name for row in rows])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(f"{rows[0].unit} per second of processor time (median, quartiles)")
    axes.set_title(section, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
