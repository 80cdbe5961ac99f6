"""`pecia diff`: show how two bundles differ, slot by slot."""

from __future__ import annotations

from pathlib import Path

import click
from pecia_client.messages import BundleRef, DiffBundlesResponse, SlotDiff

from pecia_service.cli.connection import connect
from pecia_service.cli.documents import document, enum_name
from pecia_service.cli.failures import ExitCode, finish
from pecia_service.cli.offline import OfflineDirectory
from pecia_service.cli.options import BUNDLE_REF, json_option, offline_option, server_options
from pecia_service.cli.output import Output, styled
from pecia_service.cli.session import Session, pass_session

_LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@click.command(short_help="Compare two bundles slot by slot.")
@click.argument("before", type=BUNDLE_REF)
@click.argument("after", type=BUNDLE_REF)
@offline_option
@json_option
@server_options
@pass_session
def diff(
    session: Session,
    *,
    before: BundleRef,
    after: BundleRef,
    offline: Path | None,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Compare the bundles BEFORE and AFTER, each ID@VERSION or ID@LABEL, slot by slot.

    Like diff(1): exit code 0 means that no role, content or constraint differs, 1 that some does.

    \b
    Examples:
      pecia diff companion@1.1.0 companion@1.2.0
      pecia diff companion@production companion@1.3.0 --json
      pecia diff companion@1.1.0 companion@1.2.0 --offline prompts/
    """
    if offline is not None:
        response = OfflineDirectory(offline, session).diff(before, after)
    else:
        with connect(target, timeout) as client:
            response = client.diff_bundles(before, after)
    if as_json:
        session.output.json(document(response))
    else:
        _show(session.output, response)
    if any(slot.changed for slot in response.slots):
        finish(ExitCode.NEGATIVE)


def _show(output: Output, response: DiffBundlesResponse) -> None:
    changed = [slot for slot in response.slots if slot.changed]
    for slot in changed:
        _show_slot(output, slot)
    if changed:
        names = ", ".join(enum_name(slot, "slot") for slot in changed)
        output.note(f"{len(changed)} of {len(response.slots)} slots differ: {names}")
    elif response.identical:
        output.note("the bundles are identical")
    else:
        output.note("no slot differs in role, content or constraints")


def _show_slot(output: Output, slot: SlotDiff) -> None:
    before = f"{slot.before.template_id}@{slot.before.semver}"
    after = f"{slot.after.template_id}@{slot.after.semver}"
    output.line(styled(f"slot {enum_name(slot, 'slot')}: {before} -> {after}", "bold"))
    if slot.before_role != slot.after_role:
        output.line(f"role: {enum_name(slot, 'before_role')} -> {enum_name(slot, 'after_role')}")
    for title, text in (("content", slot.content_diff), ("constraints", slot.constraints_diff)):
        if text:
            output.line(f"{title}:")
            _show_diff(output, text)
    output.line()


def _show_diff(output: Output, text: str) -> None:
    """Write a unified diff: as it is for programs, coloured and safe for people."""
    if not output.is_terminal:
        output.write(text if text.endswith("\n") else f"{text}\n")
        return
    for line in text.removesuffix("\n").split("\n"):
        output.line(styled(line, _LINE_STYLES.get(line[:1], ""), keep="\t"))
