"""Measure Pecia against its floor, its own other settings, and what would be used instead of it.

Everything runs on this machine, in rounds that take turns, and is compared as ratios; the last table says of
each target whether it is met.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from load.bench import plots, report
from load.bench.bench import FULL, QUICK, Bench, Results
from load.bench.engines import engines
from load.bench.figures import Row
from load.bench.markers import write_between
from load.bench.peers import peers
from load.bench.processors import Shares, within
from load.bench.serving import bulk, cold, floor, replay
from load.bench.stores import Databases
from load.bench.storing import stored
from load.bench.targets import judge
from load.bench.verifying import verifying
from load.bench.workers import workers

PARTS: Final[Mapping[str, Callable[[Bench], None]]] = {
    "floor": floor,
    "bulk": bulk,
    "cold": cold,
    "replay": replay,
    "verify": verifying,
    "renderers": engines,
    "stored": stored,
    "workers": workers,
    "peers": peers,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for, and print their tables."""
    parser = argparse.ArgumentParser(prog="make bench ARGS='...'", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes, to try it out: wide spreads")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part (may be repeated)")
    parser.add_argument("--rounds", type=int, help="rounds in which the variants take turns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write the tables between the markers of a document, and plots",
    )
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.rounds:
        scale = replace(scale, rounds=options.rounds)
    if options.write and options.only:
        parser.error("--write takes the figures of all parts: leave --only out")
    form = f"in the {'quick' if options.quick else 'full'} form with {scale.rounds} rounds"
    begun = time.monotonic()
    failed = False

    def progress(message: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {message}", file=sys.stderr, flush=True)

    # What was started is stopped also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results = Results()
    shares = Shares.of_machine()
    with TemporaryDirectory(prefix="pecia-bench-") as folder, within(shares.others):
        databases = Databases(Path(folder))
        try:
            bench = Bench(scale, shares, databases, results, progress)
            for name in options.only or PARTS:
                progress(f"== {name}")
                try:
                    PARTS[name](bench)
                except Exception as error:  # noqa: BLE001 - what the other parts measured must not be lost
                    traceback.print_exc()
                    failed = True
                    results.rows.append(Row(f"Part {name}", name, "", missing=f"it failed: {error}"))
        finally:
            databases.close()
    about, judged = report.machine(form), judge(results.rows)
    if options.json:
        options.json.write_text(
            report.document(about, results.rows, judged, results.details), encoding="utf-8"
        )
    if options.write and not failed:
        folder = options.write.with_suffix("")
        drawn = {
            section: f"{folder.name}/{file.name}"
            for section, file in plots.draw(results.rows, folder).items()
        }
        write_between(
            options.write, report.BEGIN, report.END, report.markdown(about, results.rows, judged, drawn)
        )
    print(report.text(about, results.rows, judged))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
