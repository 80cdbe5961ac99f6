"""One caller of Pecia: renders by its Python client on the server, or offline from the client's cache."""

from __future__ import annotations

from load.bench.peer_programs.laps import job, serve
from pecia_client import Client
from pecia_client.offline import BundleCache, OfflineRenderer


def main() -> None:
    """Serve laps."""
    work = job()
    payloads = work["payloads"]
    with Client(work["url"]) as client:

        def from_server(number: int) -> str:
            return client.render(work["bundle"], payload=payloads[number]).prompt

        offline = OfflineRenderer(client, BundleCache())

        def from_cache(number: int) -> str:
            return offline.render(work["bundle"], payload=payloads[number]).prompt

        serve({"server": from_server, "cache": from_cache}, len(payloads))


if __name__ == "__main__":
    main()
