"""The table of a render's stages adds up, and each of its stages runs."""

from load.profile_render import Line, Stages, lines, table

MEASURED = {
    "gRPC itself: the echo floor": 100.0,
    "Pecia's interceptor": 120.0,
    "Render, audit off": 200.0,
    "Render, audit on": 250.0,
}


def test_what_the_stages_leave_of_a_total_is_a_line() -> None:
    """Between two totals, what was measured of the stages and the rest is their difference."""
    found = lines(MEASURED, [Line("a", 10), Line("b", 20)], [Line("c", 15)])
    assert [(line.microseconds, line.total) for line in found] == [
        (100.0, True),
        (20.0, False),
        (10, False),
        (20, False),
        (50.0, False),
        (200.0, True),
        (15, False),
        (35.0, False),
        (250.0, True),
    ]


def test_shares_are_of_the_last_total() -> None:
    """Totals are marked, and everything is a share of what all of it takes."""
    rows = table([Line("stage", 12.34), Line("all", 50, total=True)]).splitlines()[2:]
    assert ["| stage | 12.3 | 25% |", "| **all** | **50.0** | **100%** |"] == rows


def test_every_stage_runs() -> None:
    """Each stage of a render and of its record takes some time."""
    stages = Stages(repeats=1, loops=2)
    found = [*stages.of_render(), *stages.of_audit()]
    assert (13, []) == (len(found), [line.name for line in found if not line.microseconds])
