"""What a conformance program's report is worth."""

import json
from collections.abc import Iterable

import pytest
from clients.runner.cases import CASES, Report


def line(name: str, outcome: str = "passed", checks: int | None = None, detail: str = "") -> str:
    """Return a line as a program prints it, by default with the least number of checks."""
    made = CASES[name] if checks is None else checks
    return json.dumps({"case": name, "outcome": outcome, "checks": made, "detail": detail})


def report_of(lines: Iterable[str], code: int = 0, last_words: str = "") -> Report:
    """Return the report of a program that printed these lines and ended so."""
    report = Report()
    for each in lines:
        report.read(each)
    report.end(code, last_words)
    return report


def test_all_cases_passed() -> None:
    """A program that reports every case in order, with enough checks, and exit code 0, has passed."""
    report = report_of(map(line, CASES))
    assert (True, []) == (report.passed, report.problems)


def test_more_checks_than_the_least() -> None:
    """The numbers are the least ones."""
    assert report_of([line(name, checks=least + 1) for name, least in CASES.items()]).passed


def test_failed_case() -> None:
    """A failed case fails the report, keeps its detail, and is no further problem with exit code 1."""
    lines = [line(name, "failed" if name == "render" else "passed", 3, "plain: prompt") for name in CASES]
    report = report_of(
        [each if "render" in each else line(json.loads(each)["case"]) for each in lines], code=1
    )
    assert (False, []) == (report.passed, report.problems)
    assert (False, 3, "plain: prompt") == (
        report.cases["render"].passed,
        report.cases["render"].checks,
        report.cases["render"].detail,
    )


def test_too_few_checks() -> None:
    """A case that says it passed after fewer checks than there are is a failed one."""
    lines = [line(name, checks=CASES[name] - (name == "batch")) for name in CASES]
    report = report_of(lines, code=0)
    assert (False, "made 129 checks; at least 130 are to be made") == (
        report.passed,
        report.cases["batch"].detail,
    )


def test_missing_case() -> None:
    """A case that is not there fails the report by its name."""
    report = report_of([line(name) for name in CASES if name != "deadline"])
    assert (False, ["no report of deadline"]) == (report.passed, report.problems)


def test_nothing_at_all() -> None:
    """A program that prints nothing has passed nothing."""
    report = report_of([])
    assert (False, [f"no report of {', '.join(CASES)}"]) == (report.passed, report.problems)


def test_unknown_case() -> None:
    """A case that nobody asked for fails the report."""
    report = report_of([*map(line, CASES), line("render").replace('"render"', '"rendre"')])
    assert (False, ["there is no case 'rendre'"]) == (report.passed, report.problems)


def test_repeated_case() -> None:
    """A case has one outcome."""
    report = report_of([*map(line, CASES), line("deadline")])
    assert (False, ["deadline was reported twice"]) == (report.passed, report.problems)


def test_order() -> None:
    """Cases come in the order in which they are described."""
    report = report_of(map(line, ["payload_hash", "canonical", *list(CASES)[2:]]))
    assert (False, ["canonical was reported after payload_hash"]) == (report.passed, report.problems)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "BUILD SUCCESS",
        "{}",
        "[]",
        "null",
        '{"case": "render", "outcome": "passed", "checks": 255}',
        '{"case": "render", "outcome": "passed", "checks": 255, "detail": "", "more": 1}',
        '{"case": "render", "outcome": "skipped", "checks": 255, "detail": ""}',
        '{"case": "render", "outcome": "passed", "checks": true, "detail": ""}',
        '{"case": "render", "outcome": "passed", "checks": "255", "detail": ""}',
        '{"case": ["render"], "outcome": "passed", "checks": 255, "detail": ""}',
    ],
)
def test_garbage(garbage: str) -> None:
    """A line that is no case fails the report, though all cases are there."""
    report = report_of([*map(line, CASES), garbage])
    assert (False, 1) == (report.passed, len(report.problems))


@pytest.mark.parametrize("code", [1, 2, 77, 127])
def test_exit_code_without_a_failed_case(code: int) -> None:
    """A program that says all is well and ends as if it were not has failed; 77 is no way out."""
    report = report_of(map(line, CASES), code, "missing: go")
    assert (False, None) == (report.passed, report.missing)
    assert [f"exit code {code} with no failed case: missing: go"] == report.problems


def test_exit_code_0_with_a_failed_case() -> None:
    """The exit code has to say so too."""
    lines = [line(name, "failed" if name == "error" else "passed") for name in CASES]
    report = report_of(lines, 0)
    assert (False, ["exit code 0 with a failed case: "]) == (report.passed, report.problems)


def test_killed() -> None:
    """A program that a signal ended has failed, whatever it said before."""
    report = report_of(map(line, CASES), -9)
    assert (False, ["signal 9 ended it"]) == (report.passed, report.problems)


def test_missing_toolchain() -> None:
    """Exit code 77 with a name skips the language."""
    report = report_of([], 77, "missing: go")
    assert ("go", [], False) == (report.missing, report.problems, report.passed)


def test_missing_toolchain_without_a_name() -> None:
    """Who skips has to say why."""
    report = report_of([], 77, "command not found")
    assert report.missing is None
    assert not report.passed


def test_time_limit() -> None:
    """A program that was ended tells which case it did not come to."""
    report = Report()
    report.read(line("canonical"))
    report.give_up(1.5)
    assert ["it was ended after 1.5 seconds, before payload_hash was there"] == report.problems
    assert not report.passed
