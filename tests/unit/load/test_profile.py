"""The table of a render's stages adds up, and each of its stages runs."""

import pytest
from load.profile_libraries import NAMES, Spent, shares_of
from load.profile_libraries import table as library_table
from load.profile_render import lines, table
from load.profile_stages import Line, Stages

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
    rows = table([Line("stage", 12.34, cold=20.06), Line("all", 50, total=True)]).splitlines()[2:]
    assert ["| stage | 12.3 | 25% | 20.1 |", "| **all** | **50.0** | **100%** |  |"] == rows


def test_every_stage_runs() -> None:
    """Each stage of a render and of its record takes some time."""
    stages = Stages(repeats=1, loops=2)
    found = [*stages.of_render(), *stages.of_audit()]
    assert (13, []) == (len(found), [line.name for line in found if not line.microseconds])
    assert 12 == len([line for line in found if line.cold is not None])


def test_libraries_are_summed_up_by_their_names() -> None:
    """What perf reports of each file; a file that is none of the known ones is among the others."""
    report = [
        "    31.50%;libpython3.11.so.1.0  ",
        " 30.00%;[kernel.kallsyms]",
        "10.25%;cygrpc.cpython-311.so",
    ]
    report += [
        "  4.00%;libc.so.6",
        "  0.25%;[vdso]",
        "1.00%;libcrypto.so.3",
        "2.00%;orjson.cpython-311.so",
        "",
    ]
    shares = shares_of(report)
    linux, python, grpc, libc, loop, protobuf, sqlite, others = NAMES
    known = {linux: 0.3, python: 0.315, grpc: 0.1025, libc: 0.0425, loop: 0.0, protobuf: 0.0, sqlite: 0.0}
    assert pytest.approx({**known, others: 0.03}) == shares


def test_the_table_of_libraries_adds_up() -> None:
    """A column for each kind of call, and below it how often threads switch."""
    spent = Spent(dict.fromkeys(NAMES, 1.5), 3.25)
    rows = library_table({"floor": spent, "render": spent}).splitlines()
    assert "| µs for each | floor | render |" == rows[0]
    assert f"| {NAMES[0]} | 1.5 | 1.5 |" == rows[2]
    assert ["| **All** | **12.0** | **12.0** |", "| Switches of threads | 3.2 | 3.2 |"] == rows[-2:]
