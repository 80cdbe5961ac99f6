"""The bench measures what it says: real servers, answers that are checked, ratios of rounds."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from load.bench import works
from load.bench.bench import Bench, Lap, Results, Scale
from load.bench.caller import Work, WrongAnswerError
from load.bench.processors import Shares
from load.bench.renderers import Engine, OtherPromptError
from load.bench.serving import FLOOR, RENDER, RENDER_OFF, floor, published, serve
from load.bench.stores import Databases

TINY = Scale(
    rounds=1,
    lap_seconds=0.1,
    renderer_seconds=0.01,
    stored=(10, 20),
    cold_bundles=5,
    audit_records=100,
    verifications=1,
    peer_seconds=0.1,
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give the means of the smallest run."""
    databases = Databases(tmp_path)
    yield Bench(TINY, Shares(), databases, Results(), lambda _: None)
    databases.close()


def test_renders_are_compared_with_the_floor(bench: Bench) -> None:
    """Each variant has a rate by processor time and by the clock, and a ratio to the floor."""
    floor(bench)
    rows = {(row.name, row.against): row for row in bench.results.rows}
    measured = [rows[FLOOR, ""], rows[RENDER, FLOOR], rows[RENDER_OFF, FLOOR], rows[RENDER, RENDER_OFF]]
    assert [True] * 4 == [
        row.rate is not None and row.wall is not None and row.rate.median > 0 for row in measured
    ]
    assert [False, True, True, True] == [row.ratio is not None for row in measured]


def test_an_answer_with_another_prompt_ends_the_run(bench: Bench) -> None:
    """A server that is fast and wrong is not measured."""
    right = works.render()
    wrong = Work(right.path, right.requests[1:], right.check)
    with ExitStack() as stack:
        server = serve(bench, stack, published(bench, stack, "SQLite"), audit_sink="null")
        lap = Lap(bench, server, wrong)
        stack.callback(lap.close)
        with pytest.raises(WrongAnswerError):
            lap()


def test_an_engine_that_writes_another_prompt_is_refused() -> None:
    """Its speed would be that of other work."""
    with pytest.raises(OtherPromptError):
        Engine("other", "", lambda: lambda number: f"prompt {number}").prepare()
