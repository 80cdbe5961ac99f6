"""`pecia audit`: read, export, prune and redact the records of renders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import click
from pecia_client import Client, PeciaError
from pecia_client.messages import AuditRecord, PruneAuditRecordsResponse

from pecia_service.canonical import sha256_hex
from pecia_service.cli.connection import connect
from pecia_service.cli.documents import Document, document, enum_name, time_cell, timestamp_text
from pecia_service.cli.failures import ExitCode, finish
from pecia_service.cli.options import (
    AGE,
    MOMENT,
    confirm,
    filter_options,
    json_option,
    make_filter,
    server_options,
    yes_option,
)
from pecia_service.cli.output import Cell, Output, Writer, counted, styled
from pecia_service.cli.pieces import SHORT_HASH
from pecia_service.cli.render import receipt_rows
from pecia_service.cli.session import Session, pass_session
from pecia_service.cli.spool import spool

_NOT_FOUND = "AUDIT_RECORD_NOT_FOUND"


@click.group()
def audit() -> None:
    """Read, export, prune and redact audit records; look after the spool."""


audit.add_command(spool)


@audit.command("list")
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="List this many at most; 0 lists all.",
)
@json_option
@server_options
@pass_session
def list_records(
    session: Session,
    *,
    since: datetime | None,
    until: datetime | None,
    bundle: str,
    prompt_hash: str,
    limit: int,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """List audit records, newest first, without prompts and payloads.

    \b
    Examples:
      pecia audit list --since 2026-11-01 --bundle companion
      pecia audit list --limit 0 --json
    """
    selected = make_filter(since, until, bundle, prompt_hash)
    with connect(target, timeout) as client:
        records = list(islice(client.list_audit_records(selected), limit or None))
    output = session.output
    if as_json:
        output.json([document(record, without=["canonical_payload", "prompt"]) for record in records])
        return
    rows = [
        (
            record.receipt.render_id,
            f"{record.receipt.bundle_id}@{record.receipt.semver}",
            time_cell(record.receipt.created_at),
            record.receipt.prompt_hash[:SHORT_HASH],
            _kept(record),
        )
        for record in records
    ]
    if not rows:
        output.note("no audit record is selected")
        return
    output.table(("RENDER ID", "BUNDLE", "CREATED", "PROMPT HASH", "KEPT"), rows)
    if limit and len(records) == limit:
        output.note(f"the newest {limit} are listed; --limit 0 lists all")


@audit.command("show")
@click.argument("render_id")
@json_option
@server_options
@pass_session
def show_record(session: Session, *, render_id: str, as_json: bool, target: str, timeout: float) -> None:
    """Show the record of RENDER_ID with its prompt and payload, where they are kept.

    Exit code 1 means that prompt or payload is damaged: it has not the hash that the receipt names.

    \b
    Example:
      pecia audit show 01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44
    """
    with connect(target, timeout) as client:
        record = session.when_recorded(lambda: client.get_audit_record(render_id), timeout)
    damaged = _damaged(record)
    if as_json:
        session.output.json(_full_document(record))
    else:
        _show(session.output, record, damaged)
    if damaged:
        session.output.note(
            f"warning: {' and '.join(damaged)} of {render_id} changed after it was recorded; "
            "see pecia replay, and restore the record from a backup"
        )
        finish(ExitCode.NEGATIVE)


@audit.command()
@filter_options
@click.option(
    "--output",
    "file_name",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    metavar="FILE",
    help="Write to this file, which appears when it is complete; - is stdout.",
)
@server_options
@pass_session
def export(
    session: Session,
    *,
    since: datetime | None,
    until: datetime | None,
    bundle: str,
    prompt_hash: str,
    file_name: str,
    target: str,
    timeout: float,
) -> None:
    """Write full audit records as JSON Lines, newest first.

    \b
    Examples:
      pecia audit export --output audit.jsonl
      pecia audit export --bundle companion@1.2.0 | jq .receipt.prompt_hash
    """
    selected = make_filter(since, until, bundle, prompt_hash)
    output = session.output
    exported = gone = 0
    with (
        _export_writer(output, file_name) as write,
        connect(target, timeout) as client,
        output.progress("Exporting") as bar,
    ):
        for listed in client.list_audit_records(selected):
            try:
                record = client.get_audit_record(listed.receipt.render_id)
            except PeciaError as error:
                if error.reason != _NOT_FOUND:
                    raise
                gone += 1
                continue
            write(json.dumps(_full_document(record), ensure_ascii=False) + "\n")
            exported += 1
            bar.update(exported)
    output.note(f"{counted(exported, 'record')} exported")
    if gone:
        output.note(f"{gone} pruned meanwhile and left out")


@audit.command()
@click.option("--older-than", "age", type=AGE, help="Delete records older than this, for instance 90d.")
@click.option("--before", type=MOMENT, help="Delete records made before this time (UTC unless it says).")
@click.option("--dry-run", is_flag=True, help="Count, and delete nothing.")
@yes_option
@json_option
@server_options
@pass_session
def prune(
    session: Session,
    *,
    age: timedelta | None,
    before: datetime | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Delete old audit records, and the inline pieces that none needs any more.

    Asks first, unless told --yes. --timeout does not bound it; interrupting it keeps what is deleted by then.

    \b
    Examples:
      pecia audit prune --older-than 90d --dry-run
      pecia audit prune --before 2026-01-01 --yes
    """
    if age is not None and before is None:
        moment = session.now() - age
    elif before is not None and age is None:
        moment = before
    else:
        raise click.UsageError("Give either --older-than or --before.")
    with connect(target, timeout) as client:
        if not dry_run and not yes:
            found = _prune(session.output, client, moment, dry_run=True)
            confirm(f"Delete {counted(found.records, 'audit record')} made before {moment.isoformat()}?")
        last = _prune(session.output, client, moment, dry_run=dry_run)
    if as_json:
        session.output.json(
            {"records": last.records, "pieces": last.pieces, "before": moment.isoformat(), "dry_run": dry_run}
        )
    elif dry_run:
        session.output.line(f"{counted(last.records, 'record')} would be deleted")
    else:
        session.output.line(
            f"deleted {counted(last.records, 'record')} and {counted(last.pieces, 'inline piece')}"
        )


