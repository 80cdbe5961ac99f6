"""The guide to writing prompts shows files that are sound and a prompt that they give."""

import re
from pathlib import Path

from support.checkout import ROOT
from support.cli import run_cli

GUIDE = (ROOT / "docs" / "writing-prompts.md").read_text(encoding="utf-8")
_FILE = re.compile(r"`([a-z/0-9.-]+\.(?:md|yaml|json))`:\n\n```[a-z]+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"`(pecia render [^`]+)` prints:\n\n```\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def write_files(root: Path) -> set[str]:
    """Write each file that the guide shows below `root`, and return their kinds."""
    for name, text in _FILE.findall(GUIDE):
        path = root / ("payload.json" if name == "payload.json" else f"prompts/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {path.suffix for path in root.rglob("*") if path.is_file()}


def test_the_files_of_the_guide_are_sound(tmp_path: Path) -> None:
    """Nothing that publishing would refuse, and none of their kinds is left out."""
    kinds = write_files(tmp_path)
    assert {".json", ".md", ".yaml"} == kinds
    assert 0 == run_cli("lint", tmp_path / "prompts").exit_code


def test_the_files_of_the_guide_give_its_prompt(tmp_path: Path) -> None:
    """To the byte."""
    write_files(tmp_path)
    ((command, prompt),) = _PRINTED.findall(GUIDE)
    arguments = [
        str(tmp_path / word) if word in {"prompts/", "payload.json"} else word for word in command.split()[1:]
    ]
    assert prompt == run_cli(*arguments).stdout
