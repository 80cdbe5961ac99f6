"""Results as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from load.result import BUSY, Result

_HEAD: Final = (
    *("RUN", "REQUESTS", "CALLS/S", "RENDERS/S", "P50", "P90", "P99", "P99.9", "MAX"),
    *("FAILED", "LATE", "SERVER CPU", "RENDERS/CPU-S", "GENERATOR"),
)


def table(results: Sequence[Result]) -> str:
    """Return a line for each run; latencies are in milliseconds."""
    rows = [_HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def notes(results: Sequence[Result]) -> Iterator[str]:
    """Yield what a reader of the table must know: what failed, and what limits what the figures say."""
    for result in results:
        name = result.plan.name
        for label, times in result.errors.items():
            yield f"{name}: {times:,} x {label}"
        if result.unfinished:
            yield f"{name}: {result.unfinished:,} unfinished when the drain time was over"
        if result.not_begun:
            yield f"{name}: {result.not_begun:,} never begun: all callers were waiting"
        if result.unfinished or result.not_begun:
            yield f"{name}: the highest latencies are at least what is shown"
        if result.busiest >= BUSY:
            yield (
                f"{name}: a generator process used {result.busiest:.0%} of a processor and may be what "
                "limits the rate: try more --processes"
            )
        if result.late and result.rate < 0.99 * (result.plan.rate or 0.0):
            yield f"{name}: the rate was not reached; give more --callers, or less --rate"


def _row(result: Result) -> tuple[str, ...]:
    latency = result.latency
    renders = result.plan.renders_per_call > 0
    per_cpu = result.renders_per_cpu_second if renders else None
    return (
        result.plan.name,
        f"{result.requests:,}",
        f"{result.rate:,.1f}",
        f"{result.renders_rate:,.1f}" if renders else "-",
        *(
            f"{seconds * 1000:.2f}"
            for seconds in (latency.p50, latency.p90, latency.p99, latency.p999, latency.max)
        ),
        f"{result.failed:,}",
        "-" if result.plan.rate is None else f"{result.late:,}",
        "-" if result.server_cpu is None else f"{result.server_cpu:.2f} s",
        "-" if per_cpu is None else f"{per_cpu:,.0f}",
        f"{result.busiest:.0%}",
    )
