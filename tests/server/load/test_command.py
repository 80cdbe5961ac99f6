"""`load.py` as it is run: its options, what it prints, its files and its exit code."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from load.load import main
from support.checkout import PYTHONPATH, ROOT
from support.load_target import load_target

SECONDS = 120
SHORT = ("--warmup", "0.1", "--requests", "12", "--callers", "2", "--profile", "minimal")


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as `make load` does."""
    return subprocess.run(
        (sys.executable, "tests/load/load.py", *arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        timeout=SECONDS,
        check=False,
        text=True,
    )


def test_a_server_of_its_own_is_measured_and_gone(tmp_path: Path) -> None:
    """Every combination is a run with a line, the floor has its own server, and the files hold it all."""
    file, prefix = tmp_path / "load.json", tmp_path / "load"
    kinds = ("--kind", "render", "--kind", "batch", "--kind", "echo", "--batch", "4")
    done = load("--serve", "--set", "workers=2", *kinds, *SHORT, "--json", str(file), "--plot", str(prefix))
    assert (0, ["render, minimal, 2 callers", "batch of 4, minimal, 2 callers", "echo, 2 callers"]) == (
        done.returncode,
        [line.partition("  ")[0] for line in done.stdout.splitlines()[1:4]],
    ), done.stderr
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
    assert [(12, 0, True)] * 3 == [
        (run["requests"], run["failed"], run["server_cpu"] is not None) for run in runs
    ]
    assert [b"<?xml", b"\x89PNG\r"] == [
        prefix.with_suffix(suffix).read_bytes()[:5] for suffix in (".svg", ".png")
    ]
    assert "render, minimal, 2 callers: warming up\n" in done.stderr


async def test_the_exit_code_says_that_an_answer_was_wrong() -> None:
    """A target that answers what was never asked fails a build."""
    async with load_target(change=lambda _, answer: setattr(answer, "prompt", "mauve")) as target:
        process = await asyncio.to_thread(load, "--target", target.address, "--no-publish", *SHORT)
    assert (1, "render, minimal, 2 callers: 12 x WRONG_ANSWER prompt") == (
        process.returncode,
        process.stdout.splitlines()[-1],
    )


def test_a_run_that_is_not_possible_says_why() -> None:
    """With an exit code of its own, and no table."""
    done = load("--target", "127.0.0.1:1", "--kind", "health", "--requests", "1")
    assert (3, "", "load: no connection to 127.0.0.1:1 in 5 seconds") == (
        done.returncode,
        done.stdout,
        done.stderr.splitlines()[-1],
    )


def test_a_server_that_does_not_start_says_why() -> None:
    """What it logged last is shown."""
    done = load("--serve", "--set", "listen=nowhere", "--requests", "1")
    assert (3, "load: the server did not start; it said:") == (
        done.returncode,
        next(line for line in done.stderr.splitlines() if line.startswith("load:")),
    )
    assert "PECIA_LISTEN must be HOST:PORT" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--callers", "100000"], "callers must be from 1 to 4096, not 100000"),
        (["--callers", "2", "--processes", "3"], "processes must be from 1 to 2, not 3"),
        ([f"--callers={n}" for n in range(1, 66)], "these are 65 runs; at most 64 can be made at once"),
        (["--set", "workers=2"], "--set is for the server that --serve starts"),
        (["--serve", "--set", "wrkers=2"], "--set wrkers=2: write NAME=VALUE"),
        (["--target", "nowhere"], "target must be HOST:PORT"),
        (["--ca", "/no/such/file"], "--ca /no/such/file: No such file or directory"),
        (["--client-key", str(Path(__file__))], "client_certificate and client_key belong together"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(arguments: list[str], error: str) -> None:
    """With the exit code of a wrong use, and what to write instead."""
    done = CliRunner().invoke(main, arguments)
    assert (2, True) == (done.exit_code, error in done.output), done.output


def test_help_names_every_option_with_what_it_does() -> None:
    """Nobody has to read the code to run it."""
    done = CliRunner().invoke(main, ["--help"])
    described = {line.split()[0] for line in done.output.splitlines() if line.startswith("  --")}
    options = {option for parameter in main.params for option in parameter.opts}
    assert (0, set()) == (done.exit_code, options - described)
    assert [] == [parameter.name for parameter in main.params if not getattr(parameter, "help", None)]
