"""The coverage gate of the prompt subsystem measures what it says."""

import re

import pytest
from support.checkout import ROOT

_LIST = re.search(
    r"^PROMPT_SUBSYSTEM := \\\n((?:.*\\\n)*.*)\n", (ROOT / "Makefile").read_text(), re.MULTILINE
)
PATTERNS = _LIST[1].replace("\\", " ").split() if _LIST else []


def test_gate_lists_the_capabilities() -> None:
    """None of the prompt subsystem's rooms is left out of the list."""
    rooms = {pattern.removesuffix("/*").removeprefix("service/pecia_service/") for pattern in PATTERNS}
    wanted = {
        "canonical.py",
        "errors.py",
        "registry",
        "rendering",
        "audit",
        "server/convert",
        "server/prompts.py",
    }
    assert wanted - rooms == set()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_pattern_matches_code(pattern: str) -> None:
    """A pattern that matches nothing, after a file was moved, would silently lower the bar."""
    assert [path for path in ROOT.glob(pattern) if path.suffix == ".py"] != []
