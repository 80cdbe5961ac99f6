"""The server's event loop: uvloop where it is installed, asyncio's own where it is not."""

import sys

import pytest
import uvloop
from pecia_service.server.loop import loop_factory


def test_uvloop_is_used_where_it_is_installed() -> None:
    """The factory makes uvloop's loops."""
    factory = loop_factory()
    assert factory is not None
    loop = factory()
    try:
        assert isinstance(loop, uvloop.Loop)
    finally:
        loop.close()


def test_the_server_runs_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it asyncio decides."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory() is None
