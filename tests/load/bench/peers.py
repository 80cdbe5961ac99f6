"""Prompt registries that would be used instead, on the same prompt."""

from __future__ import annotations

from load.bench.bench import Bench


def peers(bench: Bench) -> None:
    """Measure the peers."""
