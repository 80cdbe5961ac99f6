"""Pieces in a directory of files, so that prompts can live in git.

`bundles/ID/VERSION/bundle.yaml` and `templates/ID/VERSION.md`; ids and versions come from the paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pecia_service.errors import FieldViolation, Findings, InvalidInputError
from pecia_service.registry.identifiers import require_identifier, require_semver
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef
from pecia_service.rendering.sources.yaml_file import (
    FileError,
    Head,
    parse_head,
    read_text,
    split_front_matter,
)

MAX_FILE_BYTES = 1024 * 1024
"""How large a file may be: more than the largest template with its front matter needs."""

_BUNDLE_KEYS = frozenset({"slots", "tags", "description"})
_TEMPLATE_KEYS = frozenset({"role", "constraints", "adapter_version", "description"})
# How a violation of a template's content begins; its lines count from the content's first.
_PLACE = re.compile(r"line ([0-9]+), column ([0-9]+): (.*)", re.DOTALL)
_ROLES = {role.value: role for role in Role}
_SLOTS = {slot.value: slot for slot in Slot}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a file from being published.

    `path` is relative to the directory; `field` is empty when the whole file is meant. `line` and `column` of
    the file count from 1 and are None where nothing single is meant.
    """

    path: str
    field: str
    message: str
    line: int | None = None
    column: int | None = None

    @property
    def place(self) -> str:
        """The path with line and column, where they are known, as editors read it."""
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.field, self.message) if part)


class DirectoryError(Exception):
    """A directory can't be used as it is; `summary` says for what, and `problems` what is wrong with it."""

    def __init__(self, problems: list[Problem], summary: str = "the directory has faults") -> None:
        more = f" (and {len(problems) - 1} more; see pecia lint)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = problems
        self.summary = summary


@dataclass(frozen=True, slots=True)
class Reference:
    """A template that a bundle's file names, whether or not the rest of that file is sound."""

    path: str
    field: str
    ref: TemplateRef
    line: int | None


@dataclass(frozen=True, slots=True)
class DirectoryContents:
    """What a directory holds, ordered by path: the sound pieces, and all that is wrong with the others.

    `files` tells which file a piece comes from, also a faulty one. `references_complete` is false while some
    file of a bundle may name templates that are not among `references`.
    """

    templates: list[Template]
    bundles: list[Bundle]
    problems: list[Problem]
    files: Mapping[str, str]
    references: list[Reference]
    references_complete: bool

    def missing_references(self) -> list[Reference]:
        """Return the references to templates that have no file here; a faulty file is one."""
        return [reference for reference in self.references if f"template {reference.ref}" not in self.files]

    def unused_templates(self) -> list[Template]:
        """Return the templates that no bundle of the directory names; none while that can't be known."""
        if not self.references_complete:
            return []
        used = {reference.ref for reference in self.references}
        return [template for template in self.templates if template.ref not in used]

    def fault(self, *pieces: str) -> DirectoryError | None:
        """Return why pieces, named as in `files`, can't be had; None if nothing in the directory is wrong.

        The error has the problems of the pieces' files, or all if some piece has none: it may be misnamed.
        """
        if not self.problems:
            return None
        paths = {self.files.get(piece) for piece in pieces}
        problems = [problem for problem in self.problems if None in paths or problem.path in paths]
        return DirectoryError(
            problems, f"can't read {', '.join(pieces)} from the directory, which has faults"
        )


def read_directory(root: Path) -> DirectoryContents:
    """Read all templates and bundles below `root`, and all that is wrong with them.

    Raises DirectoryError when `root` holds neither `bundles` nor `templates`.
    """
    if not (root / "templates").is_dir() and not (root / "bundles").is_dir():
        raise DirectoryError([Problem(str(root), "", "holds neither a templates nor a bundles directory")])
    reader = _Reader(root)
    reader.read()
    return DirectoryContents(
        reader.templates,
        reader.bundles,
        reader.problems,
        reader.files,
        reader.references,
        references_complete=not reader.unread,
    )


