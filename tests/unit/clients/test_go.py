"""How the Go client's generator is told its module path, and what it says when it cannot generate."""

from pathlib import Path

import pytest

from protos.clients.generate import load
from protos.clients.tools import PROTOS, MissingToolError, ToolError

CLIENTS = PROTOS / "clients"
MODULE = "example.com/pecia-go"


@pytest.mark.parametrize("path", [CLIENTS / "go.gen.yaml", CLIENTS / "go" / "go.mod"])
def test_the_module_path_is_where_it_is_replaced(path: Path) -> None:
    """GO_MODULE takes the place of one text in the template and in go.mod, so both must hold it once."""
    assert path.read_text(encoding="utf-8").count(MODULE) == 1


@pytest.mark.parametrize("module", ["a b", "a: b", "/a", "a/", "a\nb", "a//b"])
def test_a_bad_module_path(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module path goes into YAML and go.mod as it is, so what isn't one is refused by its name."""
    monkeypatch.setenv("GO_MODULE", module)
    with pytest.raises(ToolError, match="GO_MODULE must be a module path"):
        load("go").generate(tmp_path / "go", tmp_path / "tools")


def test_without_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go the client that is there stays, and the error names the tool."""
    kept = tmp_path / "go" / "go.mod"
    kept.parent.mkdir()
    kept.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        load("go").generate(kept.parent, tmp_path / "tools")
    assert ("go", True) == (caught.value.tool, kept.exists())
