"""The peers' servers: installed into environments of their own, on loopback, with their telemetry off."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.checkout import ROOT

ENVIRONMENTS: Final = ROOT / ".venv" / ".peers"

_INSTALL_SECONDS: Final = 900.0
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.2
_PROGRAMS: Final = Path(__file__).parent / "peer_programs"
_WORDS: Final = 200
# What is written into a document that others read must not tell of paths, addresses and hosts.
_PLACE: Final = re.compile(r"\S*(?:/|host=)\S*")


class PeerUnavailableError(Exception):
    """A peer can't be installed or run; the message says why."""


@dataclass(frozen=True)
class PeerServer:
    """A peer's server: where it answers, and its process."""

    url: str
    process: int


@dataclass(frozen=True)
class Peer:
    """A peer: its pinned requirements, how its server starts, and a row for each way its client renders.

    In `command` and `variables`, `{port}`, `{other}` (a second port) and `{folder}` stand for what the run
    gives.
    """

    name: str
    requirements: str
    program: str
    command: Sequence[str]
    health: str
    variables: Mapping[str, str]
    rows: Mapping[str, str]

    @property
    def version(self) -> str:
        """The pinned requirement that stands for the product."""
        lines = (_PROGRAMS / self.requirements).read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if "==" in line).replace("==", " ")

    def install(self) -> Path:
        """Install it unless its pinned requirements are there already, and return its Python.

        Raises PeerUnavailableError.
        """
        place = ENVIRONMENTS / self.name
        python = place / "bin" / "python"
        wanted = (_PROGRAMS / self.requirements).read_text(encoding="utf-8")
        stamp = place / "installed.txt"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return python
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [
                str(python),
                *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("-r", str(_PROGRAMS / self.requirements)),
            ],
        ):
            try:
                subprocess.run(command, capture_output=True, text=True, check=True, timeout=_INSTALL_SECONDS)
            except subprocess.CalledProcessError as error:
                said = last_words(error.stderr or error.stdout)
                raise PeerUnavailableError(f"it can't be installed: {said}") from None
            except subprocess.TimeoutExpired:
                raise PeerUnavailableError("its installation takes too long") from None
        stamp.write_text(wanted, encoding="utf-8")
        return python

    def environment(self, folder: Path, **ports: int) -> dict[str, str]:
        """Return what its processes are told: nothing leaves the machine, all is in the folder."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        given = {
            name: value.format(folder=folder, port=ports.get("port", 0), other=ports.get("other", 0))
            for name, value in self.variables.items()
        }
        return {
            **kept,
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "tests"),
            "DO_NOT_TRACK": "1",
            "NO_PROXY": "*",
            **given,
        }

    @contextmanager
    def serving(self, python: Path, folder: Path) -> Iterator[PeerServer]:
        """Run its server; raises PeerUnavailableError when it does not come up."""
        port, other = _free_port(), _free_port()
        log = folder / "server.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [str(python), *(word.format(port=port, other=other, folder=folder) for word in self.command)],
                cwd=folder,
                env=self.environment(folder, port=port, other=other),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            _await(url + self.health, process, log)
            yield PeerServer(url, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


MLFLOW: Final = Peer(
    name="mlflow",
    requirements="mlflow.txt",
    program="mlflow_caller.py",
    command=(
        *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
        *("--backend-store-uri", "sqlite:///{folder}/mlflow.db"),
        *("--default-artifact-root", "{folder}/artifacts"),
    ),
    health="/health",
    # Without its runners of background jobs, which poll and have nothing to do with prompts.
    variables={"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    rows={
        "server": "MLflow, load_prompt from its server, and format",
        "cache": "MLflow, load_prompt from the client's warm cache, and format",
    },
)
PHOENIX: Final = Peer(
    name="phoenix",
    requirements="phoenix.txt",
    program="phoenix_caller.py",
    command=("-m", "phoenix.server.main", "serve"),
    health="/healthz",
    variables={
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": "{port}",
        "PHOENIX_GRPC_PORT": "{other}",
        "PHOENIX_WORKING_DIR": "{folder}",
        "PHOENIX_SQL_DATABASE_URL": "sqlite:///{folder}/phoenix.db",
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    },
    rows={"server": "Arize Phoenix, prompts.get from its server, and format"},
)
PEERS: Final = (MLFLOW, PHOENIX)


def last_words(said: str) -> str:
    """Return the last line that a process wrote, without the places and hosts of this machine."""
    last = "".join(said.strip().splitlines()[-1:])
    return _PLACE.sub("...", last)[:_WORDS]


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers; raises PeerUnavailableError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            with opener.open(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_SECONDS)
        if process.poll() is not None or time.monotonic() > until:
            said = last_words(log.read_text(encoding="utf-8", errors="replace"))
            raise PeerUnavailableError(f"its server does not start: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
