"""Calls over the wire: the floor, renders with and without audit, batches, streams, replays, cold renders."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Final

from load.bench import works
from load.bench.bench import Bench, Lap
from load.bench.caller import Work, ask
from load.bench.echo import BARE, EDGE, MESSAGES
from load.bench.rounds import Sample, interleave
from load.bench.servers import Server, echo, pecia
from load.bench.stores import Store

ENGINES: Final = ("SQLite", "PostgreSQL")
FLOOR: Final = "Echo floor"
RENDER: Final = "Render, audit on, SQLite"
RENDER_OFF: Final = "Render, audit off"
RENDER_POSTGRES: Final = "Render, audit on, PostgreSQL"
RENDER_LABEL: Final = "Render by label, audit on, SQLite"
UNARY: Final = "Render, one by one"
BATCH_64: Final = "RenderBatch of 64"
STREAM: Final = "RenderStream"

_STEPS: Final = {
    FLOOR: BARE,
    "Echo that decodes requests and encodes answers": MESSAGES,
    "Echo behind Pecia's interceptor": EDGE,
}
_BATCHES: Final = (16, 64, 256)
_WINDOW: Final = 32
_FEW_TEMPLATES: Final = 10


def floor(bench: Bench) -> None:
    """Compare Render with the floor, and audit on with off."""
    with ExitStack() as stack:
        stores = {engine: published(bench, stack, engine) for engine in ENGINES}
        off = serve(bench, stack, published(bench, stack, "SQLite"), audit_sink="null")
        on = {engine: serve(bench, stack, store) for engine, store in stores.items()}
        work, label = works.render(), works.render(label=True)
        # Of the same size to the byte as a real answer: it is one.
        (answer,) = ask(off.target, work.path, work.requests[0])
        steps = {
            name: stack.enter_context(echo(answer, kind, bench.shares.server))
            for name, kind in _STEPS.items()
        }
        laps = {
            **{name: Lap(bench, step, works.echo_of(answer)) for name, step in steps.items()},
            RENDER_OFF: Lap(bench, off, work),
            RENDER: Lap(bench, on["SQLite"], work, store=stores["SQLite"]),
            RENDER_POSTGRES: Lap(bench, on["PostgreSQL"], work, store=stores["PostgreSQL"]),
            RENDER_LABEL: Lap(bench, on["SQLite"], label, store=stores["SQLite"]),
        }
        measured = interleave(closed_by(stack, laps), bench.scale.rounds, bench.progress)
        section = "One Render after the other (16 callers)"
        bench.results.rows += [
            measured.row(
                section, FLOOR, "calls", note=f"{len(work.requests[0])} bytes in, {len(answer)} out"
            ),
            *(
                measured.row(section, name, "renders", against=FLOOR, note=laps[name].database_note)
                for name in laps
                if name != FLOOR
            ),
        ]
        bench.results.rows += [
            measured.row("What audit costs", name, "renders", against=RENDER_OFF)
            for name in (RENDER, RENDER_POSTGRES)
        ]


def bulk(bench: Bench) -> None:
    """Compare batches and streams with single renders."""
    with ExitStack() as stack:
        store = published(bench, stack, "SQLite")
        server = serve(bench, stack, store)

        def lap(work: Work, callers: int) -> Lap:
            return Lap(bench, server, work, callers=callers, connections=min(callers, 4), store=store)

        laps = {UNARY: lap(works.render(), 16)}
        laps |= {f"RenderBatch of {size}": lap(works.batch(size), 4) for size in _BATCHES}
        laps[STREAM] = lap(works.stream(_WINDOW), 2)
        measured = interleave(closed_by(stack, laps), bench.scale.rounds, bench.progress)
        section = "Many renders at once (audit on, SQLite)"
        bench.results.rows.append(measured.row(section, UNARY, "renders", note="16 callers"))
        bench.results.rows += [
            measured.row(section, name, "renders", against=UNARY, note=note)
            for name, note in (
                *((f"RenderBatch of {size}", "4 callers") for size in _BATCHES),
                (STREAM, f"2 streams, {_WINDOW} requests under way on each"),
            )
        ]


def replay(bench: Bench) -> None:
    """Replay records one by one."""
    with ExitStack() as stack:
        laps = {}
        for engine in ENGINES:
            store = published(bench, stack, engine)
            store.fill_audit(1_000)
            server = serve(bench, stack, store)
            work = works.replay(store.render_ids(1_000))
            laps[f"Replay, {engine}"] = Lap(bench, server, work)
        measured = interleave(closed_by(stack, laps), bench.scale.rounds, bench.progress)
        bench.results.rows += [measured.row("Replay, one after the other", name, "replays") for name in laps]


def cold(bench: Bench) -> None:
    """Render each of many bundles once: every render reads its pieces from the database and compiles them."""
    with ExitStack() as stack:
        laps: dict[str, _Cold] = {}
        for engine in ENGINES:
            count = bench.scale.cold_bundles * (bench.scale.rounds + 1)
            store = stack.enter_context(bench.databases.create(engine))
            store.publish(4 * count)
            server = serve(bench, stack, store, cache_entries=4 * count)
            laps[f"Cold Render, {engine}"] = _Cold(bench, server, store)
        measured = interleave(laps, bench.scale.rounds, bench.progress)
        bench.results.rows += [
            measured.row("Each bundle rendered for the first time", name, "renders", note="audit on")
            for name in laps
        ]


class _Cold:
    """Laps over bundles of which none was rendered before."""

    def __init__(self, bench: Bench, server: Server, store: Store) -> None:
        self._bench = bench
        self._server = server
        self._store = store
        self._next = 0

    def __call__(self) -> Sample:
        """Render the next of them."""
        count = self._bench.scale.cold_bundles
        bundles = range(self._next, self._next + count)
        self._next += count
        lap = Lap(self._bench, self._server, works.cold(bundles), store=self._store, calls=count)
        with closing(lap):
            return lap()


def published(bench: Bench, stack: ExitStack, engine: str, templates: int = _FEW_TEMPLATES) -> Store:
    """Make a store with so many templates."""
    store = stack.enter_context(bench.databases.create(engine))
    store.publish(templates)
    return store


def serve(bench: Bench, stack: ExitStack, store: Store, **settings: object) -> Server:
    """Serve a store by one process on a processor of its own."""
    return stack.enter_context(pecia(store.url, bench.shares.server, **settings))


def closed_by(stack: ExitStack, laps: Mapping[str, Lap]) -> Mapping[str, Lap]:
    """Have the connections of laps closed with the rest."""
    for lap in laps.values():
        stack.callback(lap.close)
    return laps
