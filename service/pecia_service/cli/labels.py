"""`pecia label`: move labels such as production between the versions of a bundle."""

from __future__ import annotations

import click
from pecia_client import Client
from pecia_client.messages import Label

from pecia_service.cli.connection import connect
from pecia_service.cli.documents import document, enum_name, time_cell, timestamp_text
from pecia_service.cli.failures import RefusedError
from pecia_service.cli.options import json_option, server_options
from pecia_service.cli.output import Output
from pecia_service.cli.session import Session, pass_session


@click.group()
def label() -> None:
    """Set, list, roll back and delete labels."""


@label.command("set")
@click.argument("bundle_id", metavar="BUNDLE")
@click.argument("label_name", metavar="LABEL")
@click.argument("semver", metavar="VERSION")
@click.option("--etag", help="Only if the label has this etag; empty: only if there is no such label.")
@json_option
@server_options
@pass_session
def set_label(
    session: Session,
    *,
    bundle_id: str,
    label_name: str,
    semver: str,
    etag: str | None,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Point LABEL of BUNDLE at VERSION.

    \b
    Example:
      pecia label set companion production 1.2.0
    """
    with connect(target, timeout) as client:
        moved = client.set_label(bundle_id, label_name, semver, etag=etag)
    _show(session.output, moved, as_json=as_json)


@label.command("list")
@click.argument("bundle_id", metavar="[BUNDLE]", default="")
@click.option("--history", is_flag=True, help="List who moved the labels of BUNDLE when, newest first.")
@json_option
@server_options
@pass_session
def list_labels(
    session: Session, *, bundle_id: str, history: bool, as_json: bool, target: str, timeout: float
) -> None:
    """List the labels of BUNDLE, or of all bundles.

    \b
    Examples:
      pecia label list
      pecia label list companion --history
    """
    if history:
        if not bundle_id:
            raise click.UsageError("--history needs BUNDLE.")
        _list_events(session.output, bundle_id, as_json=as_json, target=target, timeout=timeout)
        return
    with connect(target, timeout) as client:
        labels = list(client.list_labels(bundle_id))
    if as_json:
        session.output.json([document(item) for item in labels])
        return
    session.output.table(
        ("BUNDLE", "LABEL", "VERSION", "ETAG", "UPDATED", "BY"),
        [
            (
                item.bundle_id,
                item.label,
                item.semver,
                item.etag,
                time_cell(item.updated_at),
                item.updated_by,
            )
            for item in labels
        ],
    )


@label.command("rollback")
@click.argument("bundle_id", metavar="BUNDLE")
@click.argument("label_name", metavar="LABEL")
@click.option("--etag", help="Only if the label has this etag. Without it: whatever it has now.")
@json_option
@server_options
@pass_session
def roll_back_label(
    session: Session,
    *,
    bundle_id: str,
    label_name: str,
    etag: str | None,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Move LABEL of BUNDLE back to the version before the current one; again, and it goes further back.

    \b
    Example:
      pecia label rollback companion production
    """
    with connect(target, timeout) as client:
        expected = etag if etag is not None else _current_etag(client, bundle_id, label_name)
        moved = client.roll_back_label(bundle_id, label_name, expected)
    _show(session.output, moved, as_json=as_json)


@label.command("delete")
@click.argument("bundle_id", metavar="BUNDLE")
@click.argument("label_name", metavar="LABEL")
@click.option("--etag", default="", help="Only if the label has this etag.")
@json_option
@server_options
@pass_session
def delete_label(
    session: Session,
    *,
    bundle_id: str,
    label_name: str,
    etag: str,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Delete LABEL of BUNDLE; its history stays.

    \b
    Example:
      pecia label delete companion staging
    """
    with connect(target, timeout) as client:
        client.delete_label(bundle_id, label_name, etag=etag)
    if as_json:
        session.output.json({"bundle_id": bundle_id, "label": label_name, "deleted": True})
    else:
        session.output.line(f"{bundle_id}@{label_name} is deleted")


def _current_etag(client: Client, bundle_id: str, label_name: str) -> str:
    for item in client.list_labels(bundle_id):
        if item.label == label_name:
            return item.etag
    raise RefusedError(f"bundle {bundle_id} has no label {label_name} [LABEL_NOT_FOUND]")


def _list_events(output: Output, bundle_id: str, *, as_json: bool, target: str, timeout: float) -> None:
    with connect(target, timeout) as client:
        events = list(client.list_label_events(bundle_id))
    if as_json:
        output.json([document(event) for event in events])
        return
    output.table(
        ("LABEL", "REVISION", "ACTION", "FROM", "TO", "WHEN", "BY"),
        [
            (
                event.label,
                str(event.revision),
                enum_name(event, "action"),
                event.from_semver or "none",
                event.to_semver or "none",
                time_cell(event.occurred_at),
                event.actor,
            )
            for event in events
        ],
    )


def _show(output: Output, moved: Label, *, as_json: bool) -> None:
    if as_json:
        output.json(document(moved))
        return
    output.properties(
        [
            ("label", f"{moved.bundle_id}@{moved.label}"),
            ("version", moved.semver),
            ("etag", moved.etag),
            ("updated_at", timestamp_text(moved.updated_at)),
            ("updated_by", moved.updated_by),
        ]
    )
