"""The commands that make this process a supervisor, and that start its workers: fresh interpreters."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from pecia_service.settings import SETTINGS


def supervisor_command() -> list[str]:
    """Return the command of a supervisor; it takes its settings from the environment."""
    return [*_interpreter(), "pecia_service.server.workers"]


def worker_command(index: int, end: int) -> list[str]:
    """Return the command of a worker, whose link to the supervisor is the file descriptor `end`."""
    return [*_interpreter(), "pecia_service.cli.main", "serve", "--worker", f"{index}:{end}"]


def with_settings(environment: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with settings, by their names, put above those that are in it."""
    chosen = {setting.env: values[setting.name] for setting in SETTINGS if setting.name in values}
    return {**environment, **chosen}


def _interpreter() -> list[str]:
    # -m would import from the working directory too, also where this process does not.
    safe = [] if os.getcwd() in sys.path else ["-P"]
    return [sys.executable, *safe, "-m"]
