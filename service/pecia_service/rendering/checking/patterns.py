"""Regular expressions over Unicode properties, of one Unicode version on every Python."""

from __future__ import annotations

import regex


def compile_pattern(source: str) -> regex.Pattern[str]:
    """Compile a pattern of the `regex` package, version 1: sets within sets, properties, atomic groups."""
    return regex.compile(source, regex.VERSION1)
