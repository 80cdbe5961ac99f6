"""Put load on a Pecia server, check every answer, and say how long answers took."""

from __future__ import annotations

import sys
from pathlib import Path

# Run as a file, this folder would be on the path, in which `load` is this file and not the package.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import asyncio
import itertools
import json
import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import click
import grpc
from load.cpu import listeners
from load.options import connection_options, connection_to, settings_of
from load.plan import Connection, Kind, Plan, PlanError
from load.profiles import NAMES
from load.progress import Display
from load.result import FORMAT, Result
from load.runner import LoadError, run
from load.schedule import clock
from load.serving import Served, echoing, serving
from load.table import notes, table

EXIT_FAILED: Final = 1
EXIT_IMPOSSIBLE: Final = 3
EXIT_INTERRUPTED: Final = 130
MAX_RUNS: Final = 64


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@connection_options
@click.option(
    "--serve",
    "own",
    is_flag=True,
    help="Start a server of its own: an empty SQLite file, no TLS, no credentials.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of that server, such as workers=2 or audit_sink=null.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([kind.value for kind in Kind]),
    default=["render"],
    help="What a call asks for.",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Choice(NAMES),
    default=["short"],
    help="What is rendered.",
)
@click.option(
    "--callers", multiple=True, type=int, default=[16], metavar="N", help="Calls in flight at most."
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    type=float,
    metavar="N",
    help="Open loop: calls that are due each second.",
)
@click.option("--processes", type=int, default=1, metavar="N", help="Processes that make the calls.")
@click.option("--connections", type=int, metavar="N", help="Connections in all.  [default: up to 8]")
@click.option("--seconds", type=float, default=10.0, metavar="N", help="How long is measured.")
@click.option("--requests", type=int, metavar="N", help="Measure so many calls, however long it takes.")
@click.option(
    "--warmup", type=float, default=2.0, metavar="SECONDS", help="Calls before that, which don't count."
)
@click.option("--batch", type=int, default=64, metavar="N", help="Renders in a call of kind batch.")
@click.option("--window", type=int, default=16, metavar="N", help="Requests in flight on each stream.")
@click.option("--bundles", type=int, default=1, metavar="N", help="Copies of the bundle, rendered in turn.")
@click.option("--validate-only", is_flag=True, help="Ask for renders that are not recorded.")
@click.option("--timeout", type=float, default=10.0, metavar="SECONDS", help="Deadline of a call.")
@click.option(
    "--drain", type=float, default=10.0, metavar="SECONDS", help="How long to wait for the last answers."
)
@click.option("--interval", type=float, default=1.0, metavar="SECONDS", help="How often to look.")
@click.option("--no-publish", is_flag=True, help="The server has the profile already.")
@click.option(
    "--server-pid",
    type=int,
    multiple=True,
    metavar="PID",
    help="Whose processor time is measured.  [default: who listens on --target]",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the results as JSON.",
)
@click.option(
    "--plot",
    "prefix",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PREFIX",
    help="Write PREFIX.svg and PREFIX.png.",
)
def main(
    *,
    own: bool,
    settings: Sequence[str],
    kinds: Sequence[str],
    profiles: Sequence[str],
    callers: Sequence[int],
    rates: Sequence[float],
    no_publish: bool,
    server_pid: Sequence[int],
    json_file: Path | None,
    prefix: Path | None,
    target: str,
    **given: Any,
) -> None:
    """Put load on a Pecia server, check every answer by status and hash, and say how long answers took.

    --kind, --profile, --callers and --rate can be given several times; every combination is a run, one
    after the other. Without --rate the loop is closed: a caller sends its next call when the last one is
    answered. With it calls are due at fixed times, and a latency counts from when its call was due.

    The exit code is 0 if every answer was right, 1 if one was not, 3 if a run was not possible.

    \b
    Examples:
      load.py --serve --kind render --kind batch --callers 1 --callers 64
      load.py --serve --set workers=2 --processes 2 --callers 64 --json load.json --plot load
      load.py --target 127.0.0.1:50051 --rate 2000 --callers 256 --seconds 60
    """
    connection = connection_to(target)
    if settings and not own:
        raise click.UsageError("--set is for the server that --serve starts")
    try:
        plans = _plans(kinds, profiles, callers, rates, given)
    except PlanError as error:
        raise click.UsageError(str(error)) from None
    if len(plans) > MAX_RUNS:
        raise click.UsageError(f"these are {len(plans)} runs; at most {MAX_RUNS} can be made at once")
    results: list[Result] = []
    work = _runs(
        plans,
        connection,
        settings=settings_of(settings) if own else None,
        server_pids=list(server_pid),
        publish=not no_publish,
        results=results,
    )
    code = 0
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except LoadError as error:
        click.echo(f"load: {error}", err=True)
        code = EXIT_IMPOSSIBLE
    _show(results, json_file, prefix)
    sys.exit(code or (EXIT_FAILED if any(result.failed for result in results) else 0))


def _plans(
    kinds: Iterable[str],
    profiles: Sequence[str],
    callers: Iterable[int],
    rates: Iterable[float],
    given: dict[str, Any],
) -> list[Plan]:
    """Return every combination once; raises PlanError."""
    paces: list[float | None] = [*rates] or [None]
    plans = [
        Plan(kind=Kind(kind), profile=profile, callers=count, rate=rate, **given)
        for kind, profile, count, rate in itertools.product(kinds, profiles, callers, paces)
    ]
    # The floors render nothing: they are the same with each profile.
    return list({plan.name: plan for plan in plans}.values())


async def _runs(
    plans: Iterable[Plan],
    connection: Connection,
    *,
    settings: dict[str, str] | None,
    server_pids: list[int],
    publish: bool,
    results: list[Result],
) -> None:
    """Make the runs one after the other; with settings, against servers that are started for them."""
    display = Display(sys.stderr, clock)
    async with AsyncExitStack() as stack:
        servers: dict[bool, Served] = {}
        for plan in plans:
            to, pids = connection, server_pids or listeners(connection.target)
            if settings is not None:
                floor = plan.kind is Kind.ECHO
                if floor not in servers:
                    start = echoing if floor else serving
                    servers[floor] = await stack.enter_async_context(start(settings))
                to, pids = Connection(target=servers[floor].target), [servers[floor].pid]
            try:
                results.append(await run(plan, to, server_pid=pids, publish=publish, progress=display.show))
            finally:
                display.clear()


def _show(results: Sequence[Result], json_file: Path | None, prefix: Path | None) -> None:
    if not results:
        return
    click.echo(table(results))
    for note in notes(results):
        click.echo(note)
    if json_file is not None:
        json_file.write_text(json.dumps(_document(results), indent=2) + "\n", encoding="utf-8")
    if prefix is not None:
        # It takes a second to import, which nobody waits for who wants no figure.
        from load import plot

        plot.write(results, prefix)


def _document(results: Sequence[Result]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "grpc": grpc.__version__,
        },
        "runs": [result.document() for result in results],
    }


if __name__ == "__main__":
    main()
