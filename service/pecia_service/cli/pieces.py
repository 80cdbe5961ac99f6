"""`pecia list` and `pecia show`: read what is published, and what of it was erased."""

from __future__ import annotations

import click
from pecia_client.messages import BundleRef, Constraints, GetBundleResponse, Template, TemplateRef

from pecia_service.cli.connection import connect
from pecia_service.cli.documents import document, enum_name, slot_names, time_cell, timestamp_text
from pecia_service.cli.options import BUNDLE_REF, TEMPLATE_REF, json_option, server_options
from pecia_service.cli.output import Output
from pecia_service.cli.session import Session, pass_session
from pecia_service.registry.model import Slot

SHORT_HASH = 12


@click.group("list")
def list_pieces() -> None:
    """List published templates or bundles, or what was erased."""


@list_pieces.command("templates", short_help="List template versions.")
@click.argument("template_id", default="", metavar="[ID]")
@json_option
@server_options
@pass_session
def list_templates(session: Session, *, template_id: str, as_json: bool, target: str, timeout: float) -> None:
    """List template versions by id, newest first; only those of template ID if it is given.

    \b
    Example:
      pecia list templates companion-system
    """
    with connect(target, timeout) as client:
        templates = list(client.list_templates(template_id))
    if as_json:
        session.output.json([_template_document(template, with_content=False) for template in templates])
        return
    rows = [
        (
            template.definition.template_id,
            template.definition.semver,
            enum_name(template.definition, "role"),
            str(template.content_bytes),
            template.content_hash[:SHORT_HASH],
            time_cell(template.published_at),
            _erased(template) or template.definition.description,
        )
        for template in templates
    ]
    if not rows:
        session.output.note(f"no template {template_id}".rstrip())
        return
    session.output.table(("ID", "VERSION", "ROLE", "BYTES", "CONTENT HASH", "PUBLISHED", "DESCRIPTION"), rows)


@list_pieces.command("bundles", short_help="List bundle versions.")
@click.argument("bundle_id", default="", metavar="[ID]")
@json_option
@server_options
@pass_session
def list_bundles(session: Session, *, bundle_id: str, as_json: bool, target: str, timeout: float) -> None:
    """List bundle versions by id, newest first; only those of bundle ID if it is given.

    \b
    Example:
      pecia list bundles companion --json
    """
    with connect(target, timeout) as client:
        bundles = list(client.list_bundles(bundle_id))
    if as_json:
        session.output.json([document(bundle, without=["bundle_hash"]) for bundle in bundles])
        return
    rows = [
        (
            bundle.definition.bundle_id,
            bundle.definition.semver,
            ", ".join(bundle.definition.tags),
            time_cell(bundle.published_at),
            bundle.definition.description,
        )
        for bundle in bundles
    ]
    if not rows:
        session.output.note(f"no bundle {bundle_id}".rstrip())
        return
    session.output.table(("ID", "VERSION", "TAGS", "PUBLISHED", "DESCRIPTION"), rows)


@list_pieces.command("erasures", short_help="List erased template versions.")
@click.argument("template_id", default="", metavar="[ID]")
@json_option
@server_options
@pass_session
def list_erasures(session: Session, *, template_id: str, as_json: bool, target: str, timeout: float) -> None:
    """List who erased the text of which template versions when and why; only those of template ID if given.

    \b
    Example:
      pecia list erasures companion-system
    """
    with connect(target, timeout) as client:
        erasures = list(client.list_template_erasures(template_id))
    if as_json:
        session.output.json([document(erasure) for erasure in erasures])
        return
    rows = [
        (
            erasure.template.template_id,
            erasure.template.semver,
            time_cell(erasure.erased_at),
            erasure.erased_by,
            erasure.reason,
        )
        for erasure in erasures
    ]
    if not rows:
        session.output.note(f"nothing is erased of {template_id}" if template_id else "nothing is erased")
        return
    session.output.table(("ID", "VERSION", "ERASED", "BY", "REASON"), rows)


