"""`pecia render`: make a prompt and its receipt."""

from __future__ import annotations

from pathlib import Path

import click
from pecia_client.messages import BundleRef, Receipt

from pecia_service.cli.connection import connect
from pecia_service.cli.documents import document, timestamp_text
from pecia_service.cli.offline import OfflineDirectory
from pecia_service.cli.options import BUNDLE_REF, INPUT_FILE, json_option, offline_option, server_options
from pecia_service.cli.payload_file import read_payload
from pecia_service.cli.session import Session, pass_session


@click.command(short_help="Render a prompt with its receipt.")
@click.argument("bundle", type=BUNDLE_REF)
@click.option(
    "--payload",
    "payload_file",
    type=INPUT_FILE,
    required=True,
    metavar="FILE",
    help="JSON with exactly semantic_traits, activity_level, stress and task; - is stdin.",
)
@click.option("--model-type", default="", help="Refuse unless this is among the bundle's tags.")
@click.option("--adapter-version", default="", help="Goes into the receipt.")
@click.option("--validate-only", is_flag=True, help="Check and render, but leave no audit record.")
@offline_option
@json_option
@server_options
@pass_session
def render(
    session: Session,
    *,
    bundle: BundleRef,
    payload_file: str,
    model_type: str,
    adapter_version: str,
    validate_only: bool,
    offline: Path | None,
    as_json: bool,
    target: str,
    timeout: float,
) -> None:
    """Render the prompt of BUNDLE, which is ID@VERSION or ID@LABEL.

    The prompt goes to stdout to the byte and the receipt to stderr; with --json one object with prompt, parts
    and receipt goes to stdout. Offline nothing is recorded, and the receipt has no render_id.

    \b
    Examples:
      pecia render companion@1.2.0 --payload payload.json --json
      pecia render companion@production --payload payload.json | sha256sum
      pecia render companion@1.2.0 --payload - --offline prompts/ < payload.json
    """
    payload = read_payload(payload_file)
    if offline is not None:
        response = OfflineDirectory(offline, session).render(
            bundle, payload, model_type=model_type, adapter_version=adapter_version
        )
    else:
        with connect(target, timeout) as client:
            response = client.render(
                bundle,
                payload=payload,
                model_type=model_type,
                adapter_version=adapter_version,
                validate_only=validate_only,
            )
    output = session.output
    if as_json:
        output.json(document(response))
        return
    output.write(response.prompt)
    if output.is_terminal and not response.prompt.endswith("\n"):
        output.write("\n")
    output.note_properties(receipt_rows(response.receipt))


def receipt_rows(receipt: Receipt) -> list[tuple[str, str]]:
    """Return a receipt as pairs of a name and a value."""
    return [
        ("render_id", receipt.render_id or "none: nothing is recorded"),
        ("bundle", f"{receipt.bundle_id}@{receipt.semver}"),
        ("prompt_hash", receipt.prompt_hash),
        ("bundle_hash", receipt.bundle_hash),
        ("payload_hash", receipt.payload_hash),
        ("renderer_version", receipt.renderer_version),
        ("adapter_version", receipt.adapter_version or "none"),
        ("created_at", timestamp_text(receipt.created_at)),
    ]
