"""Pieces in a directory of files, so that prompts can live in git.

`bundles/ID/VERSION/bundle.yaml` and `templates/ID/VERSION.md`; ids and versions come from the paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pecia_service.errors import FieldViolation, InvalidInputError
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
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
    """A directory can't be used as it is; `problems` has all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        more = f" (and {len(problems) - 1} more; see pecia lint)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class DirectoryContents:
    """What a directory holds, ordered by path; `files` tells which file a piece came from."""

    templates: list[Template]
    bundles: list[Bundle]
    problems: list[Problem]
    files: Mapping[str, str]

    def missing_references(self) -> list[tuple[Bundle, Slot, TemplateRef]]:
        """Return the references that no template of the directory satisfies."""
        have = {template.ref for template in self.templates}
        return [
            (bundle, slot, ref)
            for bundle in self.bundles
            for slot, ref in bundle.slots.items()
            if ref not in have
        ]

    def unused_templates(self) -> list[Template]:
        """Return the templates that no bundle of the directory names."""
        used = {ref for bundle in self.bundles for ref in bundle.slots.values()}
        return [template for template in self.templates if template.ref not in used]


def read_directory(root: Path) -> DirectoryContents:
    """Read all templates and bundles below `root`, and all that is wrong with them.

    Raises DirectoryError when `root` holds neither `bundles` nor `templates`.
    """
    if not (root / "templates").is_dir() and not (root / "bundles").is_dir():
        raise DirectoryError([Problem(str(root), "", "holds neither a templates nor a bundles directory")])
    reader = _Reader(root)
    reader.read()
    return DirectoryContents(reader.templates, reader.bundles, reader.problems, reader.files)


class _Reader:
    """One walk over one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.templates: list[Template] = []
        self.bundles: list[Bundle] = []
        self.problems: list[Problem] = []
        self.files: dict[str, str] = {}

    def read(self) -> None:
        for path in _sorted_files(self._root / "templates"):
            parts = path.relative_to(self._root / "templates").parts
            if len(parts) != 2 or path.suffix != ".md":
                self._problem(path, "", "is not templates/ID/VERSION.md; move or remove it")
            else:
                self._read_file(path, parts[0], path.stem, is_template=True)
        for path in _sorted_files(self._root / "bundles"):
            parts = path.relative_to(self._root / "bundles").parts
            if len(parts) != 3 or parts[2] != "bundle.yaml":
                self._problem(path, "", "is not bundles/ID/VERSION/bundle.yaml; move or remove it")
            else:
                self._read_file(path, parts[0], parts[1], is_template=False)

    def _read_file(self, path: Path, identifier: str, semver: str, *, is_template: bool) -> None:
        try:
            text = read_text(path, MAX_FILE_BYTES)
            if is_template:
                self._read_template(path, TemplateRef(identifier, semver), text)
            else:
                self._read_bundle(path, identifier, semver, text)
        except FileError as error:
            self._problem(path, error.field, str(error), error.line, error.column)

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
            self.files[f"template {ref}"] = self._relative(path)

    def _read_bundle(self, path: Path, bundle_id: str, semver: str, text: str) -> None:
        head = parse_head(text, _BUNDLE_KEYS)
        violations: Sequence[FieldViolation] = ()
        try:
            bundle = _bundle(bundle_id, semver, head)
        except InvalidInputError as error:
            violations = error.violations
        if not self._report(path, head, violations):
            self.bundles.append(bundle)
            self.files[f"bundle {bundle}"] = self._relative(path)

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


def _bundle(bundle_id: str, semver: str, head: Head) -> Bundle:
    refs: dict[Slot, TemplateRef] = {}
    names = {slot.value: slot for slot in Slot}
    for name, text in head.mapping("slots", "system: companion-system@1.0.0").items():
        if name not in names:
            head.fault(f"slots.{name}", f"is not a slot; the slots are {', '.join(names)}")
        elif not isinstance(text, str) or "@" not in text:
            head.fault(f"slots.{name}", "must be ID@VERSION such as companion-system@1.0.0")
        else:
            template_id, _, version = text.partition("@")
            refs[names[name]] = TemplateRef(template_id, version)
    return Bundle.define(
        bundle_id=bundle_id,
        semver=semver,
        slots=refs,
        tags=head.texts("tags"),
        description=head.text("description"),
    )


class DirectoryBundleSource(InlineBundleSource):
    """Gives the bundles of a directory, read once; raises DirectoryError when anything in it is wrong."""

    def __init__(self, root: Path) -> None:
        super().__init__(_sound(root).bundles)


class DirectoryTemplateSource(InlineTemplateSource):
    """Gives the templates of a directory, read once; raises DirectoryError when anything in it is wrong."""

    def __init__(self, root: Path) -> None:
        super().__init__(_sound(root).templates)


def _sound(root: Path) -> DirectoryContents:
    contents = read_directory(root)
    if contents.problems:
        raise DirectoryError(contents.problems)
    return contents
