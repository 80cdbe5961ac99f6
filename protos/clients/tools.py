"""The tools that generate clients: finding them, keeping pinned ones in a folder, and running them."""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PROTOS: Final = ROOT / "protos"


class MissingToolError(Exception):
    """A program that has to be installed by hand is not there: which one, and how to get it."""

    def __init__(self, tool: str, how_to_get: str) -> None:
        super().__init__(f"{tool} is missing: {how_to_get}")
        self.tool = tool
        self.how_to_get = how_to_get


class ToolError(Exception):
    """A tool ended with an exit code other than 0; what it said is in the message."""


def find(tool: str, how_to_get: str) -> Path:
    """Return the path of a program on PATH.

    Raises `MissingToolError` when there is none.
    """
    found = shutil.which(tool)
    if found is None:
        raise MissingToolError(tool, how_to_get)
    return Path(found)


def run(command: Sequence[str | Path], cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed to stdout.

    `environment` is added to this process's own. Raises `ToolError` with the command and what it said
    when its exit code is not 0.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
        words = " ".join(str(word) for word in command)
        raise ToolError(f"`{words}` ended with exit code {done.returncode}:\n{said}")
    return done.stdout


def pin(tools: Path, name: str, version: str, install: Callable[[Path], None]) -> Path:
    """Return the folder of a tool's version below `tools`, which `install` fills if it is not there yet.

    A folder exists only whole: an installation that fails or is interrupted leaves none, so the next one
    starts anew. What is installed must not care that its folder is moved once.
    """
    folder = tools / f"{name}-{version}"
    if folder.is_dir():
        return folder
    tools.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=tools))
    try:
        install(unfinished)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(folder)
        except OSError:
            # Another process has finished first; both have installed the same.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def buf_generate(template: Path, output: Path, *folders: Path, source: Path = PROTOS) -> None:
    """Generate from the contract into `output` by a template of buf, with plugins from folders before PATH.

    `source` is another folder of .proto files to generate from.

    Raises `ToolError` with what buf or a plugin said when it fails.
    """
    beside = Path(sysconfig.get_path("scripts")) / "buf"
    buf = beside if beside.exists() else find("buf", "pip install -e '.[dev]', which `make` does by itself")
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    run(
        [buf, "generate", source, "--template", template, "--output", output],
        environment={"PATH": path},
    )
