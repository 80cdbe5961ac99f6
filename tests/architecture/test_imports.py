"""The arrows of the architecture, as import-linter contracts in pyproject.toml."""

import subprocess
import sysconfig
from pathlib import Path

from support.checkout import ROOT


def test_every_import_contract_is_kept() -> None:
    """No module imports against the arrows, and every module of the service has a layer."""
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"
    run = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
