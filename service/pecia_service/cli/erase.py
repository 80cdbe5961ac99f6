"""`pecia erase`: take out text that should never have been published."""

from __future__ import annotations

import click
from pecia_client.messages import TemplateRef

from pecia_service.cli.connection import connect
from pecia_service.cli.documents import document, timestamp_text
from pecia_service.cli.options import TEMPLATE_REF, confirm, json_option, server_options, yes_option
from pecia_service.cli.session import Session, pass_session


@click.group()
def erase() -> None:
    """Erase text that should never have been published; its hashes stay."""


@erase.command("template", short_help="Erase the text of a template.")
@click.argument("template", type=TEMPLATE_REF)
@click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="Why, for the history, which keeps it: don't repeat the text here.",
)
@yes_option
@json_option
@server_options
@pass_session
def erase_template(
    session: Session,
    *,
    template: TemplateRef,
    reason: str,
    yes: bool,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Erase content, constraints and description of TEMPLATE, which is ID@VERSION, for good.

    Bundles that name it can no longer be rendered. Prompts that were rendered from it stay in the audit: see
    audit redact and audit prune. pecia list erasures shows the history. Asks first, unless told --yes.

    \b
    Example:
      pecia erase template companion-system@1.0.0 --reason "holds a customer's name"
    """
    name = f"{template.template_id}@{template.semver}"
    if not yes:
        confirm(f"Erase the text of {name} for good? Bundles that name it can't be rendered then.")
    with connect(target, timeout) as client:
        response = client.erase_template(template, reason)
    if as_json:
        session.output.json(document(response))
        return
    erasure = response.erasure
    moment = f"{timestamp_text(erasure.erased_at)} by {erasure.erased_by}"
    session.output.line(
        f"{name} is erased since {moment}" if response.erased else f"{name} was erased already, {moment}"
    )
