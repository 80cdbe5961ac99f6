"""Generate the TypeScript client: an npm package of messages and services for Protobuf-ES and Connect."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from google.rpc import error_details_pb2

from protos.clients.tools import PROTOS, MissingToolError, buf_generate, find, pin, run

USE: Final = (
    "Put install-links=true into your .npmrc, and `npm install` that folder with @bufbuild/protobuf, "
    "@connectrpc/connect and @connectrpc/connect-node."
)

PROJECT: Final = PROTOS / "clients" / "typescript"
TEMPLATE: Final = PROTOS / "clients" / "typescript.gen.yaml"
GENERATOR: Final = "@bufbuild/protoc-gen-es"
OLDEST_NODE: Final = 20
HOW_TO_GET_NODE: Final = f"install Node.js {OLDEST_NODE} or newer, which brings npm"

# What the service's errors carry. No file of the contract imports them, so they are compiled beside it.
ERROR_DETAILS: Final = ("error_details.proto", "status.proto")


def generate(output: Path, tools: Path) -> None:
    """Replace `output` with an npm package that can be used as it is, and keep the generator in `tools`.

    Raises `MissingToolError` when Node.js is missing or too old, `ToolError` when a tool fails.
    """
    npm = _find_npm()
    plugins = pin(tools, "protoc-gen-es", _pinned_version(), lambda folder: _install(npm, folder))
    plugins = plugins / "node_modules" / ".bin"
    if output.exists():
        shutil.rmtree(output)
    buf_generate(TEMPLATE, output, plugins)
    with tempfile.TemporaryDirectory() as folder:
        _copy_error_details(Path(folder))
        buf_generate(TEMPLATE, output, plugins, source=Path(folder))
    _write_index(output, sorted((output / "pecia" / "v1").glob("*_pb.js")))
    _write_index(output / "google" / "rpc", sorted((output / "google" / "rpc").glob("*_pb.js")))
    for name in ("package.json", "README.md"):
        shutil.copyfile(PROJECT / name, output / name)


def _find_npm() -> Path:
    node = find("node", HOW_TO_GET_NODE)
    version = re.match(r"v(\d+)\.", run([node, "--version"]))
    if version is None or int(version[1]) < OLDEST_NODE:
        raise MissingToolError("node", f"{HOW_TO_GET_NODE}; the one that is there is too old")
    return find("npm", HOW_TO_GET_NODE)


def _pinned_version() -> str:
    """Name the generator's version and the lock file that says what it is made of."""
    package = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    locked = hashlib.sha256((PROJECT / "package-lock.json").read_bytes()).hexdigest()
    return f"{package['devDependencies'][GENERATOR]}-{locked[:12]}"


def _install(npm: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(PROJECT / name, folder / name)
    run([npm, "ci", "--ignore-scripts"], cwd=folder)


def _copy_error_details(folder: Path) -> None:
    """Copy google/rpc/*.proto, which the Python package of the same types brings along, below `folder`."""
    source = Path(error_details_pb2.__file__).parent
    target = folder / "google" / "rpc"
    target.mkdir(parents=True)
    for name in ERROR_DETAILS:
        shutil.copyfile(source / name, target / name)


def _write_index(folder: Path, modules: Iterable[Path]) -> None:
    """Let one import reach everything that the modules export, types included."""
    exports = "".join(f'export * from "./{path.relative_to(folder).as_posix()}";\n' for path in modules)
    for name in ("index.js", "index.d.ts"):
        (folder / name).write_text(exports, encoding="utf-8")
