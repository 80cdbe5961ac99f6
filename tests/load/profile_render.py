"""Say where the processor time of a warm Render goes, stage by stage, from the echo floor upwards.

The totals are measured on servers in processes of their own, in rounds that take turns: the bare echo, the
echo behind Pecia's interceptor, and Render with audit off and on. Between them stands what each stage takes
alone in this process (`load.profile_stages`). What they leave of a total is what the same work takes more
in a server, where between two calls other code has had the processor's caches, and the way between stages.
Where Linux's perf is installed, a second table says which libraries such calls are spent in, by laps of
its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from load import profile_libraries
from load.bench import works
from load.bench.bench import FULL, Bench, Lap, Results
from load.bench.caller import ask
from load.bench.echo import BARE, EDGE
from load.bench.markers import write_between
from load.bench.processors import Shares, within
from load.bench.report import machine, provenance
from load.bench.rounds import Measured, interleave
from load.bench.servers import echo
from load.bench.serving import closed_by, published, serve
from load.bench.stores import Databases
from load.profile_stages import Line, Stages

BEGIN: Final = "<!-- profile: written by `make profile` -->"
END: Final = "<!-- end of the profile -->"

_FLOOR: Final = "gRPC itself: the echo floor"
_EDGE: Final = "Pecia's interceptor"
_OFF: Final = "Render, audit off"
_ON: Final = "Render, audit on"
_STREAM: Final = "RenderStream, audit on"

_WINDOW: Final = 4
"""Requests under way on each stream, as in the bench."""


@dataclass(frozen=True)
class Profile:
    """Microseconds of processor time for each call of floor, interceptor and Render, and its libraries.

    `libraries` is a table, or says why there is none.
    """

    totals: Mapping[str, float]
    libraries: str


def measure(rounds: int, seconds: float) -> Profile:
    """Call floor, interceptor and Render on servers of their own."""
    shares = Shares.of_machine()
    with TemporaryDirectory(prefix="pecia-profile-") as folder, ExitStack() as stack:
        stack.enter_context(within(shares.others))
        databases = Databases(Path(folder))
        stack.callback(databases.close)
        scale = replace(FULL, rounds=rounds, lap_seconds=seconds)
        bench = Bench(scale, shares, databases, Results(), partial(print, file=sys.stderr))
        store, unused = published(bench, stack, "SQLite"), published(bench, stack, "SQLite")
        on, off = serve(bench, stack, store), serve(bench, stack, unused, audit_sink="null")
        work = works.render()
        (answer,) = ask(off.target, work.path, work.requests[0])
        echoed = works.echo_of(answer)
        floor, edge = (stack.enter_context(echo(answer, kind, shares.server)) for kind in (BARE, EDGE))
        laps = {
            _FLOOR: Lap(bench, floor, echoed),
            _EDGE: Lap(bench, edge, echoed),
            _OFF: Lap(bench, off, work),
            _ON: Lap(bench, on, work, store=store),
        }
        totals = _per_call(interleave(closed_by(stack, laps), rounds, bench.progress))
        # On connections of their own: the callers answer no ping between laps, and so are given up in time.
        sampled = {
            _FLOOR: Lap(bench, floor, echoed),
            _OFF: Lap(bench, off, work),
            _ON: Lap(bench, on, work, store=store),
            _STREAM: Lap(bench, on, works.stream(_WINDOW), store=store),
        }
        return Profile(totals, _libraries(closed_by(stack, sampled), seconds * rounds))


def _libraries(laps: Mapping[str, Lap], seconds: float) -> str:
    try:
        return profile_libraries.table(
            {name: profile_libraries.measure(lap, seconds) for name, lap in laps.items()}
        )
    except profile_libraries.NoPerfError as error:
        return f"The libraries were not measured: {error}."


def _per_call(measured: Measured) -> dict[str, float]:
    return {name: 1e6 / median(measured.rates(name)) for name in measured.samples}


def lines(measured: Mapping[str, float], of_render: Sequence[Line], of_audit: Sequence[Line]) -> list[Line]:
    """Put totals and stages together; what the stages leave of a total is a line of its own."""

    def rest(total: float, before: float, stages: Sequence[Line]) -> float:
        return total - before - sum(stage.microseconds for stage in stages)

    floor, edge, off, on = (measured[name] for name in (_FLOOR, _EDGE, _OFF, _ON))
    return [
        Line(_FLOOR, floor, total=True),
        Line(_EDGE, edge - floor),
        *of_render,
        Line("The same in a server, and between stages", rest(off, edge, of_render)),
        Line(_OFF, off, total=True),
        *of_audit,
        Line("The same in a server, with the thread of SQLite", rest(on, off, of_audit)),
        Line(_ON, on, total=True),
    ]


def table(found: Sequence[Line]) -> str:
    """Write the lines as a Markdown table; shares are of the last total."""
    whole = found[-1].microseconds
    rows = ["| Stage | µs | Share | µs with cold caches |", "|---|---:|---:|---:|"]
    for line in found:
        mark = "**" if line.total else ""
        cells = [line.name, f"{line.microseconds:.1f}", f"{line.microseconds / whole:.0%}"]
        cold = "" if line.cold is None else f"{line.cold:.1f}"
        rows.append(f"| {' | '.join([*(f'{mark}{cell}{mark}' for cell in cells), cold])} |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="make profile ARGS='...'", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds in which the servers take turns (9)")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of each lap (1)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write it between the document's markers")
    options = parser.parse_args(arguments)
    stages = Stages()
    measured = measure(options.rounds, options.seconds)
    about = provenance(machine(f"with {options.rounds} rounds"))
    found = lines(measured.totals, stages.of_render(), stages.of_audit())
    text = f"{about}\n\n{table(found)}\n\n{measured.libraries}"
    print(text)
    if options.write:
        write_between(options.write, BEGIN, END, text)


if __name__ == "__main__":
    main()
