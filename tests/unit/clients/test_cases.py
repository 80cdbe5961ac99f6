"""The list of cases is the one that is written down, and asks for no less than the vectors hold."""

import json
import os
import re
from typing import Any

from clients.run import LANGUAGES, PROGRAM
from clients.runner.cases import CASES
from support.checkout import ROOT

from protos.clients.generate import LANGUAGES as GENERATED

CLIENTS = ROOT / "tests" / "clients"


def count(file: str, section: str, outcome: str = "expected") -> int:
    """Return how many golden vectors of a list have this outcome."""
    lists: dict[str, list[dict[str, Any]]] = json.loads((ROOT / "tests/golden" / f"{file}.json").read_bytes())
    return sum(outcome in vector for vector in lists[section])


def test_description_lists_the_cases() -> None:
    """Its headings have the same names, order and numbers as the runner."""
    text = (CLIENTS / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### ([0-9]+)\. `([a-z_]+)` \(([0-9]+)\)$", text, re.MULTILINE)
    assert [
        (str(place), name, str(least)) for place, (name, least) in enumerate(CASES.items(), 1)
    ] == headings


def test_least_checks_are_those_of_the_vectors() -> None:
    """A vector that is added has to be checked too."""
    least = {
        "canonical": 2 * count("canonical_json", "values") + count("canonical_json", "numbers"),
        # One text may be left out by a language with an older NFC.
        "payload_hash": 2 * (count("text", "texts") - 1)
        + count("text", "texts", "error")
        + 3 * count("payloads", "payloads")
        + count("payloads", "payloads", "error"),
        "render": 19 * count("renders", "renders") + 2 * count("renders", "renders", "error"),
    }
    assert least == {name: CASES[name] for name in least}


def test_each_language_has_its_program() -> None:
    """Every language of the runner has an executable program, and no program is without its language."""
    programs = {path.parent.name for path in CLIENTS.glob(f"*/{PROGRAM}") if os.access(path, os.X_OK)}
    assert set(LANGUAGES) == programs == {"python", *GENERATED}
