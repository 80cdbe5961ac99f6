"""Which errors let an old bundle stand in for the server's answer, and which are its answer."""

from __future__ import annotations

from pathlib import Path

import grpc
from pecia.v1.registry_service_pb2 import GetBundleResponse
from pecia_client import Client, PeciaError
from pecia_client.messages import BundleRef
from pecia_client.offline import BundleCache, OfflineRenderer
from support.offline import BlockingOffline, Clock
from support.server import live_server
from support.wire import payload, publish

AGE = 300.0
AWAY = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
ERRORS = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


class Refusing(Client):
    """Says why it has no answer, without asking anybody."""

    code = grpc.StatusCode.UNKNOWN

    def get_bundle(self, bundle: str | BundleRef, *, timeout: float | None = None) -> GetBundleResponse:
        """Refuse."""
        raise PeciaError(self.code, "no")


def outcome(renderer: OfflineRenderer) -> str:
    """Render, and return the version, or the status that it failed with."""
    try:
        return renderer.render("companion@1.0.0", payload=payload()).semver
    except PeciaError as error:
        return error.code.name


async def test_only_a_server_that_is_away_is_stood_in_for(tmp_path: Path) -> None:
    """Any other error is an answer: it is raised, and what it was about is let go of."""
    clock = Clock()
    cache = BundleCache(max_age=AGE, max_stale=100, clock=clock)
    outcomes = {}
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as live:
        await publish(live.registry)
        offline = BlockingOffline(live.target, cache)
        with Refusing(live.target) as client:
            renderer = OfflineRenderer(client, cache)
            for client.code in ERRORS:
                await offline.prefetch("companion@1.0.0")
                clock.now += AGE + 1
                outcomes[client.code] = (outcome(renderer), cache.statistics().entries)
        await offline.close()
    expected = {code: ("1.0.0", 1) if code in AWAY else (code.name, 0) for code in ERRORS}
    assert expected == outcomes
