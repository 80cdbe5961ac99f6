"""Which targets of the bench are met is judged by what was measured, and never without."""

from collections import defaultdict
from pathlib import Path

import pytest
from load.bench.figures import Figure, Row, ratio
from load.bench.markers import write_between
from load.bench.plots import draw
from load.bench.report import markdown
from load.bench.targets import MET, NOT_MEASURED, NOT_MET, TARGETS, Judged, Target, judge

BEGIN, END = "<!-- begin -->", "<!-- end -->"
AT_LEAST = Target("renders, of the floor", "render", "floor", least=0.85)
AT_MOST = Target("cost", "most", "fewest", most=1.05)
RATE = Target("records", "verify", "", least=10_000)


def compared(name: str, against: str, value: float) -> Row:
    """Make a row with a ratio."""
    return Row("section", name, "renders", ratio=Figure.of([value]), against=against)


@pytest.mark.parametrize(
    ("target", "row", "verdict"),
    [
        (AT_LEAST, compared("render", "floor", 0.85), MET),
        (AT_LEAST, compared("render", "floor", 0.8499), NOT_MET),
        (AT_MOST, compared("most", "fewest", 1.05), MET),
        (AT_MOST, compared("most", "fewest", 1.0501), NOT_MET),
        (RATE, Row("section", "verify", "records", rate=Figure.of([10_000.0])), MET),
        (RATE, Row("section", "verify", "records", rate=Figure.of([9_999.0])), NOT_MET),
    ],
)
def test_a_target_is_met_up_to_its_bound(target: Target, row: Row, verdict: str) -> None:
    """The bound itself is met, what is beyond it is not."""
    assert verdict == target.judge([row]).verdict


def test_a_target_is_about_one_row_and_what_it_is_compared_with() -> None:
    """The same row compared with another one says nothing."""
    assert NOT_MEASURED == AT_LEAST.judge([compared("render", "audit off", 2.0)]).verdict


def test_what_could_not_be_measured_meets_nothing() -> None:
    """A row that says why it is missing is not judged."""
    row = Row("section", "verify", "records", missing="there is no database")
    assert NOT_MEASURED == RATE.judge([row]).verdict


def test_every_target_is_in_the_table_also_when_nothing_was_measured() -> None:
    """No target is left out silently."""
    judged = judge([])
    assert [(target.text, NOT_MEASURED) for target in TARGETS] == [
        (item.target.text, item.verdict) for item in judged
    ]


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that halves its speed for a round changes no ratio of that round."""
    assert Figure(0.5, 0.5, 0.5, 3) == ratio([50.0, 25.0, 50.0], [100.0, 50.0, 100.0])


def test_a_judged_target_shows_its_bound_and_what_was_measured() -> None:
    """The verdict is that of the median, not of the spread."""
    judged = AT_LEAST.judge([Row("s", "render", "", ratio=Figure(0.9, 0.5, 1.0, 11), against="floor")])
    assert Judged(AT_LEAST, Figure(0.9, 0.5, 1.0, 11), None, holds=True) == judged
    assert "≥ 0.85" == AT_LEAST.bound


def test_figures_go_between_the_markers_only(tmp_path: Path) -> None:
    """What stands around them stays."""
    file = tmp_path / "performance.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_between(file, BEGIN, END, "new")
    assert f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n" == file.read_text(encoding="utf-8")


def test_a_document_without_markers_is_refused(tmp_path: Path) -> None:
    """Figures are not lost somewhere in a document."""
    file = tmp_path / "performance.md"
    file.write_text("nothing here\n", encoding="utf-8")
    with pytest.raises(ValueError, match="needs the lines"):
        write_between(file, BEGIN, END, "new")


def test_each_section_with_rates_has_a_plot_in_both_forms(tmp_path: Path) -> None:
    """What was not measured has no bar; a section without any has no plot."""
    rows = [
        Row("Renders (audit on)", "one", "renders", rate=Figure.of([1.0, 2.0, 3.0])),
        Row("Renders (audit on)", "two", "renders", missing="it failed"),
        Row("Peers", "three", "prompts", missing="it can't be installed"),
    ]
    drawn = draw(rows, tmp_path / "plots")
    assert {"Renders (audit on)": tmp_path / "plots" / "renders-audit-on.svg"} == drawn
    assert ["renders-audit-on.png", "renders-audit-on.svg"] == sorted(
        file.name for file in (tmp_path / "plots").iterdir()
    )


def test_the_document_has_targets_tables_and_plots() -> None:
    """The table of the targets comes first, and a row that was not measured says why."""
    rows = [
        Row("Renders", "render", "renders", rate=Figure.of([10.0]), ratio=Figure.of([0.9]), against="floor"),
        Row("Peers", "other", "prompts", missing="it can't be installed"),
    ]
    about: dict[str, str] = defaultdict(str)
    written = markdown(about, rows, [AT_LEAST.judge(rows)], {"Renders": "performance/renders.svg"})
    assert "| renders, of the floor | ≥ 0.85 | 0.9× |  | met |" in written
    assert "| render | 10 renders |  | 0.9× |  | floor |  |" in written
    assert "| other | not measured |  |  |  |  | it can't be installed |" in written
    assert "![Renders](performance/renders.svg)" in written
    assert written.index("### Targets") < written.index("### Renders") < written.index("### Peers")
