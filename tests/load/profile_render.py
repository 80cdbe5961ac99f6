"""Say where the processor time of a warm Render goes, stage by stage, from the echo floor upwards.

The totals are measured on servers in processes of their own, in rounds that take turns: the bare echo, the
echo behind Pecia's interceptor, and Render with audit off and on. Between them stands what each stage takes
alone in this process, over and over. What they leave of a total is what the same work takes more in a
server, where between two calls others have used the processor and its caches, and the way between stages.
Where Linux's perf is installed, a second table says which libraries such calls are spent in, by laps of
its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from load import profile_libraries
from load.bench import sample, works
from load.bench.bench import FULL, Bench, Lap, Results
from load.bench.caller import ask
from load.bench.echo import BARE, EDGE
from load.bench.markers import write_between
from load.bench.processors import Shares, within
from load.bench.report import machine, provenance
from load.bench.rounds import Measured, interleave
from load.bench.servers import echo
from load.bench.serving import closed_by, published, serve
from load.bench.stores import TENANT, Databases, bundle_id
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.codec import encode_record
from pecia_service.audit.store import AuditStore
from pecia_service.bootstrap import system_clock, system_ids
from pecia_service.canonical import sha256_hex
from pecia_service.errors import ErrorReason
from pecia_service.rendering.generator import PromptGenerator, Rendered, RenderOptions
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
from pecia_service.server.convert.outcomes import rendered_to_proto
from pecia_service.server.convert.pieces import payload_from_proto
from pecia_service.server.convert.structs import struct_to_json, unknown_field_numbers
from pecia_service.storage.engine import Database
from pecia_service.storage.schema import migrate

BEGIN: Final = "<!-- profile: written by `make profile` -->"
END: Final = "<!-- end of the profile -->"

_FLOOR: Final = "gRPC itself: the echo floor"
_EDGE: Final = "Pecia's interceptor"
_OFF: Final = "Render, audit off"
_ON: Final = "Render, audit on"
_STREAM: Final = "RenderStream, audit on"

_WINDOW: Final = 32
"""Requests under way on each stream, as in the bench."""

_BATCH: Final = 500
"""As many records as the sink writes in one transaction under load."""


@dataclass(frozen=True)
class Line:
    """One line: microseconds of processor time for each call. A total sums up what is above it."""

    name: str
    microseconds: float
    total: bool = False


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
            _STREAM: Lap(bench, on, works.stream(_WINDOW), callers=2, connections=2, store=store),
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


class Stages:
    """The stages of a render, each of which can be run by itself as often as one likes."""

    def __init__(self, *, repeats: int = 15, loops: int = 1_000) -> None:
        """Time each stage as the best of so many repeats of so many loops."""
        self._repeats = repeats
        self._loops = loops
        self._resolved = sample.resolved(bundle_id(0))
        self._raw = works.request(0).SerializeToString()
        self._request = pb.RenderRequest.FromString(self._raw)
        self._payload = payload_from_proto(self._request.payload)
        self._options = RenderOptions.checked("", "", validate_only=False)
        self._renderer = Renderer()
        pieces = self._resolved.templates.values()
        self._generator = PromptGenerator(
            InlineBundleSource([self._resolved.bundle]),
            InlineTemplateSource(list(pieces)),
            self._renderer,
            _NoSink(),
            clock=system_clock,
            new_id=system_ids(),
        )
        self._rendered = self._render()
        self._response = rendered_to_proto(self._rendered)
        self._record = self._make_record(self._rendered)
        self._body = encode_record(self._record)

    def of_render(self) -> list[Line]:
        """Time what is done whether or not renders are recorded."""
        message, prompt = self._request.payload, self._rendered.prompt
        renderer = self._timed(lambda: self._renderer.render(self._resolved, self._payload))
        prompt_hash = self._timed(lambda: sha256_hex(prompt.encode()))
        traits, reason = message.semantic_traits, ErrorReason.PAYLOAD_INVALID
        unknown = self._timed(lambda: unknown_field_numbers(message))
        read = self._timed(lambda: struct_to_json(traits, "", reason))
        return [
            Line("Decode the request", self._timed(lambda: pb.RenderRequest.FromString(self._raw))),
            Line("Refuse unknown fields", unknown),
            Line("Read the payload's Struct", read),
            Line(
                "Normalise the payload, RFC 8785, SHA-256",
                self._timed(lambda: payload_from_proto(message)) - unknown - read,
            ),
            Line("Fill in and join the four parts", renderer - prompt_hash),
            Line("SHA-256 of the prompt", prompt_hash),
            Line("Receipt: UUIDv7, time", self._timed(self._render) - renderer),
            Line("Write the answer's message", self._timed(lambda: rendered_to_proto(self._rendered))),
            Line("Encode the answer", self._timed(self._response.SerializeToString)),
        ]

    def of_audit(self) -> list[Line]:
        """Time what recording adds."""
        with TemporaryDirectory(prefix="pecia-profile-") as folder:
            frame = fmt.frame(self._body)
            file = os.open(Path(folder) / "spool", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            try:
                append = self._timed(lambda: os.write(file, frame))
            finally:
                os.close(file)
            stored = asyncio.run(self._stored(f"sqlite:///{Path(folder) / 'audit.db'}"))
        return [
            Line("Record and its hash", self._timed(lambda: self._make_record(self._rendered))),
            Line("Record as JSON, CRC-32C", self._timed(lambda: fmt.frame(encode_record(self._record)))),
            Line("Append to the spool", append),
            Line(f"Row in SQLite, {_BATCH} to a transaction", stored),
        ]

    async def _stored(self, url: str) -> float:
        database = Database.open(url)
        try:
            await migrate(database)
            store = AuditStore(database)
            spent = []
            for _ in range(self._repeats):
                records = [self._make_record(self._render()) for _ in range(_BATCH)]
                begun = time.process_time()
                await store.insert_many(records)
                spent.append(time.process_time() - begun)
        finally:
            await database.dispose()
        return median(spent) / _BATCH * 1e6

    def _timed(self, stage: Callable[[], object]) -> float:
        """Return the least processor time of a stage, in microseconds."""
        least = float("inf")
        for _ in range(self._repeats):
            begun = time.thread_time()
            for _ in range(self._loops):
                stage()
            least = min(least, time.thread_time() - begun)
        return least / self._loops * 1e6

    def _render(self) -> Rendered:
        return self._generator.compute(self._resolved, self._payload, self._options)

    def _make_record(self, rendered: Rendered) -> AuditRecord:
        return make_record(
            TENANT,
            rendered.receipt,
            rendered.result,
            self._payload,
            inline=False,
            keep_prompt=True,
            keep_payload=True,
        )


class _NoSink:
    """Keeps nothing."""

    def record(self, *_: object, **_named: object) -> None:
        """Forget what was rendered."""


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
    rows = ["| Stage | µs | Share |", "|---|---:|---:|"]
    for line in found:
        mark = "**" if line.total else ""
        cells = (line.name, f"{line.microseconds:.1f}", f"{line.microseconds / whole:.0%}")
        rows.append(f"| {' | '.join(f'{mark}{cell}{mark}' for cell in cells)} |")
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
