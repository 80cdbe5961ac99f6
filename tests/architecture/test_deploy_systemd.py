"""The systemd unit holds what systemd understands, and settings that a server accepts."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pecia_service.server.workers.__main__ import patience
from pecia_service.settings import Settings
from support.deploy import DEPLOY, environment_file, unit_settings

UNIT = DEPLOY / "pecia.service"
ENVIRONMENT = DEPLOY / "pecia.env.example"


def unit_environment() -> dict[str, str]:
    """Return the variables that the unit sets by itself."""
    words = [
        word for _, name, value in unit_settings(UNIT) if name == "Environment" for word in value.split()
    ]
    return dict(word.split("=", 1) for word in words if word.startswith("PECIA_"))


@pytest.fixture
def systemd_analyze() -> str:
    """Give the program; a CI machine must have it."""
    program = shutil.which("systemd-analyze")
    if "CI" in os.environ:
        assert program is not None, "install systemd, which brings systemd-analyze"
    if program is None:
        pytest.skip("no systemd-analyze on this machine; install systemd to check deploy/pecia.service")
    return program


def analyze(program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze on a copy of the unit whose program exists on this machine."""
    unit = folder / UNIT.name
    text = re.sub(
        r"(?<=^ExecStart=)\S+", sys.executable, UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    unit.write_text(text, encoding="utf-8")
    command = [program, *arguments, str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_accepts_the_unit(systemd_analyze: str, tmp_path: Path) -> None:
    """Without a warning: systemd only warns of an unknown or misspelt line, and goes on without it."""
    run = analyze(systemd_analyze, tmp_path, "verify", "--recursive-errors=no")
    assert (0, "") == (run.returncode, run.stderr)


def test_systemd_rates_the_unit_as_shut_off(systemd_analyze: str, tmp_path: Path) -> None:
    """An exposure of 2.0 of 10 at most; a unit without any of its restrictions has 9.6."""
    run = analyze(systemd_analyze, tmp_path, "security", "--offline=true", "--threshold=20", "--no-pager")
    assert 0 == run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize("whole", [False, True], ids=["as it is", "with all that is commented out"])
def test_the_unit_and_its_file_make_settings(whole: bool) -> None:
    """The example works as it is, and when each of its lines is taken."""
    environment = unit_environment() | environment_file(ENVIRONMENT, whole=whole)
    assert whole == Settings.load(environment).authenticated


def test_the_unit_waits_longer_than_the_server() -> None:
    """Calls, records and spans get the grace one after the other, and a supervisor more than them."""
    settings = Settings.load(unit_environment() | environment_file(ENVIRONMENT, whole=True))
    (timeout,) = [int(value) for _, name, value in unit_settings(UNIT) if name == "TimeoutStopSec"]
    assert timeout > patience(replace(settings, tracing=True)) > 3 * settings.shutdown_grace


def test_the_unit_keeps_the_spool_in_its_state_directory() -> None:
    """All else is read-only for it."""
    settings = Settings.load(unit_environment() | environment_file(ENVIRONMENT))
    (directory,) = [value for _, name, value in unit_settings(UNIT) if name == "StateDirectory"]
    assert Path("/var/lib") / directory in Path(settings.audit_spool_dir).parents
