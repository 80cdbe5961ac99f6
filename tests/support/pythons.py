"""Other Python interpreters on this machine, with what the pure core needs."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.checkout import ROOT

SUPPORTED: Final = ((3, 11), (3, 12), (3, 13), (3, 14))
# What rendering from a directory imports; the server's packages would only cost time.
PURE_CORE: Final = frozenset({"orjson", "pyyaml", "rfc8785", "unicodedata2"})
_CACHE: Final = ROOT / ".cache" / "pythons"
_INTRODUCE: Final = (
    "import sys; print(sys.implementation.name, *sys.version_info[:2], sys.executable, sep='\\n')"
)


@dataclass(frozen=True, order=True)
class Interpreter:
    """A Python that was run and told its version."""

    version: tuple[int, int]
    executable: Path

    @property
    def name(self) -> str:
        """The version as people write it, such as 3.13."""
        return f"{self.version[0]}.{self.version[1]}"


def find_other_pythons() -> list[Interpreter]:
    """Return one working CPython of every supported minor version but the running one, oldest first."""
    found: dict[tuple[int, int], Interpreter] = {}
    for candidate in _candidates():
        interpreter = _introduce(candidate)
        if interpreter is not None and interpreter.version in SUPPORTED:
            found.setdefault(interpreter.version, interpreter)
    found.pop(sys.version_info[:2], None)
    return sorted(found.values())


def prepare(interpreter: Interpreter) -> Path:
    """Return the program of a virtual environment with the pure core's packages; it is kept for next time.

    Raises `subprocess.CalledProcessError`, with pip's output shown, when the packages can't be installed.
    """
    requirements = pure_core_requirements()
    digest = hashlib.sha256("\n".join([str(interpreter.executable), *requirements]).encode()).hexdigest()
    folder = _CACHE / f"{interpreter.name}-{digest[:16]}"
    program = folder / "bin" / "python"
    if not program.exists():
        # Made under another name first, so that an interrupted installation is never taken for a whole one.
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        subprocess.run([interpreter.executable, "-m", "venv", unfinished], check=True)
        install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"]
        subprocess.run([unfinished / "bin" / "python", *install, *requirements], check=True)
        _publish(unfinished, folder)
    return program


def pure_core_requirements() -> list[str]:
    """Return the project's own requirements for the packages of the pure core."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [line for line in project["dependencies"] if _package(line) in PURE_CORE]


def _package(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()


def _publish(unfinished: Path, folder: Path) -> None:
    try:
        unfinished.rename(folder)
    except OSError:
        # Another run was faster; both are the same.
        shutil.rmtree(unfinished)


def _candidates() -> Iterator[Path]:
    for version in SUPPORTED:
        for folder in os.get_exec_path():
            yield Path(folder) / f"python{version[0]}.{version[1]}"
    for root in (os.environ.get("PYENV_ROOT"), "~/.pyenv"):
        if root:
            yield from sorted(Path(root).expanduser().glob("versions/3.*/bin/python3"), reverse=True)


def _introduce(candidate: Path) -> Interpreter | None:
    """Run a candidate: a pyenv shim of a version that isn't selected exists but doesn't work."""
    if not os.access(candidate, os.X_OK):
        return None
    answer = subprocess.run([candidate, "-c", _INTRODUCE], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return None
    implementation, major, minor, executable = answer.stdout.splitlines()
    return Interpreter((int(major), int(minor)), Path(executable)) if implementation == "cpython" else None
