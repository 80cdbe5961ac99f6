"""How the Go client's generator is told its module path, and what it says when it cannot generate."""

import re
from pathlib import Path

import pytest
from support.checkout import ROOT

from protos.clients.generate import load
from protos.clients.go import PLUGINS
from protos.clients.tools import PROTOS, MissingToolError, ToolError

CLIENTS = PROTOS / "clients"
MODULE = "example.com/pecia-go"
LIBRARY = re.compile(r"^\t(google\.golang\.org/(?:grpc|protobuf)) (v[0-9.]+)$", re.MULTILINE)


@pytest.mark.parametrize("path", [CLIENTS / "go.gen.yaml", CLIENTS / "go" / "go.mod"])
def test_the_module_path_is_where_it_is_replaced(path: Path) -> None:
    """GO_MODULE takes the place of one text in the template and in go.mod, so both must hold it once."""
    assert path.read_text(encoding="utf-8").count(MODULE) == 1


def test_the_program_has_the_libraries_of_the_client() -> None:
    """Of protobuf that is the version of the plugin, whose code asks for no older one."""
    client, program = (
        dict(LIBRARY.findall(path.read_text(encoding="utf-8")))
        for path in (CLIENTS / "go" / "go.mod", ROOT / "tests" / "clients" / "go" / "go.mod")
    )
    assert client == program
    assert PLUGINS["protoc-gen-go"][1] == client["google.golang.org/protobuf"]


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
