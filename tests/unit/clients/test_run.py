"""`tests/clients/run.py` as its callers see it, with programs that stand for those of languages."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from clients.runner.cases import CASES
from support.checkout import ROOT

RUN = ROOT / "tests" / "clients" / "run.py"
# Nobody listens there: none of these programs calls anyone.
TARGET = "127.0.0.1:9"
SECONDS = 120


def say(**changes: Mapping[str, object]) -> str:
    """Return the commands of a program that reports every case as passed, but for these changes."""
    lines = [
        json.dumps(
            {"case": name, "outcome": "passed", "checks": least, "detail": "", **changes.get(name, {})}
        )
        for name, least in CASES.items()
    ]
    return "\n".join(f"echo {shlex.quote(line)}" for line in lines)


def run(
    folder: Path, programs: Mapping[str, str], *arguments: str, in_ci: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the languages whose programs are given as shell commands."""
    for language, commands in programs.items():
        program = folder / language / "conformance"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{commands}\n")
        program.chmod(0o755)
    # Not traced: CPython 3.11 was seen to spin for ever when it joined a traced thread; none of this counts.
    environment = {
        name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("COVERAGE_")
    }
    return subprocess.run(
        [
            *(sys.executable, str(RUN), "--target", TARGET, "--programs", str(folder)),
            *("--languages", *programs, *arguments),
        ],
        env=environment | ({"CI": "1"} if in_ci else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def test_all_passed(tmp_path: Path) -> None:
    """The table has a column for each language and a row for each case; the exit code is 0."""
    done = run(tmp_path, {"python": say(), "go": say(batch={"detail": "a note", "checks": 1000})})
    table = done.stdout.split("\n\n")[1].splitlines()
    assert 0 == done.returncode
    assert ["python", "go"] == table[0].split()
    assert list(CASES) == [row.split()[0] for row in table[2:-2]]
    assert ["batch", "ok", "130", "ok", "1000"] == table[7].split()
    assert ["checks", "ok", "830", "ok", "1700"] == table[-1].split()
    assert done.stdout.endswith("\n\ngo: batch: a note\n")


def test_failed_case(tmp_path: Path) -> None:
    """A failed case is FAILED in the table with its detail below, and the exit code is 1."""
    failed = {"outcome": "failed", "checks": 4, "detail": "plain: expected 'a', found 'b'"}
    done = run(tmp_path, {"go": say(render=failed) + "\nexit 1", "java": say()})
    assert 1 == done.returncode
    assert ["render", "FAILED", "ok", "255"] in map(str.split, done.stdout.splitlines())
    assert done.stdout.endswith("\n\ngo: render FAILED: plain: expected 'a', found 'b'\n")


def test_too_few_cases(tmp_path: Path) -> None:
    """Exit code 0 of a program that stopped half way is a failure."""
    done = run(tmp_path, {"go": "\n".join(say().splitlines()[:8])})
    assert 1 == done.returncode
    assert ["error", "MISSING"] in map(str.split, done.stdout.splitlines())
    assert done.stdout.endswith("\n\ngo: FAILED: no report of error, deadline\n")


def test_garbage(tmp_path: Path) -> None:
    """What is no case on stdout is a failure, also bytes that are no text and a line without end."""
    noise = r"printf '\377\000\n'; head -c 3000000 /dev/zero | tr '\0' x; echo"
    done = run(tmp_path, {"go": f"{noise}\n{say()}"})
    assert 1 == done.returncode
    assert "go: FAILED: this line of its output is not a case: '\\\\xff\\x00'" in done.stdout
    assert 3 == done.stdout.count("\ngo: FAILED: this line of its output is not a case: 'xxxx")


def test_missing_toolchain(tmp_path: Path) -> None:
    """It is skipped by name, and the others decide."""
    done = run(tmp_path, {"go": "echo 'missing: go' >&2; exit 77", "java": say()})
    assert (0, True) == (done.returncode, done.stdout.endswith("\n\ngo: skipped: go is missing\n"))


def test_missing_toolchain_in_ci(tmp_path: Path) -> None:
    """Where the variable CI is set, nothing may be skipped."""
    done = run(tmp_path, {"go": "echo 'missing: go' >&2; exit 77", "java": say()}, in_ci=True)
    expected = "\n\ngo: skipped: go is missing, which must not be in CI\n"
    assert (1, True) == (done.returncode, done.stdout.endswith(expected))


def test_program_that_can_not_be_run(tmp_path: Path) -> None:
    """A program that is not there fails its language, and the next one runs all the same."""
    (tmp_path / "go").mkdir()
    done = run(tmp_path, {"java": say()}, "go")
    assert 1 == done.returncode
    assert "\ngo: FAILED: it can't be run: No such file or directory" in done.stdout
    assert ["deadline", "ok", "2", "MISSING"] in map(str.split, done.stdout.splitlines())


def test_time_limit(tmp_path: Path) -> None:
    """A program that does not end is ended, with what it has started."""
    done = run(tmp_path, {"go": "sleep 600 & echo $! >&2; wait"}, "--seconds", "3")
    assert 1 == done.returncode
    assert done.stdout.endswith("\n\ngo: FAILED: it was ended after 3 seconds, before canonical was there\n")
    with contextlib.suppress(psutil.NoSuchProcess):
        # Nobody may have asked yet how it ended.
        assert psutil.STATUS_ZOMBIE == psutil.Process(int(done.stderr.split()[-1])).status()


def test_left_behind(tmp_path: Path) -> None:
    """A program that leaves something running that holds its output is at its end all the same."""
    done = run(tmp_path, {"go": f"sleep 600 &\n{say()}"}, "--seconds", "60")
    assert (0, "") == (done.returncode, done.stderr)


def test_colours(tmp_path: Path) -> None:
    """What a build tool says is shown without its colours, and nothing of a line of colours alone."""
    done = run(tmp_path, {"go": f"printf '\\033[0m\\033[0m\\n\\033[1;31mred\\033[m\\n' >&2\n{say()}"})
    assert (0, "go          red\n") == (done.returncode, done.stderr)


def test_arguments(tmp_path: Path) -> None:
    """Each program is told where the server and the vectors are, and a prefix of its own."""
    done = run(tmp_path, {"go": f'echo "$@" >&2\n{say()}'})
    words = done.stderr.split()
    assert ["go", "--target", TARGET, "--vectors", str(ROOT / "tests" / "golden"), "--prefix"] == words[:-1]
    assert words[-1].startswith("go-")
