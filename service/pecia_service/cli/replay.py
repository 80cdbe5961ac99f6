"""`pecia replay` and `pecia verify`: prove that what was rendered can be rendered again to the byte."""

from __future__ import annotations

from datetime import datetime

import click
from pecia_client.messages import ReplayFinding, ReplayResult, ReplayVerdict, VerifySummary

from pecia_service.cli.connection import connect
from pecia_service.cli.documents import document, enum_name
from pecia_service.cli.failures import ExitCode, finish
from pecia_service.cli.options import INPUT_FILE, filter_options, json_option, make_filter, server_options
from pecia_service.cli.output import Cell, Output, styled
from pecia_service.cli.payload_file import read_payload, read_receipt
from pecia_service.cli.session import Session, pass_session

MAX_FINDINGS = 10_000
"""How many records `verify` names; the summary counts all."""

_STYLES = {"MATCH": "green", "MISMATCH": "bold red", "UNVERIFIABLE": "yellow"}
_EXIT_CODES = {
    ReplayVerdict.REPLAY_VERDICT_MATCH: ExitCode.OK,
    ReplayVerdict.REPLAY_VERDICT_MISMATCH: ExitCode.NEGATIVE,
    ReplayVerdict.REPLAY_VERDICT_UNVERIFIABLE: ExitCode.UNVERIFIABLE,
}


@click.command(short_help="Render again what was rendered, and compare.")
@click.argument("render_id", required=False)
@click.option(
    "--receipt",
    "receipt_file",
    type=INPUT_FILE,
    metavar="FILE",
    help="A receipt, or what `pecia render --json` printed; - is stdin. Needs --payload.",
)
@click.option(
    "--payload", "payload_file", type=INPUT_FILE, metavar="FILE", help="The payload of --receipt; - is stdin."
)
@json_option
@server_options
@pass_session
def replay(
    session: Session,
    *,
    render_id: str | None,
    receipt_file: str | None,
    payload_file: str | None,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Render again what RENDER_ID, or a receipt with its payload, names, and compare.

    Exit code 0 is MATCH, 1 MISMATCH, 3 UNVERIFIABLE.

    \b
    Examples:
      pecia replay 01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44
      pecia replay --receipt rendered.json --payload payload.json
    """
    if (render_id is None) == (receipt_file is None) or (receipt_file is None) != (payload_file is None):
        raise click.UsageError("Give either RENDER_ID, or --receipt together with --payload.")
    if receipt_file is not None and payload_file is not None:
        receipt, payload = read_receipt(receipt_file), read_payload(payload_file)
        with connect(target, timeout) as client:
            result = client.replay(receipt=receipt, payload=payload)
    else:
        with connect(target, timeout) as client:
            result = session.when_recorded(lambda: client.replay(render_id=render_id), timeout)
    if as_json:
        session.output.json(document(result))
    else:
        _show(session.output, result)
    finish(_EXIT_CODES.get(result.verdict, ExitCode.UNVERIFIABLE))


@click.command(short_help="Replay audit records in bulk.")
@filter_options
@json_option
@server_options
@pass_session
def verify(
    session: Session,
    *,
    since: datetime | None,
    until: datetime | None,
    bundle: str,
    prompt_hash: str,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Replay all audit records, or those that the options select, oldest first.

    Prints each record that is not MATCH, and a summary. Exit code 0 is all MATCH, 1 a MISMATCH, 3 no MISMATCH
    but a record that can't be verified. --timeout does not bound it.

    \b
    Examples:
      pecia verify
      pecia verify --since 2026-11-01 --bundle companion@1.2.0 --json
    """
    selected = make_filter(since, until, bundle, prompt_hash)
    findings: list[ReplayResult] = []
    left_out = 0
    summary = VerifySummary()
    with connect(target, timeout) as client, session.output.progress("Replaying") as bar:
        for event in client.verify_audit(selected):
            if event.HasField("progress"):
                bar.update(event.progress.checked, event.progress.total)
            elif event.HasField("finding"):
                if len(findings) < MAX_FINDINGS:
                    findings.append(event.finding)
                else:
                    left_out += 1
            else:
                summary = event.summary
    if as_json:
        session.output.json(
            {
                "findings": [document(finding) for finding in findings],
                "findings_left_out": left_out,
                "summary": document(summary),
            }
        )
    else:
        _show_all(session.output, findings, left_out, summary)
    if not summary.checked:
        session.output.note("no audit record is selected, so nothing was verified")
    finish(_summary_code(summary))


def _summary_code(summary: VerifySummary) -> ExitCode:
    if summary.mismatched:
        return ExitCode.NEGATIVE
    return ExitCode.UNVERIFIABLE if summary.unverifiable else ExitCode.OK


def _show(output: Output, result: ReplayResult) -> None:
    output.properties(
        [
            ("verdict", _verdict(result)),
            ("render_id", result.render_id or "none"),
            ("recorded_prompt_hash", result.recorded_prompt_hash),
            ("replayed_prompt_hash", result.replayed_prompt_hash or "none: nothing could be rendered"),
        ]
    )
    if result.renderer_version_differs:
        output.line("The recorded renderer version is not this server's.")
    for finding in result.findings:
        output.line(f"{enum_name(finding, 'cause')}: {_place(finding)}{finding.detail}")
    if result.HasField("first_difference"):
        difference = result.first_difference
        output.line(
            f"First difference at byte {difference.byte_offset}, slot {enum_name(difference, 'slot')}:"
        )
        output.properties(
            [
                ("  recorded", styled(difference.recorded_excerpt, "red")),
                ("  replayed", styled(difference.replayed_excerpt, "green")),
            ]
        )


def _show_all(output: Output, findings: list[ReplayResult], left_out: int, summary: VerifySummary) -> None:
    if findings:
        output.table(("RENDER ID", "VERDICT", "CAUSE", "DETAIL"), [_row(finding) for finding in findings])
    if left_out:
        output.line(f"... and {left_out} more; narrow them down with --since, --until or --bundle")
    output.line(
        f"{summary.checked} checked: {summary.matched} match, {summary.mismatched} mismatch, "
        f"{summary.unverifiable} unverifiable"
    )
    if summary.renderer_version_differs:
        verb = "is" if summary.renderer_version_differs == 1 else "are"
        output.line(f"{summary.renderer_version_differs} of the matches {verb} of another renderer version")


def _row(result: ReplayResult) -> tuple[Cell, ...]:
    causes = "; ".join(enum_name(finding, "cause") for finding in result.findings)
    details = "; ".join(f"{_place(finding)}{finding.detail}" for finding in result.findings)
    return (result.render_id, _verdict(result), causes, details)


def _verdict(result: ReplayResult) -> Cell:
    name = enum_name(result, "verdict")
    return styled(name, _STYLES.get(name, ""))


def _place(finding: ReplayFinding) -> str:
    parts = []
    if finding.slot:
        parts.append(f"slot {enum_name(finding, 'slot')}")
    if finding.HasField("template"):
        parts.append(f"template {finding.template.template_id}@{finding.template.semver}")
    return f"{', '.join(parts)}: " if parts else ""
