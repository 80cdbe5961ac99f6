"""The results as text for a terminal, as Markdown for the document, and as JSON."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import grpc
import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from load.bench.figures import Figure, Row
from load.bench.targets import Judged
from pecia_service.server.loop import loop_factory
from support.checkout import ROOT
from support.postgres import PostgresUnavailableError, find_binaries

BEGIN: Final = "<!-- figures: written by `make bench` -->"
END: Final = "<!-- end of the figures -->"

_ROW_HEAD: Final = ("What", "Per CPU-second", "Per second", "Ratio", "By the clock", "Against", "Notes")
_TARGET_HEAD: Final = ("Target", "Bound", "Measured", "By the clock", "Verdict")


def machine(form: str) -> dict[str, str]:
    """Return when, how and on what the figures were taken; nothing names the machine or its places."""
    try:
        postgres = subprocess.run(
            [find_binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
    except PostgresUnavailableError:
        postgres = "none"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "taken": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "form": form,
        "commit": commit or "unknown",
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "loop": "asyncio" if loop_factory() is None else "uvloop",
        "sqlite": sqlite3.sqlite_version,
        "postgresql": postgres,
    }


def text(about: Mapping[str, str], rows: Sequence[Row], judged: Sequence[Judged]) -> str:
    """Return the tables for a terminal; that of the targets is the last."""
    parts = [", ".join(f"{name} {value}" for name, value in about.items())]
    for section, members in groupby(rows, key=lambda row: row.section):
        parts.append(f"{section}\n{_columns(_ROW_HEAD, [_cells(row) for row in members])}")
    parts.append(f"Targets\n{_columns(_TARGET_HEAD, [_target_cells(item) for item in judged])}")
    return "\n\n".join(parts)


def markdown(
    about: Mapping[str, str], rows: Sequence[Row], judged: Sequence[Judged], plots: Mapping[str, str]
) -> str:
    """Return the tables for the document, that of the targets first, and with each section its plot."""
    blocks = [
        provenance(about),
        "### Targets",
        _table(_TARGET_HEAD, [_target_cells(item) for item in judged]),
    ]
    for section, members in groupby(rows, key=lambda row: row.section):
        blocks += [f"### {section}", _table(_ROW_HEAD, [_cells(row) for row in members])]
        if section in plots:
            blocks.append(f"![{section}]({plots[section]})")
    return "\n\n".join(blocks)


def provenance(about: Mapping[str, str]) -> str:
    """Return what `machine` tells as a list in Markdown."""
    return (
        f"- Taken: {about['taken']}, at commit {about['commit']}, {about['form']}\n"
        f"- Machine: {about['cores']} cores ({about['processor']}), {about['memory']}, {about['system']}\n"
        f"- Software: Python {about['python']}, grpcio {about['grpcio']} on {about['loop']}, "
        f"SQLite {about['sqlite']}, PostgreSQL {about['postgresql']}"
    )


def document(
    about: Mapping[str, str], rows: Sequence[Row], judged: Sequence[Judged], details: Mapping[str, object]
) -> str:
    """Return everything as JSON."""
    results: dict[str, Any] = {
        "machine": about,
        "targets": [
            {
                "target": item.target.text,
                "bound": item.target.bound,
                "measured": asdict(item.figure) if item.figure else None,
                "by_the_clock": asdict(item.wall) if item.wall else None,
                "verdict": item.verdict,
            }
            for item in judged
        ],
        "rows": [asdict(row) for row in rows],
        "details": details,
    }
    return json.dumps(results, indent=2, ensure_ascii=False) + "\n"


def _cells(row: Row) -> Sequence[str]:
    if row.missing:
        return (row.name, "not measured", "", "", "", "", row.missing)
    return (
        row.name,
        _amount(row.rate, row.unit),
        _amount(row.wall, ""),
        _ratio(row.ratio),
        _ratio(row.wall_ratio),
        row.against,
        row.note,
    )


def _target_cells(item: Judged) -> Sequence[str]:
    target = item.target
    if item.figure is None:
        measured = ""
    elif target.against:
        measured = _ratio(item.figure)
    else:
        measured = _amount(item.figure, target.unit.strip())
    return (target.text, target.bound, measured, _ratio(item.wall), item.verdict)


def _amount(figure: Figure | None, unit: str) -> str:
    """Show a median with its quartiles."""
    if figure is None:
        return ""
    spread = f" ({_number(figure.low)} to {_number(figure.high)})" if figure.samples > 1 else ""
    return f"{_number(figure.median)} {unit}".rstrip() + spread


def _ratio(figure: Figure | None) -> str:
    if figure is None:
        return ""
    spread = f" ({figure.low:.3g} to {figure.high:.3g})" if figure.samples > 1 else ""
    return f"{figure.median:.3g}×{spread}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _columns(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[index]) for line in (head, *lines)) for index in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *lines)
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpuinfo.exists():
        found = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return platform.machine()
