"""One caller of Pecia: renders by its Python client."""

from __future__ import annotations

from load.bench.peer_programs.laps import job, serve
from pecia_client import Client


def main() -> None:
    """Serve laps."""
    work = job()
    payloads = work["payloads"]
    with Client(work["url"]) as client:

        def from_server(number: int) -> str:
            return client.render(work["bundle"], payload=payloads[number]).prompt

        serve({"server": from_server}, len(payloads))


if __name__ == "__main__":
    main()
