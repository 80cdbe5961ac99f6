"""`pecia publish`: store the templates and bundles of a directory for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from pecia_client import Client, PeciaError, bundle_definition, template_definition
from pecia_client.messages import BundleDefinition, TemplateDefinition

from pecia_service.cli.connection import connect
from pecia_service.cli.failures import ExitCode, finish
from pecia_service.cli.inspection import DAMAGED_REASON, ERASED_REASON, inspect
from pecia_service.cli.options import DIRECTORY, json_option, server_options
from pecia_service.cli.output import Cell, Output, styled
from pecia_service.cli.session import Session, pass_session
from pecia_service.registry.model import Bundle, Template, TemplateRef
from pecia_service.rendering.sources.directory import DirectoryContents, read_directory

CREATED, UNCHANGED, SKIPPED = "created", "unchanged", "SKIPPED"
CONFLICT, DAMAGED, ERASED = "CONFLICT", "DAMAGED", "ERASED"

_STYLES = {
    CREATED: "green",
    UNCHANGED: "",
    CONFLICT: "bold red",
    DAMAGED: "bold red",
    ERASED: "bold red",
    SKIPPED: "yellow",
}
_BLOCKS = {CONFLICT: "in conflict", DAMAGED: "damaged", ERASED: "erased"}
_REFUSALS = {DAMAGED_REASON: DAMAGED, ERASED_REASON: ERASED}
_CONFLICTS = ("TEMPLATE_ALREADY_EXISTS", "BUNDLE_ALREADY_EXISTS")


@dataclass(frozen=True, slots=True)
class Published:
    """What became of one piece; both hashes are of definitions, and set only for a conflict."""

    kind: str
    id: str
    semver: str
    status: str
    detail: str = ""
    stored_hash: str = ""
    given_hash: str = ""

    @property
    def row(self) -> tuple[Cell, ...]:
        """The piece as a row of a table."""
        return (self.kind, self.id, self.semver, styled(self.status, _STYLES[self.status]), self.detail)


@click.command(short_help="Publish the pieces in DIR.")
@click.argument("directory", metavar="DIR", type=DIRECTORY)
@json_option
@server_options
@pass_session
def publish(session: Session, *, directory: Path, as_json: bool, target: str, timeout: float) -> None:
    """Publish the templates and bundles in DIR, templates first.

    Nothing is published when anything in DIR is wrong (see pecia lint). What is published already stays as it
    is. A version that is published with another definition is a CONFLICT: the rest is published all the same,
    except bundles that name such a template, and the exit code is 1. It is the same with a version that is
    DAMAGED on the server, or whose text was ERASED there, but the exit code is 4.

    \b
    Example:
      pecia publish docs/examples/companion
    """
    contents = read_directory(directory)
    with connect(target, timeout) as client:
        found = inspect(contents, client, conflicts=False)
        if found.errors:
            found.show(session.output, contents, directory)
            session.output.note("error: nothing was published; correct what is listed above")
            finish(ExitCode.NEGATIVE)
        run = _Run(client)
        try:
            run.publish(contents, session.output)
        finally:
            total = len(contents.templates) + len(contents.bundles)
            _report(session.output, run.done, total, as_json=as_json)
    statuses = {piece.status for piece in run.done}
    if statuses & {DAMAGED, ERASED}:
        finish(ExitCode.REFUSED)
    if statuses & {CONFLICT, SKIPPED}:
        finish(ExitCode.NEGATIVE)


class _Run:
    """One publication; `done` has what became of each piece so far."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._blocked: dict[TemplateRef, str] = {}
        self.done: list[Published] = []

    def publish(self, contents: DirectoryContents, output: Output) -> None:
        """Publish everything; raises PeciaError for anything but conflicts, damage and erasures."""
        total = len(contents.templates) + len(contents.bundles)
        with output.progress("Publishing") as bar:
            bar.update(0, total)
            for template in contents.templates:
                self._template(template)
                bar.update(len(self.done), total)
            for bundle in contents.bundles:
                self._bundle(bundle)
                bar.update(len(self.done), total)

    def _template(self, template: Template) -> None:
        definition = _template_definition(template)
        published = self._publish(
            "template",
            template.template_id,
            template.semver,
            lambda: self._client.publish_template(definition).created,
        )
        if published.status in _BLOCKS:
            self._blocked[template.ref] = _BLOCKS[published.status]

    def _bundle(self, bundle: Bundle) -> None:
        # It would be stored for good with the other text under the version that it names.
        blocked = [
            f"{self._blocked[ref]} is its template {ref}"
            for ref in bundle.slots.values()
            if ref in self._blocked
        ]
        if blocked:
            detail = f"not published: {', '.join(dict.fromkeys(blocked))}"
            self.done.append(Published("bundle", bundle.bundle_id, bundle.semver, SKIPPED, detail))
            return
        definition = _bundle_definition(bundle)
        self._publish(
            "bundle",
            bundle.bundle_id,
            bundle.semver,
            lambda: self._client.publish_bundle(definition).created,
        )

    def _publish(self, kind: str, identifier: str, semver: str, call: Callable[[], bool]) -> Published:
        try:
            published = Published(kind, identifier, semver, CREATED if call() else UNCHANGED)
        except PeciaError as error:
            if error.reason in _REFUSALS:
                published = Published(kind, identifier, semver, _REFUSALS[error.reason], error.message)
            elif error.reason in _CONFLICTS:
                stored, given = error.metadata.get("stored_hash", ""), error.metadata.get("given_hash", "")
                detail = f"stored {stored}, given {given}; give the change a new version"
                published = Published(kind, identifier, semver, CONFLICT, detail, stored, given)
            else:
                raise
        self.done.append(published)
        return published


def _template_definition(template: Template) -> TemplateDefinition:
    return template_definition(
        template.template_id,
        template.semver,
        template.content,
        role=template.role.value,
        constraints=template.constraints.to_json(),
        adapter_version=template.adapter_version,
        description=template.description,
    )


def _bundle_definition(bundle: Bundle) -> BundleDefinition:
    return bundle_definition(
        bundle.bundle_id,
        bundle.semver,
        {slot.value: str(ref) for slot, ref in bundle.slots.items()},
        tags=bundle.tags,
        description=bundle.description,
    )


def _report(output: Output, done: list[Published], total: int, *, as_json: bool) -> None:
    if as_json:
        output.json([_document(piece) for piece in done])
        return
    if done:
        output.table(("KIND", "ID", "VERSION", "STATUS", "DETAIL"), [piece.row for piece in done])
    counts = {status: sum(piece.status == status for piece in done) for status in _STYLES}
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    if len(done) < total:
        published = f"{counts[CREATED] + counts[UNCHANGED]} of {total} published"
        summary = f"{published}: {summary}" if summary else published
    output.line(summary or "nothing to publish")


def _document(piece: Published) -> dict[str, str]:
    fields = {"kind": piece.kind, "id": piece.id, "semver": piece.semver, "status": piece.status}
    if piece.status == CONFLICT:
        fields |= {"stored_hash": piece.stored_hash, "given_hash": piece.given_hash}
    return fields | ({"detail": piece.detail} if piece.detail else {})
