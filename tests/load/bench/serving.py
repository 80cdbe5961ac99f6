"""Calls over the wire: the floor, renders with and without audit, batches, streams, replays, cold renders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Final

from load.bench import works
from load.bench.bench import Bench, Lap
from load.bench.caller import Work, ask
from load.bench.echo import BARE, EDGE, MESSAGES, OWN
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
FEW_STREAMS: Final = "RenderStream, few streams"

_STEPS: Final = {
    FLOOR: BARE,
    "Echo that decodes requests and encodes answers": MESSAGES,
    "Echo behind Pecia's interceptor": EDGE,
    "Echo, calls taken as grpc.aio does, one after the other": OWN,
}
_CALLERS: Final = 16
_BATCHES: Final = (16, 64, 256)

_WINDOW: Final = 4
_FEW_STREAMS, _WIDE_WINDOW = 2, 32
"""As few streams have as many requests under way as sixteen with the window before."""

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

        def unit(name: str) -> str:
            return "calls" if name in _STEPS else "renders"

        section = "One Render after the other (16 callers)"
        bench.results.rows += [
            measured.row(
                section, FLOOR, "calls", note=f"{len(work.requests[0])} bytes in, {len(answer)} out"
            ),
            *(
                measured.row(section, name, unit(name), against=FLOOR, note=laps[name].database_note)
                for name in laps
                if name != FLOOR
            ),
        ]
        bench.results.rows += [
            measured.row("What audit costs", name, "renders", against=RENDER_OFF)
            for name in (RENDER, RENDER_POSTGRES)
        ]


def bulk(bench: Bench) -> None:
    """Compare batches and streams with single renders, with audit on and off."""
    with ExitStack() as stack:
        store = published(bench, stack, "SQLite")
        on = serve(bench, stack, store)
        off = serve(bench, stack, published(bench, stack, "SQLite"), audit_sink="null")
        unary, stream, wide = works.render(), works.stream(_WINDOW), works.stream(_WIDE_WINDOW)
        batches = {size: works.batch(size) for size in _BATCHES}

        def lap(work: Work, callers: int, *, audit: bool = True) -> Lap:
            connections = min(callers, 4)
            server, kept = (on, store) if audit else (off, None)
            return Lap(bench, server, work, callers=callers, connections=connections, store=kept)

        laps = {UNARY: lap(unary, _CALLERS)}
        laps |= {_batch(size): lap(work, 4) for size, work in batches.items()}
        laps[STREAM] = lap(stream, _CALLERS)
        laps[FEW_STREAMS] = lap(wide, _FEW_STREAMS)
        laps[_off(UNARY)] = lap(unary, _CALLERS, audit=False)
        laps[_off(BATCH_64)] = lap(batches[64], 4, audit=False)
        laps[_off(STREAM)] = lap(stream, _CALLERS, audit=False)
        measured = interleave(closed_by(stack, laps), bench.scale.rounds, bench.progress)
        notes = {
            UNARY: f"{_CALLERS} callers",
            **{_batch(size): "4 callers" for size in _BATCHES},
            STREAM: f"{_CALLERS} streams, {_WINDOW} requests under way on each",
            FEW_STREAMS: f"{_FEW_STREAMS} streams, {_WIDE_WINDOW} requests under way on each",
        }
        for name, note in notes.items():
            against = "" if name == UNARY else UNARY
            section = "Many renders at once (audit on, SQLite)"
            bench.results.rows.append(measured.row(section, name, "renders", against=against, note=note))
        for name in (UNARY, BATCH_64, STREAM):
            against = "" if name == UNARY else _off(UNARY)
            section = "Many renders at once (audit off)"
            row = measured.row(section, _off(name), "renders", against=against, note=notes[name])
            bench.results.rows.append(row)


def _batch(size: int) -> str:
    return f"RenderBatch of {size}"


def _off(name: str) -> str:
    return f"{name}, audit off"


def _warm(engine: str) -> str:
    return f"Warm Render, {engine}"


def replay(bench: Bench) -> None:
    """Compare replays, one by one, with the renders that they repeat."""
    with ExitStack() as stack:
        laps = {}
        for engine in ENGINES:
            store = published(bench, stack, engine)
            store.fill_audit(1_000)
            server = serve(bench, stack, store)
            work = works.replay(store.render_ids(1_000))
            laps[_warm(engine)] = Lap(bench, server, works.render(), store=store)
            laps[f"Replay, {engine}"] = Lap(bench, server, work)
        measured = interleave(closed_by(stack, laps), bench.scale.rounds, bench.progress)
        section = "Replay, one after the other"
        for engine in ENGINES:
            warm, name = _warm(engine), f"Replay, {engine}"
            bench.results.rows += [
                measured.row(section, warm, "renders", note="audit on"),
                measured.row(section, name, "replays", against=warm),
            ]


def cold(bench: Bench) -> None:
    """Render each of many bundles once: every render reads its pieces from the database and compiles them."""
    with ExitStack() as stack:
        laps: dict[str, Callable[[], Sample]] = {}
        for engine in ENGINES:
            count = bench.scale.cold_bundles * (bench.scale.rounds + 1)
            store = stack.enter_context(bench.databases.create(engine))
            store.publish(4 * count)
            server = serve(bench, stack, store, cache_entries=4 * count)
            laps[f"Cold Render, {engine}"] = _Cold(bench, server, store)
            warm = Lap(bench, server, works.render(), store=store)
            laps |= closed_by(stack, {_warm(engine): warm})
        measured = interleave(laps, bench.scale.rounds, bench.progress)
        section = "Each bundle rendered for the first time"
        for engine in ENGINES:
            warm_name, name = _warm(engine), f"Cold Render, {engine}"
            bench.results.rows += [
                measured.row(section, warm_name, "renders", note="audit on"),
                measured.row(section, name, "renders", against=warm_name, note="audit on"),
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
    store.publish(templates, bench.progress)
    return store


def serve(bench: Bench, stack: ExitStack, store: Store, **settings: object) -> Server:
    """Serve a store by one process on a processor of its own."""
    return stack.enter_context(pecia(store.url, bench.shares.server, **settings))


def closed_by(stack: ExitStack, laps: Mapping[str, Lap]) -> Mapping[str, Lap]:
    """Have the connections of laps closed with the rest."""
    for lap in laps.values():
        stack.callback(lap.close)
    return laps
