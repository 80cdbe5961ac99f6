"""Prompt registries that would be used instead, and Pecia, each called by one caller with its own client.

A peer's server hands out the template, its client fills it in, and no audit row is written: so Pecia is there
with audit off too. What a prompt costs is the processor time of client and server together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from load.bench import sample
from load.bench.bench import Bench, settle
from load.bench.figures import Row
from load.bench.peer_servers import PEERS, Peer, PeerUnavailableError, last_words
from load.bench.processors import cpu_seconds, family, within
from load.bench.renderers import OtherPromptError
from load.bench.rounds import Sample, interleave
from load.bench.serving import published, serve
from load.bench.stores import Store, bundle_id
from pecia_service.rendering.renderer import SEPARATOR
from support.checkout import GENERATED, ROOT, SERVICE

SECTION: Final = "Peers, called by one caller (client and server together)"
OURS: Final = "Pecia, Render, audit on"
OURS_OFF: Final = "Pecia, Render, audit off"
OURS_OFFLINE: Final = "Pecia, rendered offline from the client's warm cache"

_PROGRAMS: Final = Path(__file__).parent / "peer_programs"
_RENDERS: Final = 16
_ANSWER_SECONDS: Final = 300.0


def peers(bench: Bench) -> None:
    """Measure Pecia and its peers in the same rounds; what cannot be measured is a row that says why."""
    with ExitStack() as stack:
        laps: dict[str, Callable[[], Sample]] = {}
        missing: dict[str, str] = {}
        notes: dict[str, str] = {}
        for name, sink in ((OURS, "database"), (OURS_OFF, "null")):
            store = published(bench, stack, "SQLite")
            server = serve(bench, stack, store, audit_sink=sink)
            caller = stack.enter_context(
                _calling([sys.executable], "pecia_caller.py", _job(server.target), _pecia_environment())
            )
            kept = store if sink == "database" else None
            laps[name] = partial(caller.lap, "server", bench.scale.peer_seconds, server.processes[0], kept)
            notes[name] = "the server renders" + ("" if sink == "null" else " and keeps an audit record")
            if sink == "null":
                laps[OURS_OFFLINE] = partial(
                    caller.lap, "cache", bench.scale.peer_seconds, server.processes[0]
                )
                notes[OURS_OFFLINE] = "the client renders, no audit row"
        for peer in PEERS:
            try:
                _add(bench, stack, peer, laps)
            except (PeerUnavailableError, OtherPromptError) as error:
                missing |= dict.fromkeys(peer.rows.values(), str(error))
            notes |= dict.fromkeys(peer.rows.values(), f"{peer.version}; the client renders, no audit row")
        measured = interleave(laps, bench.scale.rounds, bench.progress)
        for name, note in notes.items():
            if name in missing:
                bench.results.rows.append(Row(SECTION, name, "prompts", missing=missing[name]))
            else:
                against = "" if name == OURS else OURS
                bench.results.rows.append(measured.row(SECTION, name, "prompts", against=against, note=note))


def _add(bench: Bench, stack: ExitStack, peer: Peer, laps: dict[str, Callable[[], Sample]]) -> None:
    bench.progress(f"{peer.name}: installing and starting it")
    python = peer.install()
    folder = Path(stack.enter_context(TemporaryDirectory(prefix=f"pecia-bench-{peer.name}-")))
    with within(bench.shares.server):
        server = stack.enter_context(peer.serving(python, folder))
    caller = stack.enter_context(
        _calling([str(python)], peer.program, _job(server.url), peer.environment(folder))
    )
    for way, name in peer.rows.items():
        laps[name] = partial(caller.lap, way, bench.scale.peer_seconds, server.process)


@dataclass
class _Caller:
    """A process that renders when it is asked to."""

    process: subprocess.Popen[str]
    log: Path

    def lap(self, way: str, seconds: float, server: int, store: Store | None = None) -> Sample:
        """Render in one way for so many seconds; with a store, until that has all audit records."""
        assert self.process.stdin is not None
        before = cpu_seconds(family(server))
        recorded = store.records() if store else 0
        self.process.stdin.write(f"{way} {seconds}\n")
        self.process.stdin.flush()
        count, clock, spent = self.answer()
        if store is not None:
            settle(store, recorded + count)
        return Sample(count, clock, spent + cpu_seconds(family(server)) - before)

    def answer(self) -> Any:
        """Read one answer; raises PeerUnavailableError when the process ends instead, or says nothing."""
        assert self.process.stdout is not None
        # A client that waits for its server for ever must not keep the bench.
        impatience = threading.Timer(_ANSWER_SECONDS, self.process.kill)
        impatience.start()
        try:
            for line in self.process.stdout:
                if line.startswith(("{", "[")):
                    return json.loads(line)
        finally:
            impatience.cancel()
        raise PeerUnavailableError(f"its client ended: {last_words(self.log.read_text(errors='replace'))}")


@contextmanager
def _calling(
    python: Sequence[str], program: str, job: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[_Caller]:
    """Start a caller, and check that each of its ways to render gives our prompts."""
    with TemporaryDirectory(prefix="pecia-bench-caller-") as folder:
        file, log = Path(folder) / "job.json", Path(folder) / "log"
        file.write_text(json.dumps(job), encoding="utf-8")
        # A client may warn of more than a pipe holds that nobody reads.
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                [*python, str(_PROGRAMS / program), str(file)],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            try:
                caller = _Caller(process, log)
                of = sample.resolved(bundle_id(0))
                expected = [sample.render(number, of).prompt_hash for number in range(_RENDERS)]
                for way, hashes in caller.answer().items():
                    if hashes != expected:
                        raise OtherPromptError(f"{program} writes another prompt ({way})")
                yield caller
            finally:
                process.kill()


def _job(url: str) -> dict[str, Any]:
    """Return what a caller is to render."""
    of = sample.resolved(bundle_id(0))
    return {
        "url": url,
        "bundle": f"{bundle_id(0)}@{sample.SEMVER}",
        "parts": list(sample.written_as(lambda path: f"{{{{{sample.flat_name(path)}}}}}").values()),
        "roles": [template.role.value for template in of.templates.values()],
        "separator": SEPARATOR,
        "values": [sample.flat_values(number, of) for number in range(_RENDERS)],
        "payloads": [
            {
                "semantic_traits": sample.TRAITS,
                "activity_level": sample.ACTIVITY_LEVEL,
                "stress": sample.STRESS,
                "task": sample.task(number),
            }
            for number in range(_RENDERS)
        ],
    }


def _pecia_environment() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(map(str, (GENERATED, SERVICE, ROOT / "tests")))}
