"""Say what all programs reported: a table language × case, and what there is to say beside it."""

from collections.abc import Mapping, Sequence

from clients.runner.cases import CASES, Report


def write_table(reports: Mapping[str, Report]) -> str:
    """Return the table: a column for each language, a row for each case, and checks in the cells."""
    head = ["", *reports]
    rows = [[name, *(_cell(report, name) for report in reports.values())] for name in CASES]
    sums = ["checks", *(_sum(report) for report in reports.values())]
    lines = [head, *rows, sums]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(line, widths) for line in (head, rule, *rows, rule, sums))


def write_remarks(reports: Mapping[str, Report], in_ci: bool) -> list[str]:
    """Return a line for each thing that is wrong, was skipped, or is worth a note."""
    remarks: list[str] = []
    for language, report in reports.items():
        if report.missing is not None:
            refused = ", which must not be in CI" if in_ci else ""
            remarks.append(f"{language}: skipped: {report.missing} is missing{refused}")
            continue
        for case in report.cases.values():
            if not case.passed:
                remarks.append(f"{language}: {case.name} FAILED: {case.detail}")
            elif case.detail:
                remarks.append(f"{language}: {case.name}: {case.detail}")
        remarks += [f"{language}: FAILED: {problem}" for problem in report.problems]
    return remarks


def _cell(report: Report, name: str) -> str:
    if report.missing is not None:
        return "skipped"
    case = report.cases.get(name)
    if case is None:
        return "MISSING"
    return f"ok {case.checks:>4}" if case.passed else "FAILED"


def _sum(report: Report) -> str:
    if report.missing is not None:
        return "skipped"
    checks = sum(case.checks for case in report.cases.values())
    return f"{'ok' if report.passed else 'FAILED'} {checks:>4}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
