"""Reading YAML that people write: strict, bounded, and with errors that name the line."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_FENCE = "---\n"
_MAX_FIELD_LENGTH = 256


class FileError(Exception):
    """A file is not of the documented form.

    `field` is empty when the whole file is meant; `line` and `column` count from 1 and are None where nothing
    single is meant.
    """

    def __init__(self, field: str, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.line = line
        self.column = column


class _StrictLoader(yaml.SafeLoader):
    """Refuses aliases, which can make a small file huge, and keys that stand twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs lack its types
            raise yaml.composer.ComposerError(
                None, None, "aliases are not allowed; write the value out", mark
            )
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except (AttributeError, KeyError, ValueError):
            # PyYAML raises these for what has the form or the tag of a type but not a value of it.
            raise yaml.constructor.ConstructorError(
                None, None, "is no such date, number or truth value; quote it", node.start_mark
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is not text; quote it", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_text(path: Path, max_bytes: int) -> str:
    """Return a file's text; raises FileError for what is unreadable, too large, or not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise FileError("", f"can't be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise FileError("", f"has more than {max_bytes} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError("", f"is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def split_front_matter(text: str) -> tuple[str, str, int]:
    """Return front matter, content, and the line of the file (from 1) on which the content begins.

    Raises FileError.
    """
    if not text.startswith(_FENCE):
        raise FileError("", "does not begin with a line --- and YAML front matter; role is required there")
    if text.endswith(_FENCE.rstrip()):
        text += "\n"
    end = text.find("\n" + _FENCE, len(_FENCE) - 1)
    if end < 0:
        raise FileError("", "has no second line --- that ends the front matter")
    start = end + 1 + len(_FENCE)
    return text[len(_FENCE) : end + 1], text[start:], text.count("\n", 0, start) + 1


class Head:
    """What a YAML mapping says; gathers in `faults` what is wrong with it, so that all can be reported.

    What is faulty reads as if it were not there.
    """

    def __init__(self, values: Mapping[str, object], lines: Mapping[str, int]) -> None:
        self._values = values
        self._lines = lines
        self.faults: list[FileError] = []

    def text(self, key: str) -> str:
        """Return a key's text, empty when it is not there."""
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self.fault(key, "must be text; quote it")
        return ""

    def texts(self, key: str) -> list[str]:
        """Return a key's list of texts, empty when it is not there."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(key, "must be a list of texts")
            return []
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.fault(f"{key}[{index}]", "must be text; quote it")
        return [item for item in value if isinstance(item, str)]

    def mapping(self, key: str, example: str) -> dict[str, Any]:
        """Return a key's mapping, empty when it is not there; `example` says what one looks like."""
        value = self._values.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(key, f"must be a mapping such as {example}")
        return {}

    def fault(self, field: str, message: str) -> None:
        """Keep one more thing that is wrong."""
        self.faults.append(FileError(field, message, self.line(field)))

    def is_faulty(self, field: str) -> bool:
        """Tell whether something is wrong with a field or with what it is part of."""
        return any(
            field == fault.field or field.startswith((f"{fault.field}.", f"{fault.field}["))
            for fault in self.faults
        )

    def line(self, field: str) -> int | None:
        """Return the line, from 1, of a field or of what it is part of; None if neither is there."""
        while field and field not in self._lines:
            field = field[: max(field.rfind("."), field.rfind("["), 0)]
        return self._lines.get(field)


def parse_head(text: str, keys: frozenset[str]) -> Head:
    """Parse YAML that is a mapping with none but these keys; raises FileError if it is no mapping."""
    try:
        loader = _StrictLoader(text)
    except yaml.reader.ReaderError as error:
        message = "holds a character that YAML does not allow; escape it"
        raise FileError("", message, text.count("\n", 0, error.position) + 1) from None
    try:
        node = loader.get_single_node()
        value = {} if node is None else loader.construct_document(node)
        lines = {} if node is None else dict(_lines(node, ""))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise FileError("", error.problem or "is not YAML", line, column) from None
    except RecursionError:
        raise FileError("", "is nested too deeply") from None
    finally:
        loader.dispose()
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise FileError("", f"must be a YAML mapping with the keys {', '.join(sorted(keys))}")
    head = Head(value, lines)
    for key in value:
        if key not in keys:
            head.fault(key, f"is not a known key; known are {', '.join(sorted(keys))}")
    return head


def _lines(node: yaml.Node, field: str) -> Iterator[tuple[str, int]]:
    """Name the keys and items below a node, with their lines; what has a very long name is left out."""
    if len(field) > _MAX_FIELD_LENGTH:
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{field}.{key.value}" if field else str(key.value)
            yield name, key.start_mark.line + 1
            yield from _lines(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{field}[{index}]", item.start_mark.line + 1
            yield from _lines(item, f"{field}[{index}]")
