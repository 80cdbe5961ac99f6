"""How the end of a worker is put into a log."""

import pytest
from pecia_service.server.workers.worker import describe


@pytest.mark.parametrize(
    ("code", "said"),
    [(0, {"exit_code": 0}), (4, {"exit_code": 4}), (-9, {"signal": "SIGKILL"}), (-99, {"signal": 99})],
)
def test_an_end_is_told_by_exit_code_or_signal(code: int, said: dict[str, object]) -> None:
    """Signals have their names; one that Python does not know has its number."""
    assert said == describe(code)
