"""What a run may ask for."""

import json
from dataclasses import replace
from typing import Any

import pytest
from load.plan import MAX_CALLERS, MAX_RATE, Connection, Kind, Plan, PlanError


@pytest.mark.parametrize(
    "given",
    [
        {"callers": 0},
        {"callers": MAX_CALLERS + 1},
        {"processes": 17},
        {"processes": 2, "connections": 1},
        {"connections": 100_000},
        {"rate": 0.0},
        {"rate": MAX_RATE + 1},
        {"rate": float("nan")},
        {"seconds": float("inf")},
        {"seconds": 0.0},
        {"requests": 0},
        {"requests": 1_000_000, "rate": 1.0},
        {"warmup": -1.0},
        {"kind": Kind.BATCH, "batch": 257},
        {"kind": Kind.STREAM, "callers": 4_096, "window": 1_024},
        {"bundles": 10**6},
        {"interval": 0.0},
    ],
)
def test_a_plan_beyond_the_bounds_is_refused(given: dict[str, Any]) -> None:
    """The harness doesn't take on more than it can bear, nor what makes no sense."""
    with pytest.raises(PlanError, match="must be from"):
        Plan(**{"kind": Kind.RENDER, "callers": 16, **given})


def test_a_plan_goes_to_another_process_unchanged() -> None:
    """What the generators do is what was asked."""
    plan = Plan(kind=Kind.BATCH, profile="medium", callers=64, processes=2, rate=12.5, requests=100, batch=7)
    assert plan == Plan.from_document(json.loads(json.dumps(plan.document())))


def test_a_connection_goes_to_another_process_unchanged() -> None:
    """Certificates and keys arrive as they were read."""
    connection = Connection(
        target="[::1]:5", tls=True, ca=b"\x00pem", client_certificate=b"c", client_key=b"k"
    )
    with_key = replace(connection, api_key="key")
    assert with_key == Connection.from_document(json.loads(json.dumps(with_key.document())))


def test_a_connection_shows_no_secret() -> None:
    """A plan that fails may be printed with where it was to go."""
    shown = repr(Connection(target="h:1", client_key=b"mauve", api_key="elephant"))
    assert (False, False) == ("mauve" in shown, "elephant" in shown)


def test_every_process_has_a_connection() -> None:
    """Also when there are more processes than connections by default."""
    counts = [
        Plan(kind=Kind.RENDER, callers=n, processes=p).open_connections
        for n, p in [(1, 1), (64, 1), (64, 12)]
    ]
    assert [1, 8, 12] == counts
