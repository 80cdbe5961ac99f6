"""The commands of supervisors and workers."""

import os
import sys

import pytest
from pecia_service.cli.failures import ExitCode
from pecia_service.server.workers.command import supervisor_command, with_settings, worker_command
from pecia_service.server.workers.supervisor import REFUSED, TOLD


def test_flags_go_before_the_environment() -> None:
    """A worker has the settings that its service was started with; the rest of the environment stays."""
    environment = {"PECIA_LISTEN": "127.0.0.1:1", "HOME": "/root"}
    assert {"PECIA_LISTEN": "127.0.0.1:2", "HOME": "/root", "PECIA_AUDIT_SINK": "null"} == with_settings(
        environment, {"listen": "127.0.0.1:2", "audit_sink": "null"}
    )


def test_workers_import_from_the_working_directory_only_if_their_service_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """-m alone would: a folder of somebody's modules would come before the installed ones."""
    elsewhere = [part for part in sys.path if part != os.getcwd()]
    monkeypatch.setattr(sys, "path", elsewhere)
    installed = (supervisor_command(), worker_command(3, 9))
    monkeypatch.setattr(sys, "path", [os.getcwd(), *elsewhere])
    assert (["-P", "-m"], ["-P", "-m"], "-m") == (
        installed[0][1:3],
        installed[1][1:3],
        supervisor_command()[1],
    )


def test_exit_codes_mean_what_they_mean_on_the_command_line() -> None:
    """The supervisor imports nothing of the command line, but speaks for it."""
    told: set[int] = {ExitCode.INVALID, ExitCode.REFUSED, ExitCode.UNAVAILABLE}
    assert (told, int(ExitCode.REFUSED)) == (set(TOLD), REFUSED)
