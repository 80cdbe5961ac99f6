"""The files of golden vectors: what is in them, as text to the byte."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from golden.inputs import CONSTRAINTS, EFFECTIVE, JSON_VALUES, NUMBERS, PAYLOADS, TEXTS
from golden.piece_inputs import BUNDLES, RENDERS, TEMPLATES
from golden.recompute import SECTIONS, Expected, outcome

DIRECTORY: Final = Path(__file__).resolve().parent

INPUTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "text": {"texts": TEXTS},
    "canonical_json": {"values": JSON_VALUES, "numbers": {bits: bits for bits in NUMBERS}},
    "payloads": {"payloads": PAYLOADS},
    "constraints": {"constraints": CONSTRAINTS, "effective": EFFECTIVE},
    "templates": {"templates": TEMPLATES},
    "bundles": {"bundles": BUNDLES},
    "renders": {"renders": RENDERS},
}


def build() -> dict[str, str]:
    """Return the text of each file, by its name without the suffix."""
    return {name: _write(name, lists) for name, lists in INPUTS.items()}


def read(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the lists of a file as it is on disk."""
    lists: dict[str, list[dict[str, Any]]] = json.loads(_path(name).read_bytes())
    return lists


def recompute_all() -> Iterator[tuple[str, str, str, Expected]]:
    """Give file, list, name and outcome of each vector on disk, made anew of its input."""
    for name, computers in SECTIONS.items():
        lists = read(name)
        for section, compute in computers.items():
            for vector in lists[section]:
                yield name, section, vector["name"], outcome(compute, vector["input"])


def write_all() -> None:
    """Write every file."""
    for name, text in build().items():
        _path(name).write_bytes(text.encode())


def differences() -> Sequence[str]:
    """Return the unified diff of what is on disk and what should be."""
    lines: list[str] = []
    for name, text in build().items():
        path = _path(name)
        old = path.read_bytes().decode() if path.exists() else ""
        lines += difflib.unified_diff(
            old.splitlines(keepends=True), text.splitlines(keepends=True), path.name, f"{path.name} (anew)"
        )
    return lines


def _path(name: str) -> Path:
    return DIRECTORY / f"{name}.json"


def _write(name: str, lists: Mapping[str, Mapping[str, Any]]) -> str:
    vectors = {
        section: [
            {"name": title, "input": given, **outcome(SECTIONS[name][section], given)}
            for title, given in inputs.items()
        ]
        for section, inputs in lists.items()
    }
    # ASCII only: neither an editor nor a reader's normalisation can change a character.
    return json.dumps(vectors, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
