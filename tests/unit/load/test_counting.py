"""What is counted, and what is added up over processes and pieces of time."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from load.collector import Collector
from load.histogram import Histogram
from load.plan import Kind, Plan
from load.recorder import Counts, Recorder
from load.schedule import Left, Window

PLAN = Plan(kind=Kind.RENDER, processes=2, seconds=2, warmup=1, drain=1)
WINDOW = Window.of(PLAN, 0.0)


def document(counts: Counts) -> dict[str, Any]:
    """Return counts as they arrive from another process."""
    sent: dict[str, Any] = json.loads(json.dumps(counts.document()))
    return sent


@settings(max_examples=10)
@given(st.lists(st.floats(1e-6, 3_000), min_size=1, max_size=50))
def test_a_histogram_is_exact_to_three_digits(latencies: list[float]) -> None:
    """However they are spread, and also when it was sent as text."""
    histogram = Histogram()
    for latency in latencies:
        histogram.add(latency)
    sent = Histogram.decode(histogram.encode()).summary()
    assert sent == histogram.summary()
    assert len(latencies) == sent.count
    assert max(latencies) == pytest.approx(sent.max, rel=1e-3, abs=1e-6)
    assert sorted(latencies)[(len(latencies) - 1) // 2] == pytest.approx(sent.p50, rel=2e-3, abs=1e-6)


def test_a_histogram_keeps_to_its_range() -> None:
    """What is beyond an hour, or nothing at all, counts as the end of the range."""
    histogram = Histogram()
    histogram.add(1e9)
    histogram.add(0.0)
    histogram.add(-1.0)
    assert 3 == histogram.summary().count
    assert [1e-6, 3_600] == pytest.approx([histogram.at(50), histogram.at(100)], rel=1e-3)


def test_an_empty_histogram_says_nothing() -> None:
    """A run without a single answer has a result too."""
    summary = Histogram().summary()
    assert (0, 0.0, 0.0) == (summary.count, summary.mean, summary.max)


def test_calls_of_the_warm_up_do_not_count() -> None:
    """Only what comes back inside the window is part of the rate."""
    recorder = Recorder(WINDOW)
    recorder.begun(0.5, 0.9)
    recorder.ended(0.5, 0.9, None)
    recorder.ended(0.5, 0.9, "UNAVAILABLE")
    recorder.ended(0.9, 1.1, None)
    counts = recorder.take()
    assert (1, 0, {}, 0, 0) == (
        counts.completed,
        counts.answered,
        counts.errors,
        counts.late,
        counts.latency.summary().count,
    )


def test_a_latency_counts_from_when_the_call_was_due() -> None:
    """Not from when it began; that it began late is counted."""
    recorder = Recorder(WINDOW)
    recorder.begun(1.0, 1.4)
    recorder.ended(1.0, 1.5, None)
    recorder.begun(1.0, 1.001)
    counts = recorder.take()
    assert 1 == counts.late
    assert [0.4, 0.5] == pytest.approx([counts.latest, counts.latency.at(100)], rel=1e-3)


def test_an_answer_after_the_window_is_right_but_no_part_of_the_rate() -> None:
    """It was due within."""
    recorder = Recorder(WINDOW)
    recorder.ended(2.9, 3.5, None)
    counts = recorder.take()
    assert (1, 0) == (counts.answered, counts.completed)


def test_what_waited_in_vain_is_as_slow_as_it_waited() -> None:
    """Else a server would look faster for every call that it never answered; a refusal is no latency."""
    recorder = Recorder(WINDOW)
    recorder.ended(1.0, 1.001, "RESOURCE_EXHAUSTED TOO_MANY_REQUESTS")
    recorder.ended(1.0, 3.0, "DEADLINE_EXCEEDED")
    recorder.unfinished(2.0, 4.0)
    recorder.not_begun(Left(3, 2.0, 0.5), 4.0)
    counts = recorder.take()
    assert (5, True) == (counts.latency.summary().count, counts.latency.at(0) >= 0.999)
    assert (1, 3, 2) == (counts.unfinished, counts.not_begun, sum(counts.errors.values()))


def test_labels_are_bounded() -> None:
    """A server that makes up a new reason for each call fills no memory."""
    counts = Counts()
    for number in range(1_000):
        counts.fail(f"UNKNOWN {number}")
    assert (65, 1_000, 936) == (len(counts.errors), sum(counts.errors.values()), counts.errors["OTHER"])


def test_pieces_of_all_processes_become_one_line() -> None:
    """A piece is shown when every process has counted it, and the totals are those of all."""
    collector = Collector(PLAN, WINDOW)
    one, other = Recorder(WINDOW), Recorder(WINDOW)
    for _ in range(3):
        one.ended(1.0, 1.010, None)
    other.ended(1.0, 1.030, None)
    other.ended(1.0, 1.030, "INTERNAL")
    first = list(collector.take(0, document(one.take()), last=False))
    second = list(collector.take(0, document(other.take()), last=False))
    one.ended(2.5, 2.51, None)
    other.unfinished(2.5, 4.0)
    rest = [
        *collector.take(1, document(one.take()), last=True),
        *collector.take(1, document(other.take()), last=False),
        *collector.take(2, document(other.take()), last=True),
    ]
    assert ([], [(1.0, 4.0, 1)], [(2.0, 1.0, 1)]) == tuple(
        [(line.ended, line.rate, line.errors) for line in lines] for lines in (first, second, rest)
    )
    result = collector.result(4.0, [0.5, 1.0])
    assert (5, 2, {"INTERNAL": 1}, 1) == (result.answered, result.failed, result.errors, result.unfinished)
    assert (2.5, 1.25, 0.5) == (result.rate, result.renders_per_cpu_second, result.busiest)


def test_a_result_is_a_document() -> None:
    """With its plan, and with a histogram that can be read again."""
    collector = Collector(PLAN, WINDOW)
    recorder = Recorder(WINDOW)
    recorder.ended(1.0, 1.25, None)
    for share in range(2):
        list(collector.take(0, document(recorder.take()), last=share == 1))
    result = collector.result(None, [0.1, 0.1])
    read = json.loads(json.dumps(result.document()))
    assert ("pecia.load.v1", "render", 1, None) == (
        read["format"],
        read["plan"]["kind"],
        read["requests"],
        read["renders_per_cpu_second"],
    )
    assert result.latency == Histogram.decode(read["histogram"]).summary()