class _Reader:
    """One walk over one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.templates: list[Template] = []
        self.bundles: list[Bundle] = []
        self.problems: list[Problem] = []
        self.files: dict[str, str] = {}
        self.references: list[Reference] = []
        self.unread: set[Path] = set()
        """Files of bundles that may name more templates than could be read."""

    def read(self) -> None:
        for path in _sorted_files(self._root / "templates"):
            parts = path.relative_to(self._root / "templates").parts
            if len(parts) != 2 or path.suffix != ".md":
                self._problem(path, "", _misplaced("templates", "ID/VERSION.md"))
            else:
                self._read_file(path, "template", parts[0], path.stem)
        for path in _sorted_files(self._root / "bundles"):
            self.unread.add(path)
            parts = path.relative_to(self._root / "bundles").parts
            if len(parts) != 3 or parts[2] != "bundle.yaml":
                self._problem(path, "", _misplaced("bundles", "ID/VERSION/bundle.yaml"))
            else:
                self._read_file(path, "bundle", parts[0], parts[1])

    def _read_file(self, path: Path, kind: str, identifier: str, semver: str) -> None:
        self.files[f"{kind} {identifier}@{semver}"] = self._relative(path)
        try:
            text = read_text(path, MAX_FILE_BYTES)
            if kind == "template":
                self._read_template(path, TemplateRef(identifier, semver), text)
            else:
                self._read_bundle(path, identifier, semver, text)
        except FileError as error:
            self._problem(path, error.field, str(error), error.line, error.column)
            for violation in _check_name(f"{kind}_id", identifier, semver):
                self._problem(path, violation.field, violation.description)

    def _read_template(self, path: Path, ref: TemplateRef, text: str) -> None:
        head_text, content, first_line = split_front_matter(text)
        # An empty line stands for the fence, so that lines of the head are lines of the file.
        head = parse_head("\n" + head_text, _TEMPLATE_KEYS)
        violations: Sequence[FieldViolation] = ()
        try:
            template = _template(ref, head, content)
        except InvalidInputError as error:
            violations = error.violations
        if not self._report(path, head, violations, first_line):
            self.templates.append(template)

    def _read_bundle(self, path: Path, bundle_id: str, semver: str, text: str) -> None:
        head = parse_head(text, _BUNDLE_KEYS)
        refs = _slot_refs(head)
        self._keep_references(path, head, refs)
        violations: Sequence[FieldViolation] = ()
        try:
            bundle = _bundle(bundle_id, semver, head, refs)
        except InvalidInputError as error:
            violations = error.violations
        if not self._report(path, head, violations):
            self.bundles.append(bundle)

    def _keep_references(self, path: Path, head: Head, refs: Mapping[str, TemplateRef]) -> None:
        sound = {f"slots.{name}": ref for name, ref in refs.items() if _is_well_formed(ref)}
        for field, ref in sound.items():
            self.references.append(Reference(self._relative(path), field, ref, head.line(field)))
        if len(sound) >= len(Slot):
            self.unread.discard(path)

    def _report(
        self, path: Path, head: Head, violations: Sequence[FieldViolation], first_line: int = 1
    ) -> bool:
        """Keep all that is wrong with a file, each field once, and tell whether anything is."""
        for fault in head.faults:
            self._problem(path, fault.field, str(fault), fault.line, fault.column)
        for violation in violations:
            if head.is_faulty(violation.field):
                continue
            message, line, column = violation.description, head.line(violation.field), None
            if match := _PLACE.fullmatch(message):
                line, column, message = int(match[1]) + first_line - 1, int(match[2]), match[3]
            self._problem(path, violation.field, message, line, column)
        return bool(head.faults or violations)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _problem(
        self, path: Path, field: str, message: str, line: int | None = None, column: int | None = None
    ) -> None:
        self.problems.append(Problem(self._relative(path), field, message, line, column))


def _sorted_files(root: Path) -> Iterator[Path]:
    """Walk in one order on every file system; what begins with a dot belongs to editors and git."""
    if root.is_dir():
        for path in sorted(root.rglob("*")):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield path


def _template(ref: TemplateRef, head: Head, content: str) -> Template:
    role = head.text("role")
    if role and role not in _ROLES:
        head.fault("role", f"must be one of {', '.join(_ROLES)}")
    return Template.define(
        template_id=ref.template_id,
        semver=ref.semver,
        role=_ROLES.get(role),
        content=content,
        constraints=head.mapping("constraints", "MAX_PARAGRAPHS: 3"),
        adapter_version=head.text("adapter_version"),
        description=head.text("description"),
    )


def _slot_refs(head: Head) -> dict[str, TemplateRef]:
    """Return what a bundle's slots name, also those of slots that there are not."""
    refs: dict[str, TemplateRef] = {}
    for name, text in head.mapping("slots", "system: companion-system@1.0.0").items():
        if name not in _SLOTS:
            head.fault(f"slots.{name}", f"is not a slot; the slots are {', '.join(_SLOTS)}")
        if isinstance(text, str) and "@" in text:
            template_id, _, version = text.partition("@")
            refs[name] = TemplateRef(template_id, version)
        elif name in _SLOTS:
            head.fault(f"slots.{name}", "must be ID@VERSION such as companion-system@1.0.0")
    return refs


def _bundle(bundle_id: str, semver: str, head: Head, refs: Mapping[str, TemplateRef]) -> Bundle:
    return Bundle.define(
        bundle_id=bundle_id,
        semver=semver,
        slots={_SLOTS[name]: ref for name, ref in refs.items() if name in _SLOTS},
        tags=head.texts("tags"),
        description=head.text("description"),
    )


def _check_name(id_field: str, identifier: str, semver: str) -> Sequence[FieldViolation]:
    """Return what is wrong with an id and a version that come from a path."""
    findings = Findings()
    with findings.gather():
        require_identifier(identifier, id_field)
    with findings.gather():
        require_semver(semver, "semver")
    try:
        findings.raise_if_any()
    except InvalidInputError as error:
        return error.violations
    return ()


def _is_well_formed(ref: TemplateRef) -> bool:
    return not _check_name("template_id", ref.template_id, ref.semver)


def _misplaced(folder: str, pattern: str) -> str:
    return (
        f"is not {folder}/{pattern}; rename it, move it out of {folder}, or remove it "
        "(only names that begin with a dot are left alone)"
    )
