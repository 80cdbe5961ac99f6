"""Find everything in a directory that publishing would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pecia_client import Client, PeciaError
from rich.text import Text

from pecia_service.cli.output import Output, counted, styled
from pecia_service.registry.model import TemplateRef
from pecia_service.rendering.sources.directory import DirectoryContents, Problem


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is wrong with a directory, and what is only odd."""

    errors: list[Problem]
    warnings: list[Problem]

    def show(self, output: Output, contents: DirectoryContents, directory: Path) -> None:
        """Write one line for each finding, as compilers do, and one that counts them."""
        for severity, style, problems in (
            ("error", "bold red", self.errors),
            ("warning", "yellow", self.warnings),
        ):
            for problem in problems:
                field = f"{problem.field}: " if problem.field else ""
                output.line(
                    Text.assemble(
                        styled(f"{directory / problem.place}: ", "bold"),
                        styled(f"{severity}: ", style),
                        styled(f"{field}{problem.message}", ""),
                    )
                )
        output.line(
            f"{counted(len(self.errors), 'error')}, {counted(len(self.warnings), 'warning')}; "
            f"{counted(len(contents.templates), 'template')} and {counted(len(contents.bundles), 'bundle')} "
            "could be read"
        )


def inspect(contents: DirectoryContents, client: Client | None, *, conflicts: bool = True) -> Inspection:
    """Inspect what was read; references that the directory lacks are looked up at a client's server.

    With a client and `conflicts`, versions that are published with another definition are errors too.
    Raises PeciaError.
    """
    errors = [*contents.problems, *_missing_references(contents, client)]
    if client is not None and conflicts:
        errors += _conflicts(contents, client)
    return Inspection(
        sorted(errors, key=lambda problem: (problem.path, problem.line or 0)), list(_unused(contents))
    )


def _missing_references(contents: DirectoryContents, client: Client | None) -> Iterator[Problem]:
    known: dict[TemplateRef, bool] = {}
    where = "the directory" if client is None else "the directory and on the server"
    for reference in contents.missing_references():
        ref = reference.ref
        if client is not None:
            if ref not in known:
                known[ref] = _is_published(client, ref)
            if known[ref]:
                continue
        yield Problem(
            reference.path,
            reference.field,
            f"names template {ref}, which does not exist in {where}; add it, or correct the reference",
            reference.line,
        )


def _is_published(client: Client, ref: TemplateRef) -> bool:
    try:
        client.get_template(str(ref))
    except PeciaError as error:
        if error.reason != "TEMPLATE_NOT_FOUND":
            raise
        return False
    return True


def _conflicts(contents: DirectoryContents, client: Client) -> Iterator[Problem]:
    message = "is published with another definition; published versions never change: give it a new version"
    published_templates = {
        (template.definition.template_id, template.definition.semver): template.definition_hash
        for template_id in sorted({template.template_id for template in contents.templates})
        for template in client.list_templates(template_id)
    }
    for template in contents.templates:
        published = published_templates.get((template.template_id, template.semver))
        if published not in (None, template.definition_hash):
            yield Problem(contents.files[f"template {template.ref}"], "", message)
    published_bundles = {
        (bundle.definition.bundle_id, bundle.definition.semver): bundle.definition_hash
        for bundle_id in sorted({bundle.bundle_id for bundle in contents.bundles})
        for bundle in client.list_bundles(bundle_id)
    }
    for bundle in contents.bundles:
        published = published_bundles.get((bundle.bundle_id, bundle.semver))
        if published not in (None, bundle.definition_hash):
            yield Problem(contents.files[f"bundle {bundle}"], "", message)


def _unused(contents: DirectoryContents) -> Iterator[Problem]:
    for template in contents.unused_templates():
        yield Problem(
            contents.files[f"template {template.ref}"], "", "is not used by any bundle in the directory"
        )
