"""Find everything in a directory that publishing would refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from pecia_client import Client, PeciaError
from pecia_client.messages import GetBundleResponse, Template
from rich.text import Text

from pecia_service.cli.output import Output, counted, styled
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model import TemplateRef
from pecia_service.rendering.sources.directory import DirectoryContents, Problem

DAMAGED_REASON = "PIECE_DAMAGED"
ERASED_REASON = "TEMPLATE_ERASED"

_CONSTRAINT_KEYS = tuple(field.name.upper() for field in fields(Constraints) if field.name != "further")
_TAKEN = "is published with another definition; published versions never change: give it a new version"


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

    With a client and `conflicts`, versions that are published with another definition, or whose stored
    pieces are damaged or erased, are errors too.
    Raises PeciaError.
    """
    errors = [*contents.problems, *_missing_references(contents, client)]
    if client is not None and conflicts:
        errors += _conflicts(contents, client)
    return Inspection(
        sorted(errors, key=lambda problem: (problem.path, problem.line or 0)),
        [*_empty(contents), *_unused(contents), *_not_enforced(contents)],
    )


def _missing_references(contents: DirectoryContents, client: Client | None) -> Iterator[Problem]:
    looked_up: dict[TemplateRef, str] = {}
    where = "the directory" if client is None else "the directory and on the server"
    missing = "names template {}, which does not exist in {}; add it, or correct the reference"
    for reference in contents.missing_references():
        ref = reference.ref
        if ref not in looked_up:
            answer = None if client is None else _stored(partial(client.get_template, str(ref)))
            looked_up[ref] = missing.format(ref, where) if answer is None else answer.refusal
        if looked_up[ref]:
            yield Problem(reference.path, reference.field, looked_up[ref], reference.line)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the server has under a version: its definition's hash, or why it can't be used."""

    definition_hash: str = ""
    refusal: str = ""


def _stored(read: Callable[[], Template | GetBundleResponse]) -> _Stored | None:
    """Read a piece from the server; None if there is none of this version."""
    try:
        found = read()
    except PeciaError as error:
        if error.reason in ("TEMPLATE_NOT_FOUND", "BUNDLE_NOT_FOUND"):
            return None
        if error.reason in (DAMAGED_REASON, ERASED_REASON):
            return _Stored(refusal=error.message)
        raise
    if isinstance(found, GetBundleResponse):
        return _Stored(found.bundle.definition_hash)
    if found.HasField("erased_at"):
        name = f"{found.definition.template_id}@{found.definition.semver}"
        return _Stored(refusal=f"the text of template {name} was erased; give it a new version")
    return _Stored(found.definition_hash)


def _conflicts(contents: DirectoryContents, client: Client) -> Iterator[Problem]:
    pieces: list[tuple[str, Callable[[], Template | GetBundleResponse], str]] = [
        *(
            (
                f"template {template.ref}",
                partial(client.get_template, str(template.ref)),
                template.definition_hash,
            )
            for template in contents.templates
        ),
        *(
            (f"bundle {bundle}", partial(client.get_bundle, str(bundle)), bundle.definition_hash)
            for bundle in contents.bundles
        ),
    ]
    for name, read, given in pieces:
        stored = _stored(read)
        if stored is not None and stored.definition_hash != given:
            yield Problem(contents.files[name], "", stored.refusal or _TAKEN)


def _empty(contents: DirectoryContents) -> Iterator[Problem]:
    if not (contents.templates or contents.bundles or contents.problems):
        yield Problem("", "", "holds no template and no bundle; there is nothing to publish")


def _not_enforced(contents: DirectoryContents) -> Iterator[Problem]:
    for template in contents.templates:
        for key in sorted(template.constraints.further):
            near = get_close_matches(key.upper(), _CONSTRAINT_KEYS, n=1, cutoff=0.8)
            hint = f"; did you mean {near[0]}?" if near else ""
            place = contents.files[f"template {template.ref}"]
            yield Problem(place, f"constraints.{key}", f"is kept but not enforced{hint}")


def _unused(contents: DirectoryContents) -> Iterator[Problem]:
    for template in contents.unused_templates():
        yield Problem(
            contents.files[f"template {template.ref}"], "", "is not used by any bundle in the directory"
        )
