"""What the TypeScript client's generator says when it cannot generate, and versions in several places."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.checkout import ROOT

from protos.clients.generate import load
from protos.clients.tools import PROTOS, MissingToolError

CLIENT = PROTOS / "clients" / "typescript"
PROGRAM = ROOT / "tests" / "clients" / "typescript"


def package_of(folder: Path) -> dict[str, Any]:
    """Return the package.json of a folder."""
    package: dict[str, Any] = json.loads((folder / "package.json").read_bytes())
    return package


def test_the_guide_names_the_libraries_of_the_program() -> None:
    """Whoever copies the command gets what the program was proved with."""
    guide = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r" (@[a-z-]+/[a-z-]+)@([0-9.]+)", guide))
    libraries = package_of(PROGRAM)["dependencies"]
    assert {name: libraries[name] for name in libraries if name != "@pecia/client"} == shown


def test_the_program_has_the_run_time_of_the_generator() -> None:
    """The least that the generated code asks for is what it is proved with."""
    generator = package_of(CLIENT)["devDependencies"]["@bufbuild/protoc-gen-es"]
    assert f"^{generator}" == package_of(CLIENT)["dependencies"]["@bufbuild/protobuf"]
    assert generator == package_of(PROGRAM)["dependencies"]["@bufbuild/protobuf"]


@pytest.mark.parametrize("folder", [CLIENT, PROGRAM], ids=["client", "program"])
def test_no_lock_file_names_a_registry(folder: Path) -> None:
    """Packages are found by name and proved by hash, wherever a machine gets them from."""
    packages = json.loads((folder / "package-lock.json").read_bytes())["packages"]
    resolved = [each["resolved"] for each in packages.values() if "resolved" in each]
    assert [] == [each for each in resolved if not each.startswith("file:")]
    unproved = [
        name for name, each in packages.items() if name and not {"integrity", "resolved"} & each.keys()
    ]
    assert [] == unproved


@pytest.mark.parametrize("version", ["v18.20.4", "v9.0.0", "what"])
def test_an_old_node(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client that is there stays, and the error says what is needed."""
    kept = tmp_path / "typescript" / "index.js"
    kept.parent.mkdir()
    kept.touch()
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho {version}\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"^node is missing: install Node.js 20 or newer"):
        load("typescript").generate(kept.parent, tmp_path / "tools")
    assert kept.exists()
