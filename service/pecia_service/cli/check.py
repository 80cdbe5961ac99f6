"""`pecia check`: measure a model's answer against a bundle's effective constraints."""

from __future__ import annotations

from pathlib import Path

import click
from pecia_client.messages import BundleRef, CheckOutputResponse, Severity, Violation
from rich.text import Text

from pecia_service.cli.connection import connect
from pecia_service.cli.documents import Document, document, enum_name
from pecia_service.cli.failures import ExitCode, finish
from pecia_service.cli.json_file import STDIN, read_text
from pecia_service.cli.offline import OfflineDirectory
from pecia_service.cli.options import BUNDLE_REF, INPUT_FILE, json_option, offline_option, server_options
from pecia_service.cli.output import Cell, Output, counted, styled
from pecia_service.cli.session import Session, pass_session

_STYLES = {"ERROR": "bold red", "WARNING": "yellow"}
_MAX_EXCERPT = 40


@click.command(short_help="Measure a model's answer against constraints.")
@click.argument("bundle", type=BUNDLE_REF)
@click.argument("answer_file", metavar="[ANSWER]", type=INPUT_FILE, default=STDIN)
@offline_option
@json_option
@server_options
@pass_session
def check(
    session: Session,
    *,
    bundle: BundleRef,
    answer_file: str,
    offline: Path | None,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Measure the model's answer in the file ANSWER (stdin without it) against the constraints of BUNDLE.

    BUNDLE is ID@VERSION or ID@LABEL. Each violation is shown with its line and column and with its span,
    which counts code points from 0. Exit code 1 means that there is a violation that is more than a warning.

    \b
    Examples:
      pecia check companion@production answer.txt
      pecia check companion@1.2.0 --offline prompts/ < answer.txt
    """
    answer = read_text(answer_file)
    if offline is not None:
        response = OfflineDirectory(offline, session).check(bundle, answer)
    else:
        with connect(target, timeout) as client:
            response = client.check_output(answer, bundle)
    lines = _LineIndex(answer)
    if as_json:
        session.output.json(_document(response, lines))
    else:
        _show(session.output, response, answer, lines)
    if not response.passed:
        finish(ExitCode.NEGATIVE)


class _LineIndex:
    """Finds line and column, both from 1, of a code point's offset."""

    def __init__(self, text: str) -> None:
        self._text = text

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column."""
        return self._text.count("\n", 0, offset) + 1, offset - self._text.rfind("\n", 0, offset)


def _document(response: CheckOutputResponse, lines: _LineIndex) -> Document:
    result = document(response)
    for violation, found in zip(result["violations"], response.violations, strict=True):
        violation["line"], violation["column"] = lines.place(found.start)
    return result


def _show(output: Output, response: CheckOutputResponse, answer: str, lines: _LineIndex) -> None:
    if response.violations:
        output.table(
            ("PLACE", "SPAN", "SEVERITY", "RULE", "MESSAGE", "TEXT"),
            [_row(violation, answer, lines) for violation in response.violations],
        )
    if response.truncated:
        output.line("... and more violations than are listed")
    errors = sum(violation.severity == Severity.SEVERITY_ERROR for violation in response.violations)
    output.line(
        Text.assemble(
            styled("passed", "green") if response.passed else styled("failed", "bold red"),
            f": {counted(errors, 'error')}, {counted(len(response.violations) - errors, 'warning')} "
            f"against {response.bundle_id}@{response.semver}",
        )
    )


def _row(violation: Violation, answer: str, lines: _LineIndex) -> tuple[Cell, ...]:
    line, column = lines.place(violation.start)
    text = answer[violation.start : violation.end]
    severity = enum_name(violation, "severity")
    return (
        f"{line}:{column}",
        f"{violation.start}-{violation.end}",
        styled(severity, _STYLES.get(severity, "")),
        enum_name(violation, "rule"),
        violation.message,
        text if len(text) <= _MAX_EXCERPT else f"{text[:_MAX_EXCERPT]}...",
    )
