"""Generate the Python stubs and the descriptor set from the contract.

The output is committed, so that installing Pecia needs no compiler; `--check` compares it with a fresh run.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROTOS: Final = Path(__file__).resolve().parent
PACKAGE: Final = Path("pecia/v1")
DESCRIPTOR_SET: Final = PACKAGE / "descriptors.binpb"


def generate(output: Path) -> None:
    """Replace the package below `output` with what the contract says now.

    Raises `subprocess.CalledProcessError` when the compiler refuses the contract.
    """
    package = output / PACKAGE
    if package.exists():
        shutil.rmtree(package)
    package.mkdir(parents=True)
    files = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / PACKAGE).glob("*.proto"))
    _compile(
        [
            f"--python_out={output}",
            f"--pyi_out={output}",
            f"--descriptor_set_out={output / DESCRIPTOR_SET}",
            "--include_imports",
            "--include_source_info",
        ],
        files,
    )
    # A file without a service would get gRPC stubs that hold nothing.
    _compile(
        [f"--grpc_python_out={output}", f"--mypy_grpc_out={output}"],
        [name for name in files if name.endswith("_service.proto")],
    )
    (package / "py.typed").touch()


def find_stale_files(output: Path) -> list[str]:
    """Return the files of the package below `output` that are missing, changed, or no longer generated."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        expected, found = _contents(fresh / PACKAGE), _contents(output / PACKAGE)
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def _contents(package: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in package.glob("*") if path.is_file()}


def _compile(options: Sequence[str], files: Sequence[str]) -> None:
    plugin = Path(sysconfig.get_path("scripts")) / "protoc-gen-mypy_grpc"
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            f"--plugin=protoc-gen-mypy_grpc={plugin}",
            f"-I{PROTOS}",
            *options,
            *files,
        ],
        check=True,
    )


def main() -> int:
    """Generate, or check, the folder given by `--output`, by default `generated/` of this checkout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PROTOS.parent / "generated", metavar="FOLDER")
    parser.add_argument(
        "--check", action="store_true", help="only tell which files are stale; exit 1 if any is"
    )
    arguments = parser.parse_args()
    output: Path = arguments.output.resolve()
    if not arguments.check:
        generate(output)
        return 0
    stale = find_stale_files(output)
    for name in stale:
        print(f"{PACKAGE / name} differs from the contract: run `make generate` and commit the result.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
