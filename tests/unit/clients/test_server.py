"""The runner's server, where it does not do what it should."""

import sys
from pathlib import Path

import pytest
from clients.runner.server import ServerError, serve

SERVES = """echo '{"event": "serving", "listen": "127.0.0.1:9"}' >&2"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the file whose commands are run in the place of `pecia serve`."""
    program = tmp_path / "server"
    program.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def test_server_that_does_not_start(stand_in: Path) -> None:
    """Its exit code and the end of its log are told."""
    stand_in.write_text('#!/bin/sh\necho \'{"event": "no room"}\' >&2\nexit 3\n')
    with pytest.raises(ServerError) as raised, serve():
        pass
    assert ('the server ended with 3 before it served.\n  Its log ends:\n  {"event": "no room"}') == str(
        raised.value
    )


def test_server_that_does_not_stop_cleanly(stand_in: Path) -> None:
    """A server that fails when it is told to stop fails the run."""
    stand_in.write_text(f"#!/bin/sh\ntrap 'exit 4' TERM\n{SERVES}\nwhile :; do sleep 0.1; done\n")
    with pytest.raises(ServerError, match=r"^the server ended with exit code 4 when it was to stop"), serve():
        pass
