"""The conformance programs run against a real server as `make conformance` runs them."""

import os
import re
import subprocess
import sys

from support.checkout import PYTHONPATH, ROOT


def test_python_conforms() -> None:
    """The program of the one client that needs no other toolchain passes every case."""
    # Not traced: the runner waits for threads, as in the tests of it alone.
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "clients" / "run.py"), "--languages", "python"],
        env={**untraced, "PYTHONPATH": PYTHONPATH, "CI": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert 10 == len(re.findall(r"^[a-z_]+ +ok +[0-9]+$", done.stdout.split("\n\n")[1], re.MULTILINE)) - 1
