"""One worker and two: renders per second of processor time, which no load generator takes away."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from load.bench import works
from load.bench.bench import Bench, Lap
from load.bench.rounds import interleave
from load.bench.servers import pecia
from load.bench.serving import ENGINES, closed_by, published

SECTION: Final = "Workers (all processors shared with the callers)"

_CALLERS: Final = 32
_CONNECTIONS: Final = 16


def one(engine: str) -> str:
    """Name the row of one worker on an engine."""
    return f"one worker, {engine}"


def two(engine: str) -> str:
    """Name the row of two workers on an engine."""
    return f"two workers, {engine}"


def workers(bench: Bench) -> None:
    """Compare one worker with two, each free to use every processor."""
    work = works.render()
    with ExitStack() as stack:
        laps = {}
        for engine in ENGINES:
            for name, count in ((one(engine), 1), (two(engine), 2)):
                store = published(bench, stack, engine)
                server = stack.enter_context(pecia(store.url, bench.shares.all, workers=count))
                laps[name] = Lap(bench, server, work, callers=_CALLERS, connections=_CONNECTIONS, store=store)
        measured = interleave(closed_by(stack, laps), bench.scale.rounds, bench.progress)
        for engine in ENGINES:
            bench.results.rows.append(measured.row(SECTION, one(engine), "renders", note="audit on"))
            bench.results.rows.append(
                measured.row(
                    SECTION,
                    two(engine),
                    "renders",
                    against=one(engine),
                    note="by the clock they are not judged: callers and database need processors too",
                )
            )
