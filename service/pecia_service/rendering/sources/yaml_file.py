"""Reading YAML that people write: strict, bounded, and with errors that name the line."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

_FENCE = "---\n"


class FileError(Exception):
    """A file is not of the documented form; `field` is empty when the whole file is meant."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class _StrictLoader(yaml.SafeLoader):
    """Refuses aliases, which can make a small file huge, and keys that stand twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.get_mark().line
            raise FileError("", f"line {line + 1}: aliases are not allowed; write the value out")
        return super().compose_node(parent, index)

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
    """Return front matter, content, and the line of the file (from 1) on which the content begins."""
    if not text.startswith(_FENCE):
        raise FileError("", "does not begin with a line --- and YAML front matter; role is required there")
    end = text.find("\n" + _FENCE, len(_FENCE) - 1)
    if end < 0:
        raise FileError("", "has no second line --- that ends the front matter")
    start = end + 1 + len(_FENCE)
    return text[len(_FENCE) : end + 1], text[start:], text.count("\n", 0, start) + 1


def require_mapping(text: str, keys: frozenset[str]) -> Mapping[str, object]:
    """Parse YAML that is a mapping with none but these keys; raises FileError."""
    try:
        value = yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise FileError("", f"{line}{error.problem or 'is not YAML'}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise FileError("", f"is not YAML: {error}") from None
    except RecursionError:
        raise FileError("", "is nested too deeply") from None
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise FileError("", f"must be a YAML mapping with the keys {', '.join(sorted(keys))}")
    for key in value:
        if key not in keys:
            raise FileError(key, f"is not a known key; known are {', '.join(sorted(keys))}")
    return value


def require_text(head: Mapping[str, object], key: str) -> str:
    """Return a key's text, empty when it is not there; raises FileError for anything but text."""
    value = head.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FileError(key, "must be text; quote it")
    return value


def take_text_list(head: Mapping[str, object], key: str) -> list[str]:
    """Return a key's list of texts, empty when it is not there; raises FileError for anything else."""
    value = head.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FileError(key, "must be a list of texts; quote what YAML reads as a number")
    return value
