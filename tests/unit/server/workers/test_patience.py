"""How long a supervisor waits for workers that it told to stop."""

import pytest
from pecia_service.server.workers.__main__ import patience
from pecia_service.settings import Settings


@pytest.mark.parametrize(
    ("tracing", "statement_timeout", "expected"),
    [("false", "2", 47), ("true", "2", 67), ("false", "300", 55)],
    ids=["calls and records", "spans too", "slow statements"],
)
def test_a_worker_has_time_for_all_that_it_does_at_the_end(
    tracing: str, statement_timeout: str, expected: float
) -> None:
    """A grace for each, the rollback of a statement, within bounds, and five seconds."""
    overrides = {
        "shutdown_grace": "20",
        "tracing": tracing,
        "database_statement_timeout": statement_timeout,
    }
    assert expected == patience(Settings.load({}, overrides))