class _ShowGroup(click.Group):
    """Says which command takes a reference that stands where a command should."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and "@" in args[0]:
            ctx.fail(f"No such command {args[0]!r}. Write show bundle {args[0]}, or show template {args[0]}.")
        return super().resolve_command(ctx, args)


@click.group(cls=_ShowGroup)
def show() -> None:
    """Show one published template or bundle."""


@show.command("template", short_help="Show a template with its content.")
@click.argument("template", type=TEMPLATE_REF)
@json_option
@server_options
@pass_session
def show_template(
    session: Session, *, template: TemplateRef, as_json: bool, target: str, timeout: float
) -> None:
    """Show TEMPLATE, which is ID@VERSION, with its content.

    \b
    Example:
      pecia show template companion-system@1.0.0
    """
    with connect(target, timeout) as client:
        found = client.get_template(template)
    output = session.output
    if as_json:
        output.json(_template_document(found, with_content=True))
        return
    definition = found.definition
    output.properties(
        [
            ("template", f"{definition.template_id}@{definition.semver}"),
            ("role", enum_name(definition, "role")),
            ("description", definition.description or "none"),
            ("adapter_version", definition.adapter_version or "none"),
            ("constraints", constraints_text(definition.constraints)),
            ("content_hash", found.content_hash),
            ("constraints_hash", found.constraints_hash),
            ("definition_hash", found.definition_hash),
            ("published_at", timestamp_text(found.published_at)),
            *([("erased_at", timestamp_text(found.erased_at))] if found.HasField("erased_at") else []),
        ]
    )
    output.line()
    if erased := _erased(found):
        output.line(f"{erased}; pecia list erasures {definition.template_id} tells by whom and why")
        return
    for line in definition.content.split("\n"):
        output.line(line)


@show.command("bundle", short_help="Show a bundle and what it reads.")
@click.argument("bundle", type=BUNDLE_REF)
@json_option
@server_options
@pass_session
def show_bundle(session: Session, *, bundle: BundleRef, as_json: bool, target: str, timeout: float) -> None:
    """Show BUNDLE, which is ID@VERSION or ID@LABEL: its slots, what it reads from a payload, its constraints.

    \b
    Examples:
      pecia show bundle companion@1.2.0
      pecia show bundle companion@production --json
    """
    with connect(target, timeout) as client:
        found = client.get_bundle(bundle)
    if as_json:
        session.output.json(document(found))
    else:
        _show_bundle(session.output, found)


def _show_bundle(output: Output, found: GetBundleResponse) -> None:
    definition = found.bundle.definition
    output.properties(
        [
            ("bundle", f"{definition.bundle_id}@{definition.semver}"),
            ("description", definition.description or "none"),
            ("tags", ", ".join(definition.tags) or "none"),
            ("constraints", constraints_text(found.effective_constraints)),
            ("bundle_hash", found.bundle.bundle_hash),
            ("definition_hash", found.bundle.definition_hash),
            ("published_at", timestamp_text(found.bundle.published_at)),
        ]
    )
    output.line()
    slots = [(slot.value, getattr(definition.slots, slot.value)) for slot in Slot]
    output.table(("SLOT", "TEMPLATE"), [(name, f"{ref.template_id}@{ref.semver}") for name, ref in slots])
    output.line()
    output.table(
        ("PAYLOAD PATH", "NEEDED", "READ BY"),
        [
            (path.path, "yes" if path.required else "no, has a default", ", ".join(slot_names(path.slots)))
            for path in found.payload_paths
        ],
    )


def constraints_text(constraints: Constraints) -> str:
    """Return constraints on one line."""
    parts = []
    if constraints.forbidden_tokens:
        parts.append(f"forbidden tokens: {', '.join(constraints.forbidden_tokens)}")
    if constraints.HasField("max_sentence_length"):
        parts.append(f"at most {constraints.max_sentence_length} words a sentence")
    if constraints.HasField("max_paragraphs"):
        parts.append(f"at most {constraints.max_paragraphs} paragraphs")
    if constraints.no_emoji:
        parts.append("no emoji")
    if constraints.HasField("assertiveness_level"):
        parts.append(f"assertiveness at most {constraints.assertiveness_level:g}")
    parts += [f"further key: {key}" for key in sorted(constraints.further.fields)]
    return "; ".join(parts) or "none"


def _erased(template: Template) -> str:
    """Say that a template is erased, and nothing for one that has its text."""
    return f"erased {time_cell(template.erased_at)}" if template.HasField("erased_at") else ""


def _template_document(template: Template, *, with_content: bool) -> dict[str, object]:
    result = document(template)
    if not with_content:
        del result["definition"]["content"]
    return result
