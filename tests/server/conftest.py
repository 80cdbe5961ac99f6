"""Fixtures that several suites of the clients use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.drivers import AsyncDriver, BlockingDriver, Connect, Driver
from support.scripted_peer import ScriptedPeer, serve


@pytest.fixture
async def peer() -> ScriptedPeer:
    """Give the peer that `connect` leads to."""
    return ScriptedPeer()  # type: ignore[abstract]  # the generated base answers the other RPCs


@pytest.fixture(params=[AsyncDriver, BlockingDriver], ids=["async", "sync"])
async def connect(request: pytest.FixtureRequest, peer: ScriptedPeer) -> AsyncIterator[Connect]:
    """Give a factory of drivers, connected to the peer unless told otherwise."""
    server, target = await serve(peer)
    drivers: list[Driver] = []

    def open_driver(to: str = target, **kwargs: object) -> Driver:
        driver: Driver = request.param(to, **kwargs)
        drivers.append(driver)
        return driver

    yield open_driver
    for driver in drivers:
        await driver.close()
    await server.stop(None)
