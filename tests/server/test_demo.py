"""`make demo` shows what it promises."""

import subprocess
import sys

from support.checkout import ROOT


def test_the_demo_goes_through() -> None:
    """It publishes, renders, replays to MATCH, and its server ends with exit code 0."""
    done = subprocess.run(
        [sys.executable, "docs/examples/demo.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = [line.split() for line in done.stdout.splitlines()]
    assert ["verdict", "MATCH"] in shown
    assert ["It", "ended", "with", "exit", "code", "0."] in shown
