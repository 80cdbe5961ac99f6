"""Generate the Go client: a module with the messages and the gRPC stubs."""

import os
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from protos.clients.tools import PROTOS, ToolError, buf_generate, find, pin, run

MODULE: Final = "example.com/pecia-go"
"""The module path in the template and in go.mod; `GO_MODULE` in the environment replaces it."""

USE: Final = (
    f"In your module: `go mod edit -require {MODULE}@v0.0.0 -replace {MODULE}=<that folder>`, import "
    f'peciav1 "{MODULE}/pecia/v1", and `go mod tidy`. GO_MODULE gives it a path of your own.'
)

PLUGINS: Final = {
    "protoc-gen-go": ("google.golang.org/protobuf/cmd/protoc-gen-go", "v1.36.12"),
    "protoc-gen-go-grpc": ("google.golang.org/grpc/cmd/protoc-gen-go-grpc", "v1.6.2"),
}
"""For each plugin of the template its package and version; go.mod holds the libraries that belong to them."""

_PROJECT: Final = PROTOS / "clients" / "go"
_TEMPLATE: Final = PROTOS / "clients" / "go.gen.yaml"
_MODULE_PATH: Final = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*", re.ASCII)


def generate(output: Path, tools: Path) -> None:
    """Replace `output` with the module, named by `GO_MODULE`; keep the plugins in `tools`.

    Raises `MissingToolError` when Go is missing; `ToolError` when a tool fails, or `GO_MODULE` is no path.
    """
    module = os.environ.get("GO_MODULE") or MODULE
    if not _MODULE_PATH.fullmatch(module):
        raise ToolError(f"GO_MODULE must be a module path such as {MODULE}, not {module!r}")
    go = find("go", "install Go 1.26 or newer, see go.dev/doc/install")
    plugins = [
        pin(tools, name, version, partial(_install, go, f"{package}@{version}"))
        for name, (package, version) in PLUGINS.items()
    ]
    if output.exists():
        shutil.rmtree(output)
    shutil.copytree(_PROJECT, output)
    _rename(output / "go.mod", output / "go.mod", module)
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / _TEMPLATE.name
        _rename(_TEMPLATE, template, module)
        buf_generate(template, output, *plugins)


def _install(go: Path, package: str, folder: Path) -> None:
    run([go, "install", package], environment={"GOBIN": str(folder)})


def _rename(source: Path, target: Path, module: str) -> None:
    target.write_text(source.read_text().replace(MODULE, module))
