"""Which targets of the bench are met is judged by what was measured, and never without."""

from pathlib import Path

import pytest
from load.bench.figures import Figure, Row, ratio
from load.bench.report import BEGIN, END, write_between_markers
from load.bench.targets import MET, NOT_MEASURED, NOT_MET, TARGETS, Judged, Target, judge

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
    write_between_markers(file, "new")
    assert f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n" == file.read_text(encoding="utf-8")


def test_a_document_without_markers_is_refused(tmp_path: Path) -> None:
    """Figures are not lost somewhere in a document."""
    file = tmp_path / "performance.md"
    file.write_text("nothing here\n", encoding="utf-8")
    with pytest.raises(ValueError, match="needs the lines"):
        write_between_markers(file, "new")
