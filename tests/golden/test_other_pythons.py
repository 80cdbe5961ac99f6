"""The same bytes and hashes in every process: whatever the hash seed, the locale, or the Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkout import ROOT, SERVICE
from support.pythons import find_other_pythons, prepare

PROGRAM = ROOT / "tests" / "golden" / "hashes.py"
# An ASCII-only process: without the last two, Python would turn LC_ALL=C into UTF-8 by itself.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def hashes(python: Path, **environment: str) -> bytes:
    """Return what the hash program prints under a Python, in an environment of nothing else."""
    base = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(SERVICE)}
    command = [str(python), "-W", "error", str(PROGRAM)]
    return subprocess.run(command, env=base | environment, stdout=subprocess.PIPE, check=True).stdout


@pytest.fixture(scope="module")
def expected() -> bytes:
    """Give what this Python prints by default."""
    return hashes(Path(sys.executable))


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_hash_seed_changes_nothing(expected: bytes, seed: str) -> None:
    """The order of sets and dictionaries of strings reaches no byte."""
    assert hashes(Path(sys.executable), PYTHONHASHSEED=seed) == expected


@pytest.mark.parametrize("environment", [ASCII, {"LC_ALL": "C.UTF-8"}], ids=["ascii", "utf-8"])
def test_locale_changes_nothing(expected: bytes, environment: dict[str, str]) -> None:
    """Files are read and text is made alike where the locale knows ASCII only."""
    assert hashes(Path(sys.executable), **environment) == expected


def test_python_version_changes_nothing(expected: bytes) -> None:
    """Every supported Python on this machine gives the same bytes; a CI machine must have Python 3.13."""
    others = find_other_pythons()
    if "CI" in os.environ:
        assert (3, 13) in {sys.version_info[:2], *(python.version for python in others)}
        assert others != []
    if not others:
        pytest.skip("no other supported Python on PATH or in pyenv; install Python 3.13 to run this")
    results = {python.name: hashes(prepare(python)) for python in others}
    assert results == dict.fromkeys(results, expected)
