"""Generate the clients of other languages: each a library project below generated/clients/.

The output is not committed. Run it from the repository's folder: `python -m protos.clients.generate`.
"""

import argparse
import hashlib
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from protos.clients.tools import PROTOS, ROOT, MissingToolError, ToolError

LANGUAGES: Final = ("go", "typescript", "java")
OUTPUT: Final = ROOT / "generated" / "clients"
TOOLS: Final = ROOT / ".venv" / ".clients"
ENVIRONMENT: Final = {"go": ("GO_MODULE",)}
"""The variables that a language's client depends on."""
EXIT_MISSING: Final = 77


class Generator(Protocol):
    """What the module `protos.clients.<language>` holds."""

    @property
    def USE(self) -> str:  # noqa: N802 - it is a constant of the module
        """One line: how a project takes the client in."""

    def generate(self, output: Path, tools: Path) -> None:
        """Replace `output` with a library project, and keep the tools that it takes in `tools`.

        Raises `MissingToolError` when a tool has to be installed by hand, `ToolError` when one fails.
        """


def load(language: str) -> Generator:
    """Return the generator of a language; only its own module and tools have to be there.

    Raises `ToolError` when the module is missing.
    """
    name = f"protos.clients.{language}"
    try:
        return cast("Generator", importlib.import_module(name))
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ToolError(f"protos/clients/{language}.py, which generates the client, is not there") from error


def digest(language: str) -> str:
    """Return a hash of everything that a language's client is made from, the generator itself included."""
    files = [
        *PROTOS.glob("pecia/v1/*.proto"),
        *(PROTOS / "clients" / name for name in ("tools.py", f"{language}.py", f"{language}.gen.yaml")),
        *(PROTOS / "clients" / language).rglob("*"),
    ]
    whole = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(PROTOS)} {content}\n".encode())
    for variable in ENVIRONMENT.get(language, ()):
        whole.update(f"{variable}={os.environ.get(variable, '')}\n".encode())
    return whole.hexdigest()


def generate(language: str, output: Path, tools: Path, if_needed: bool) -> None:
    """Generate one language below `output` and say so; with `if_needed` only if it is not up to date.

    Raises `MissingToolError` and `ToolError` as `load` and the language's generator do.
    """
    project, stamp = output / language, output / f".{language}.stamp"
    made_from = digest(language)
    if if_needed and project.is_dir() and stamp.is_file() and stamp.read_text() == made_from:
        return
    generator = load(language)
    stamp.unlink(missing_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    print(f"{language}: generating ...", flush=True)
    generator.generate(project, tools)
    stamp.write_text(made_from)
    files = sum(path.is_file() for path in project.rglob("*"))
    print(
        f"{language}: {files} files in {project} after {time.monotonic() - started:.0f} s\n  {generator.USE}"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Generate the languages that are asked for; give the exit code: 77 if only tools are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help=f"of {', '.join(LANGUAGES)}; all")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="generated/clients")
    parser.add_argument("--tools", type=Path, default=TOOLS, metavar="FOLDER", help=".venv/.clients")
    parser.add_argument("--if-needed", action="store_true", help="leave what is up to date, and say nothing")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.languages) - set(LANGUAGES))
    if unknown:
        parser.error(f"no client is generated for {', '.join(unknown)}: there are {', '.join(LANGUAGES)}")
    missing: list[str] = []
    failed = False
    for language in arguments.languages or LANGUAGES:
        try:
            generate(language, arguments.output.resolve(), arguments.tools.resolve(), arguments.if_needed)
        except MissingToolError as error:
            print(f"{language}: {error}", file=sys.stderr)
            missing.append(error.tool)
        except ToolError as error:
            print(f"{language}: {error}", file=sys.stderr)
            failed = True
    for tool in missing:
        print(f"missing: {tool}", file=sys.stderr)
    if failed:
        return 1
    return EXIT_MISSING if missing else 0


if __name__ == "__main__":
    sys.exit(main())
