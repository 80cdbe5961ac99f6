"""The plots of a run, as SVG and PNG: a bar for each row that has a rate."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from load.bench.figures import Row

_FORMATS: Final = ("svg", "png")
_WIDTH: Final = 9.0
_BAR: Final = 0.42
_COLOUR: Final = "#35618f"


class MissingPlotterError(Exception):
    """Matplotlib, which draws the plots, is not installed."""


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw a plot for each section that has rates, into a folder; return the SVG files in order.

    Raises MissingPlotterError.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("Agg")
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ModuleNotFoundError as error:
        raise MissingPlotterError(f"{error.name} is not installed") from None
    # The same figures make the same file.
    matplotlib.rcParams["svg.hashsalt"] = "pecia"
    sections: dict[str, list[Row]] = {}
    for row in rows:
        if row.rate is not None and row.unit != "MiB":
            sections.setdefault(row.section, []).append(row)
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    for section, members in sections.items():
        figure = _bars(pyplot, section, members)
        for form in _FORMATS:
            file = folder / f"{slug(section)}.{form}"
            metadata = {"Date": None} if form == "svg" else {}
            figure.savefig(file, format=form, dpi=120, bbox_inches="tight", metadata=metadata)
        pyplot.close(figure)
        drawn.append(folder / f"{slug(section)}.svg")
    return drawn


def slug(section: str) -> str:
    """Return a file's name for a section."""
    words = "".join(letter if letter.isalnum() else " " for letter in section.lower()).split()
    return "-".join(words)


def _bars(pyplot: Any, section: str, rows: Sequence[Row]) -> Any:
    """Draw a bar for each row, with its quartiles."""
    figure, axes = pyplot.subplots(figsize=(_WIDTH, 1.0 + _BAR * len(rows)))
    figures = [row.rate for row in rows if row.rate is not None]
    positions = list(range(len(rows)))
    axes.barh(positions, [item.median for item in figures], color=_COLOUR, height=0.7)
    axes.errorbar(
        [item.median for item in figures],
        positions,
        xerr=[
            [item.median - item.low for item in figures],
            [item.high - item.median for item in figures],
        ],
        fmt="none",
        ecolor="black",
        capsize=3,
    )
    axes.set_yticks(positions, [row.name for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f"{rows[0].unit} per second of processor time (median, quartiles)")
    axes.set_title(section, loc="left", fontsize=10)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    return figure
