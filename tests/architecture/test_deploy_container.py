"""The container file is sound, and what it copies is all that a wheel and a server need."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.checkout import ROOT, repository_files
from support.deploy import DEPLOY, instructions

CONTAINERFILE = DEPLOY / "Containerfile"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECONDS = 60.0
EXAMPLE = ROOT / "docs" / "examples" / "companion"
RENDER = ["render", "companion@1.2.0", "--payload", str(EXAMPLE / "payloads" / "calm-evening.json")]


def values(name: str) -> list[str]:
    """Return the arguments of all instructions of a name."""
    return [rest for instruction, rest in instructions(CONTAINERFILE) if instruction == name]


def let_into_the_build() -> list[Path]:
    """Return the files that .dockerignore, a list of exceptions to everything, lets through."""
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert ["*", "**/__pycache__", "**/*.pyc"] == [line for line in patterns if not line.startswith("!")]
    allowed = {line.removeprefix("!") for line in patterns if line.startswith("!")}
    return [path for path in repository_files() if path.parts[0] in allowed]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what a wheel installs that was made of the container's sources alone."""
    folder = tmp_path_factory.mktemp("container")
    sources = {
        word.removeprefix("./") for line in values("COPY") for word in line.split()[:-1] if "--" not in line
    }
    for path in let_into_the_build():
        if path.parts[0] in sources:
            (folder / "src" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, folder / "src" / path)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder / "wheels"), str(folder / "src")]
    subprocess.run(wheel, check=True)
    (built,) = (folder / "wheels").iterdir()
    target = [*pip, "install", "--no-deps", "--no-index", "--target", str(folder / "installed"), str(built)]
    subprocess.run(target, check=True)
    return folder / "installed"


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the installed program, which finds its own package before that of the checkout."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(installed / "bin" / "pecia"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


def test_the_linter_has_nothing_to_say() -> None:
    """Neither hadolint nor its shell checks."""
    program = Path(sysconfig.get_path("scripts")) / "hadolint"
    linted = subprocess.run(
        [program, "--no-color", CONTAINERFILE], capture_output=True, text=True, check=False
    )
    assert (0, "") == (linted.returncode, linted.stdout + linted.stderr)


def test_it_runs_as_a_number_other_than_root() -> None:
    """That owns the one folder it writes to."""
    (volume,) = values("VOLUME")
    assert (["10001:10001"], volume) == (values("USER"), values("WORKDIR")[-1])
    assert f"install --directory --owner=10001 --group=10001 --mode=0700 {volume}" in values("RUN")


def test_it_needs_no_shell_to_start_and_to_stop() -> None:
    """The server itself gets the signal."""
    assert (['["pecia"]'], ['["serve"]'], ["SIGTERM"]) == (
        values("ENTRYPOINT"),
        values("CMD"),
        values("STOPSIGNAL"),
    )


def test_both_stages_have_the_same_interpreter() -> None:
    """The virtual environment of the first points to it."""
    bases = [line.split()[0] for line in values("FROM")]
    assert (2, 1) == (len(bases), len(set(bases)))


def test_the_wheel_has_its_own_modules(installed: Path, tmp_path: Path) -> None:
    """So that the tests below run what was installed, and not the checkout."""
    found = subprocess.run(
        [sys.executable, "-c", "import pecia_service; print(pecia_service.__file__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert installed / "pecia_service" / "__init__.py" == Path(found.stdout.strip())


def test_the_installed_program_renders_to_the_byte(installed: Path, tmp_path: Path) -> None:
    """The prompt whose checksum the README shows."""
    rendered = run(installed, tmp_path, *RENDER, "--offline", str(EXAMPLE))
    assert hashlib.sha256(rendered.stdout).hexdigest() in README


async def test_the_installed_program_serves(installed: Path, tmp_path: Path) -> None:
    """And stops on SIGTERM with exit code 0, without a file outside of its folder."""
    stub: Any = health_pb2_grpc.HealthStub
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(installed / "bin" / "pecia"), "serve", "--listen", "127.0.0.1:0"),
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stderr.readline(), SECONDS)
        assert b'"serving"' in line, line + await process.stderr.read()
        log = json.loads(line)
        async with aio.insecure_channel(log["listen"]) as channel:
            answer = await stub(channel).Check(health_pb2.HealthCheckRequest())
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (health_pb2.HealthCheckResponse.SERVING, 0) == (answer.status, process.returncode)


def test_the_installed_program_migrates(installed: Path, tmp_path: Path) -> None:
    """The migrations are in the wheel."""
    migrated = run(installed, tmp_path, "migrate", "--database-url", "sqlite:///pecia.db")
    assert (0, b"migrated from an empty database") == (migrated.returncode, migrated.stdout[:31])
