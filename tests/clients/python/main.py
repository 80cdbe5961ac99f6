"""Show that the Python client conforms: run every case of tests/clients/README.md against a live server."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from clients.python.checks import Checks, WrongError
from clients.python.failures import deadline, error
from clients.python.local import canonical, payload_hash
from clients.python.published import label, publish
from clients.python.rendering import batch, render, replay, stream
from clients.python.vectors import Vectors
from clients.python.world import CALL_SECONDS, World
from pecia_client import Client

CASES: Final[Mapping[str, Callable[[World, Checks], str]]] = {
    "canonical": canonical,
    "payload_hash": payload_hash,
    "publish": publish,
    "label": label,
    "render": render,
    "batch": batch,
    "stream": stream,
    "replay": replay,
    "error": error,
    "deadline": deadline,
}


def run(name: str, world: World) -> bool:
    """Run one case, report it as a line of JSON, and return whether it passed."""
    checks = Checks()
    try:
        outcome, detail = "passed", CASES[name](world, checks)
    except WrongError as failure:
        outcome, detail = "failed", f"{checks.where}: {failure}"
    except Exception as failure:  # noqa: BLE001 - whatever goes wrong fails this case, and the next one runs
        outcome, detail = "failed", f"{checks.where}: {type(failure).__name__}: {failure}"
    line = {"case": name, "outcome": outcome, "checks": checks.made, "detail": detail}
    print(json.dumps(line), flush=True)
    return outcome == "passed"


def main() -> int:
    """Run all cases; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--vectors", required=True, type=Path, metavar="DIRECTORY")
    parser.add_argument("--prefix", required=True)
    arguments = parser.parse_args()
    # A retry could hide what the cases are to show.
    with Client(arguments.target, timeout=CALL_SECONDS, retry=None) as client:
        world = World(client, Vectors(arguments.vectors), arguments.prefix)
        outcomes = [run(name, world) for name in CASES]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
