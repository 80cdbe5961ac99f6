"""The figures of the fault tests: printed at the end, and with FIGURES=FILE written into that document."""

import os
from pathlib import Path

import pytest
from support.faults import figures as reports
from support.faults.figures import Figures, Passed, Report, commit
from support.faults.scale import mode

_REPORT = pytest.StashKey[Report]()
_KEPT = "faults/passed"


def pytest_configure(config: pytest.Config) -> None:
    """Begin with the figures of tests that passed in the full form before, if only some are run again."""
    report = config.stash.setdefault(_REPORT, Report(commit()))
    cache = getattr(config, "cache", None)
    if cache and mode() == "full" and config.getoption("lf"):
        report.tests = {name: Passed(*kept) for name, kept in cache.get(_KEPT, {}).items()}
    config.pluginmanager.register(_Collector(report))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what passed, so that after a failure not everything has to be run again."""
    cache = getattr(session.config, "cache", None)
    if cache and mode() == "full":
        tests = session.config.stash[_REPORT].tests
        cache.set(_KEPT, {name: list(passed) for name, passed in tests.items()})


class _Collector:
    """Takes the figures from the reports of tests."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the figures of one test."""
        if report.when == "call":
            self._report.read(report.nodeid, report.outcome, report.user_properties)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Give where a test leaves its figures."""
    return Figures(request.node.user_properties)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Print the figures, and write them into the document if all of them are there and every test passed."""
    report = config.stash[_REPORT]
    if not report.rows:
        return
    terminalreporter.section(f"faults ({mode()} form)")
    for line in report.lines():
        terminalreporter.write_line(line)
    document = os.environ.get("FIGURES")
    if document is None:
        return
    if exitstatus or report.missing or mode() != "full":
        missing = ", ".join(fault.value[0] for fault in report.missing) or "none"
        terminalreporter.write_line(
            f"{document} stays as it is: it takes figures of the full form in which every test passed "
            f"and no fault is left out (without figures: {missing})."
        )
        return
    reports.write(Path(document), report.markdown())
    terminalreporter.write_line(f"The figures are in {document}.")