@audit.command()
@click.argument("render_id")
@yes_option
@json_option
@server_options
@pass_session
def redact(
    session: Session, *, render_id: str, yes: bool, as_json: bool, target: str, timeout: float
) -> None:
    """Erase prompt and payload of the record of RENDER_ID for good; its hashes stay.

    Asks first, unless told --yes.

    \b
    Example:
      pecia audit redact 01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44
    """
    if not yes:
        confirm(f"Erase prompt and payload of {render_id} for good?")
    with connect(target, timeout) as client:
        record = session.when_recorded(lambda: client.redact_audit_record(render_id), timeout)
    if as_json:
        session.output.json(document(record))
    else:
        session.output.line(f"{render_id} is redacted since {timestamp_text(record.redacted_at)}")


@contextmanager
def _export_writer(output: Output, file_name: str) -> Iterator[Writer]:
    if file_name == "-":
        yield output.write
        return
    # An export that fails leaves no file that looks complete.
    path = Path(file_name)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file.write
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _prune(output: Output, client: Client, moment: datetime, *, dry_run: bool) -> PruneAuditRecordsResponse:
    last = PruneAuditRecordsResponse()
    with output.progress("Counting" if dry_run else "Pruning") as bar:
        for last in client.prune_audit_records(moment, validate_only=dry_run):
            bar.update(last.records)
    return last


def _kept(record: AuditRecord) -> str:
    if record.HasField("redacted_at"):
        return "redacted"
    kept = [
        name for name, there in (("prompt", record.prompt_kept), ("payload", record.payload_kept)) if there
    ]
    return ", ".join(kept) or "hashes"


def _damaged(record: AuditRecord) -> list[str]:
    """Name what is kept and has not the hash that the receipt names."""
    kept = (
        ("prompt", record.prompt_kept, record.prompt.encode(), record.receipt.prompt_hash),
        ("payload", record.payload_kept, record.canonical_payload, record.receipt.payload_hash),
    )
    return [name for name, there, data, expected in kept if there and sha256_hex(data) != expected]


def _full_document(record: AuditRecord) -> Document:
    return document(record) | {"damaged": _damaged(record)}


def _show(output: Output, record: AuditRecord, damaged: list[str]) -> None:
    rows: list[tuple[str, Cell]] = [*receipt_rows(record.receipt)]
    rows.append(("inline", "yes" if record.inline else "no"))
    rows.append(("kept", _kept(record)))
    if damaged:
        rows.append(("damaged", styled(", ".join(damaged), "bold red")))
    if record.HasField("redacted_at"):
        rows.append(("redacted_at", timestamp_text(record.redacted_at)))
    output.properties(rows)
    output.line()
    output.table(
        ("SLOT", "TEMPLATE", "CONTENT HASH", "CONSTRAINTS HASH"),
        [
            (
                enum_name(use, "slot"),
                f"{use.template.template_id}@{use.template.semver}",
                use.content_hash[:SHORT_HASH],
                use.constraints_hash[:SHORT_HASH],
            )
            for use in record.templates
        ],
    )
    if record.payload_kept:
        output.line()
        output.line("Payload, canonical:")
        output.line(record.canonical_payload.decode(errors="replace"))
    if record.prompt_kept:
        output.line()
        output.line("Prompt:")
        for line in record.prompt.split("\n"):
            output.line(line)
