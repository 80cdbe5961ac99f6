"""Pieces in a directory of files, so that prompts can live in git.

`bundles/ID/VERSION/bundle.yaml` and `templates/ID/VERSION.md`; ids and versions come from the paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pecia_service.errors import FieldViolation, InvalidInputError
from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
from pecia_service.rendering.sources.yaml_file import (
    FileError,
    read_text,
    require_mapping,
    require_text,
    split_front_matter,
    take_text_list,
)

MAX_FILE_BYTES = 1024 * 1024
"""How large a file may be: more than the largest template with its front matter needs."""

_BUNDLE_KEYS = frozenset({"slots", "tags", "description"})
_TEMPLATE_KEYS = frozenset({"role", "constraints", "adapter_version", "description"})
_ROLES = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a file from being published.

    `path` is relative to the directory; `field` is empty when the whole file is meant.
    """

    path: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.field, self.message) if part)


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
        first_line = 1
        try:
            text = read_text(path, MAX_FILE_BYTES)
            if is_template:
                head, content, first_line = split_front_matter(text)
                template = _template(identifier, semver, require_mapping(head, _TEMPLATE_KEYS), content)
                self.templates.append(template)
                self.files[f"template {template.ref}"] = self._relative(path)
            else:
                bundle = _bundle(identifier, semver, require_mapping(text, _BUNDLE_KEYS))
                self.bundles.append(bundle)
                self.files[f"bundle {bundle}"] = self._relative(path)
        except FileError as error:
            self._problem(path, error.field, str(error))
        except InvalidInputError as error:
            for violation in error.violations:
                self._problem(path, violation.field, _locate(violation, first_line))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _problem(self, path: Path, field: str, message: str) -> None:
        self.problems.append(Problem(self._relative(path), field, message))


def _sorted_files(root: Path) -> Iterator[Path]:
    """Walk in one order on every file system; what begins with a dot belongs to editors and git."""
    if root.is_dir():
        for path in sorted(root.rglob("*")):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield path


def _locate(violation: FieldViolation, first_line: int) -> str:
    """Say where in the file the content begins, when the violation names a line of the content."""
    if violation.field == "content" and violation.description.startswith("line "):
        return f"{violation.description} (line 1 of the content is line {first_line} of the file)"
    return violation.description


def _template(template_id: str, semver: str, head: Mapping[str, object], content: str) -> Template:
    role = require_text(head, "role")
    if role and role not in _ROLES:
        raise FileError("role", f"must be one of {', '.join(_ROLES)}")
    constraints = head.get("constraints") or {}
    if not isinstance(constraints, dict):
        raise FileError("constraints", "must be a mapping such as MAX_PARAGRAPHS: 3")
    return Template.define(
        template_id=template_id,
        semver=semver,
        role=_ROLES.get(role),
        content=content,
        constraints=constraints,
        adapter_version=require_text(head, "adapter_version"),
        description=require_text(head, "description"),
    )


def _bundle(bundle_id: str, semver: str, head: Mapping[str, object]) -> Bundle:
    slots = head.get("slots") or {}
    if not isinstance(slots, dict):
        raise FileError("slots", "must be a mapping such as system: companion-system@1.0.0")
    refs: dict[Slot, TemplateRef] = {}
    names = {slot.value: slot for slot in Slot}
    for name, text in slots.items():
        if name not in names:
            raise FileError(f"slots.{name}", f"is not a slot; the slots are {', '.join(names)}")
        if not isinstance(text, str) or "@" not in text:
            raise FileError(f"slots.{name}", "must be ID@VERSION such as companion-system@1.0.0")
        template_id, _, version = text.partition("@")
        refs[names[name]] = TemplateRef(template_id, version)
    return Bundle.define(
        bundle_id=bundle_id,
        semver=semver,
        slots=refs,
        tags=take_text_list(head, "tags"),
        description=require_text(head, "description"),
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
