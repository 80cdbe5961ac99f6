"""The template engines compared: rows of the renderer against what others render the same prompt with."""

from __future__ import annotations

from functools import partial

from load.bench.bench import Bench
from load.bench.figures import Row
from load.bench.renderers import ENGINES, JINJA, MissingEngineError, lap
from load.bench.rounds import interleave

SECTION = "In one process: the four-part prompt"


def engines(bench: Bench) -> None:
    """Compare the renderer with other engines."""
    laps = {}
    missing: dict[str, str] = {}
    for engine in ENGINES:
        try:
            laps[engine.name] = partial(lap, engine.prepare(), bench.scale.renderer_seconds)
        except MissingEngineError as error:
            missing[engine.name] = str(error)
    measured = interleave(laps, bench.scale.rounds, bench.progress)
    for engine in ENGINES:
        if engine.name in missing:
            row = Row(SECTION, engine.name, "prompts", missing=missing[engine.name])
        else:
            against = JINJA if JINJA in laps and engine.name != JINJA else ""
            note = ", ".join(filter(None, (engine.version, engine.note)))
            row = measured.row(SECTION, engine.name, "prompts", against=against, note=note)
        bench.results.rows.append(row)
