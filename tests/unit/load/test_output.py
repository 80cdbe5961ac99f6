"""What people see of a run: table, notes, progress, figure."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from load import plot
from load.collector import Collector
from load.plan import Kind, Plan
from load.progress import Display
from load.recorder import Recorder
from load.result import Interval, Result
from load.runner import Progress
from load.schedule import Window
from load.table import notes, table

PLAN = Plan(kind=Kind.BATCH, profile="short", callers=4, batch=8, seconds=2, warmup=0)
INTERVAL = Interval(1.0, 1_234.5, 0, 0.0015, 0.025, 0.5)


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Ticking:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.now


def result_of(plan: Plan, server_cpu: float | None = 0.5, errors: Mapping[str, int] | None = None) -> Result:
    """Return the result of a hundred answers, from 10 ms to a second, and of some failures."""
    window = Window.of(plan, 0.0)
    collector, recorder = Collector(plan, window), Recorder(window)
    for number in range(1, 101):
        recorder.ended(0.0, number / 100, None)
    for label, times in (errors or {}).items():
        for _ in range(times):
            recorder.ended(0.0, 0.5, label)
    assert [] != list(collector.take(0, recorder.take().document(), last=False))
    list(collector.take(1, recorder.take().document(), last=True))
    return collector.result(server_cpu, [0.5])


def test_the_table_has_a_line_for_each_run() -> None:
    """Rates, latencies in milliseconds, and what a second of the server's processor time is worth."""
    echo = replace(PLAN, kind=Kind.ECHO, rate=100.0)
    lines = table([result_of(PLAN, errors={"INTERNAL": 2}), result_of(echo, server_cpu=None)]).splitlines()
    assert [
        "RUN REQUESTS CALLS/S RENDERS/S P50 P90 P99 P99.9 MAX FAILED LATE SERVER CPU RENDERS/CPU-S GENERATOR",
        "batch of 8, short, 4 callers 102 50.0 400.0 500.22 900.10 990.21 1000.45 1000.45 2 - "
        "0.50 s 1,600 25%",
        "echo, 100/s 100 50.0 - 500.22 900.10 990.21 1000.45 1000.45 0 0 - - 25%",
    ] == [" ".join(line.split()) for line in lines]
    assert 1 == len({len(line) for line in lines})


def test_notes_say_what_a_reader_of_the_table_must_know() -> None:
    """What failed and how often, what is only a lower bound, and that the generator may be the limit."""
    result = result_of(PLAN, errors={"NOT_FOUND BUNDLE_NOT_FOUND": 3})
    name = PLAN.name
    assert [f"{name}: 3 x NOT_FOUND BUNDLE_NOT_FOUND"] == list(notes([result]))
    assert [
        f"{name}: 2 unfinished when the drain time was over",
        f"{name}: 1 never begun: all callers were waiting",
        f"{name}: the highest latencies are at least what is shown",
        f"{name}: a generator process used 97% of a processor and may be what limits the rate: "
        "try more --processes",
    ] == list(notes([replace(result, errors={}, unfinished=2, not_begun=1, busiest=0.97)]))


def test_notes_say_when_an_open_loop_did_not_reach_its_rate() -> None:
    """Then its latencies are those of a queue that grows."""
    plan = replace(PLAN, rate=100.0)
    reached = result_of(replace(plan, rate=50.0))
    assert [[], [f"{plan.name}: the rate was not reached; give more --callers, or less --rate"]] == [
        list(notes([replace(reached, late=5)])),
        list(notes([replace(result_of(plan), late=5)])),
    ]


def test_a_terminal_sees_one_line_that_changes() -> None:
    """Each time the whole line is written anew, and in the end it is gone."""
    terminal = Terminal()
    display = Display(terminal, Ticking())
    display.show(Progress(PLAN, "measuring", 0.5, INTERVAL, 2))
    display.clear()
    shown = f"{PLAN.name}: measuring  50%  1,234/s, p50 1.50 ms, p99 25.00 ms  2 failed"
    assert f"\r\x1b[2K{shown}\r\x1b[2K" == terminal.getvalue()


def test_a_file_sees_a_line_every_few_seconds() -> None:
    """And one for whatever begins."""
    stream, clock = io.StringIO(), Ticking()
    display = Display(stream, clock)
    for second in range(12):
        clock.now = float(second)
        display.show(Progress(PLAN, "warming up" if second < 2 else "measuring", second / 12))
    display.clear()
    assert [("up", "0%"), ("measuring", "17%"), ("measuring", "58%")] == [
        (line.split()[-2], line.split()[-1]) for line in stream.getvalue().splitlines()
    ]


def test_a_figure_is_written_as_svg_and_png(tmp_path: Path) -> None:
    """With every run named, and the same bytes for the same results: one that is committed stays as it is."""
    results = [result_of(PLAN), result_of(replace(PLAN, kind=Kind.RENDER))]
    svg, png = plot.write(results, tmp_path / "load.short")
    again, _ = plot.write(results, tmp_path / "again")
    assert ("load.short.svg", "load.short.png") == (svg.name, png.name)
    assert b"\x89PNG\r\n\x1a\n" == png.read_bytes()[:8]
    assert svg.read_bytes() == again.read_bytes()
    assert [result.plan.name for result in results] == [
        text.get_text() for legend in plot.draw(results).legends for text in legend.get_texts()
    ]


def test_a_figure_shows_no_percentile_that_nothing_was_measured_of() -> None:
    """Of a hundred latencies none is the one in a thousand."""
    curve = plot.draw([result_of(PLAN)]).axes[0].lines[0]
    # The scale counts nines: 99 % is at 2.
    assert 2 == pytest.approx(float(np.max(curve.get_xdata())))
