"""Show the main job on real input: publish, render with a receipt, read the record, replay to the byte.

It starts a server of its own on a free loopback port with an empty SQLite file, runs the command line
against it, and cleans up. Exit code 0 means that every step did what it should; `make demo` runs it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pecia_client import Client

ROOT = Path(__file__).resolve().parents[2]
PECIA = (sys.executable, "-m", "pecia_service.cli.main")
EXAMPLE = "docs/examples/companion"
PAYLOAD = f"{EXAMPLE}/payloads/calm-evening.json"
START_ATTEMPTS = 30
STOP_SECONDS = 30
COMMAND_SECONDS = 60
OUTPUT_CLOSED = 141


class DemoError(Exception):
    """A step did not do what it should."""


@dataclass(frozen=True)
class Outcome:
    """What a command printed."""

    stdout: bytes
    stderr: bytes

    def note(self, name: str) -> str:
        """Give the value that stderr shows beside a name."""
        for line in self.stderr.decode().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return value.strip()
        raise DemoError(f"the output does not show {name}")


class Shell:
    """Runs `pecia` in the repository's folder and shows each command with what it prints."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def pecia(self, *arguments: str, expect: int = 0, show: bool = True) -> Outcome:
        """Run one command; raises DemoError when its exit code is not the expected one."""
        print(f"$ {shlex.join(('pecia', *arguments))}", flush=True)
        done = subprocess.run(
            (*PECIA, *arguments),
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        outcome = Outcome(done.stdout, done.stderr)
        if show or done.returncode != expect:
            shown = [stream.decode(errors="replace").rstrip("\n") for stream in (done.stdout, done.stderr)]
            print(indent("\n\n".join(filter(None, shown))))
        if done.returncode != expect:
            raise DemoError(f"pecia {arguments[0]} ended with exit code {done.returncode}, not {expect}")
        return outcome


def main() -> int:
    """Run all steps; give the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="pecia-demo-") as folder:
            run(Path(folder))
    except (DemoError, subprocess.SubprocessError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    print("\nThe demo is done: every step did what it should.")
    return 0


def run(folder: Path) -> None:
    """Run the steps with all files in `folder`."""
    target = f"127.0.0.1:{free_port()}"
    # Settings of the caller would change what the demo shows.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PECIA_")}
    shell = Shell(environment | {"PECIA_TARGET": target})

    heading("Check the example's files, without a server")
    shell.pecia("lint", EXAMPLE)

    heading("Start a server on an empty SQLite file")
    with server(target, folder, environment):
        heading("Publish the example, and label a version")
        shell.pecia("publish", EXAMPLE)
        shell.pecia("label", "set", "companion", "production", "1.2.0")

        heading("Render a prompt over gRPC: the prompt, then its receipt")
        rendered = shell.pecia("render", "companion@production", "--payload", PAYLOAD)
        prompt_hash, render_id = rendered.note("prompt_hash"), rendered.note("render_id")
        compare(
            "sha256 of the prompt", hashlib.sha256(rendered.stdout).hexdigest(), "prompt_hash", prompt_hash
        )

        heading("Render the same from the files, without the server: the same bytes")
        offline = shell.pecia(
            "render", "companion@1.2.0", "--offline", EXAMPLE, "--payload", PAYLOAD, show=False
        )
        compare("prompt_hash offline", offline.note("prompt_hash"), "prompt_hash", prompt_hash)
        if offline.stdout != rendered.stdout:
            raise DemoError("the offline prompt has other bytes than the served one")

        heading("Read the audit record")
        record = shell.pecia("audit", "show", render_id, show=False).stdout.decode()
        facts, _, prompt = record.partition("\nPrompt:\n")
        print(indent(f"{facts}\nPrompt: the {len(rendered.stdout)} bytes from above, left out here"))
        if prompt.rstrip("\n") != rendered.stdout.decode().rstrip("\n"):
            raise DemoError("the audit record does not hold the rendered prompt")

        heading("Replay it: every piece is read anew and rendered again")
        replayed = shell.pecia("replay", render_id)
        if b"MATCH" not in replayed.stdout.split() or prompt_hash.encode() not in replayed.stdout:
            raise DemoError("the replay is not a MATCH of this prompt")

        heading("Measure two answers of a model against the bundle's constraints")
        shell.pecia("check", "companion@production", f"{EXAMPLE}/answers/calm-evening.txt")
        shell.pecia("check", "companion@production", f"{EXAMPLE}/answers/too-eager.txt", expect=1)

        heading("Stop the server")


@contextmanager
def server(target: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a server while the block runs; raises DemoError when it does not start or does not stop cleanly."""
    database = f"sqlite:///{folder / 'pecia.db'}"
    log = folder / "server.log"
    print(f"$ PECIA_DATABASE_URL={shlex.quote(database)} pecia serve --listen {target} &", flush=True)
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            (*PECIA, "serve", "--listen", target),
            cwd=folder,
            env=environment | {"PECIA_DATABASE_URL": database},
            stdout=log_file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_serving(target, process)
            print(indent(f"The health check answers SERVING.\n$ export PECIA_TARGET={target}"))
            yield
            print(f"$ kill -TERM {process.pid}")
            process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_SECONDS)
            print(indent(f"It ended with exit code {code}."))
            if code != 0:
                raise DemoError(f"the server ended with exit code {code}")
        except BrokenPipeError:
            raise
        except BaseException:
            print(indent(f"The server's log:\n{log.read_text(errors='replace')[-4000:]}"), file=sys.stderr)
            raise
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def wait_until_serving(target: str, process: subprocess.Popen[bytes]) -> None:
    """Ask the health service until it answers SERVING, while the process lives."""
    soon = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
    with Client(target, options=soon) as client:
        health = health_pb2_grpc.HealthStub(client.channel)
        # The third-party stubs know Check only.
        watch = health.Watch  # type: ignore[attr-defined]
        for _ in range(START_ATTEMPTS):
            if process.poll() is not None:
                raise DemoError(f"the server ended with exit code {process.returncode} before it served")
            try:
                for answer in watch(health_pb2.HealthCheckRequest(), timeout=1, wait_for_ready=True):
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise DemoError(f"the health check failed: {error.details()}") from error
    raise DemoError(f"the server did not serve within {START_ATTEMPTS} seconds")


def free_port() -> int:
    """Find a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def compare(name: str, actual: str, expected_name: str, expected: str) -> None:
    """Show that two values are equal; raises DemoError when they are not."""
    width = max(len(name), len(expected_name))
    print(f"\n  {name:{width}}  {actual}\n  {expected_name:{width}}  {expected}")
    if actual != expected:
        raise DemoError(f"{name} is not {expected_name}")
    print("  They are equal.")


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n== {text} ==\n", flush=True)


def indent(text: str) -> str:
    """Set text off from the commands."""
    return "\n".join(f"  {line}".rstrip() for line in text.rstrip("\n").splitlines())


if __name__ == "__main__":
    # The prompts are UTF-8 whatever the locale says.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # both are real text streams in a script
    try:
        sys.exit(main())
    except BrokenPipeError:
        # Whoever reads the output has ended; Python would try to write the rest once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OUTPUT_CLOSED)
