"""The bench's callers and laps on servers of their own: what counts was answered rightly, and recorded."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
import pytest
from load.bench import works
from load.bench.bench import QUICK, Bench, Lap, Results
from load.bench.caller import Callers, Work, WrongAnswerError
from load.bench.echo import BARE, EDGE, MESSAGES, OWN
from load.bench.processors import Shares
from load.bench.servers import Server, echo, pecia
from load.bench.stores import Databases, Store
from pecia.v1 import prompt_service_pb2 as pb

ANSWER = pb.RenderResponse(prompt="floor").SerializeToString()


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Give databases in a folder."""
    with closing(Databases(tmp_path_factory.mktemp("bench"))) as made:
        yield made


@pytest.fixture(scope="module")
def store(databases: Databases) -> Iterator[Store]:
    """Give a database with a bundle."""
    with databases.create("SQLite") as made:
        made.publish(4)
        yield made


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Server]:
    """Give a server of it."""
    with pecia(store.url, set()) as running:
        yield running


@pytest.mark.parametrize("kind", [BARE, MESSAGES, EDGE, OWN])
def test_every_step_from_the_floor_answers_the_same_bytes(kind: str) -> None:
    """As many calls as were asked for, each with the answer that was given."""
    with (
        echo(ANSWER, kind, set()) as floor,
        closing(Callers(floor.target, works.echo_of(ANSWER), callers=3, connections=2)) as callers,
    ):
        assert 20 == callers.run(calls=20).calls


@pytest.mark.parametrize(
    ("make", "recorded"),
    [
        (works.render, 8),
        (partial(works.render, label=True), 8),
        (partial(works.batch, 16), 128),
        (partial(works.stream, 4), 8),
    ],
    ids=["render", "label", "batch", "stream"],
)
def test_a_lap_ends_when_each_of_its_renders_is_recorded(
    databases: Databases, store: Store, server: Server, make: Callable[[], Work], recorded: int
) -> None:
    """So that the processor time of the records is in it, to the last row."""
    bench = Bench(QUICK, Shares(), databases, Results(), print)
    before = store.records()
    with closing(Lap(bench, server, make(), callers=2, connections=2, store=store, calls=8)) as lap:
        sample = lap()
    assert (recorded, recorded, True) == (sample.count, store.records() - before, sample.cpu_seconds > 0)


def test_a_wrong_answer_ends_the_run(server: Server) -> None:
    """Nothing is measured of a server that answers something else."""
    right = works.render()
    wrong = Work(right.path, right.requests, lambda *_: False)
    with (
        closing(Callers(server.target, wrong, callers=1, connections=1)) as callers,
        pytest.raises(WrongAnswerError),
    ):
        callers.run(calls=1)


def test_another_status_than_ok_ends_the_run(server: Server) -> None:
    """Also where there is no answer that could be wrong."""
    with (
        closing(Callers(server.target, works.cold(range(7, 8)), callers=1, connections=1)) as callers,
        pytest.raises(WrongAnswerError, match="ended with status 5"),
    ):
        callers.run(calls=1)


def test_a_server_is_gone_with_all_that_it_started(store: Store) -> None:
    """No process of a run outlives it."""
    with pecia(store.url, set(), workers=2) as several:
        processes = list(several.processes)
    assert (True, []) == (len(processes) >= 3, [each for each in processes if psutil.pid_exists(each)])
