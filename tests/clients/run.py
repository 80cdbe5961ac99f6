"""Run the conformance programs of all languages against a real server, and end in a table language × case.

A language whose toolchain is missing is skipped by name; where the variable CI is set, that is a failure.
Exit code 0 means that every case of every language that ran has passed.
"""

import argparse
import contextlib
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from clients.runner.cases import Report  # noqa: E402 - the folder above has to be known first
from clients.runner.program import run_program  # noqa: E402
from clients.runner.server import ServerError, serve  # noqa: E402
from clients.runner.table import write_remarks, write_table  # noqa: E402

LANGUAGES: Final = ("python", "go", "typescript", "java")
PROGRAM: Final = "conformance"
SECONDS: Final = 420.0


def run(languages: Sequence[str], programs: Path, target: str | None, seconds: float) -> int:
    """Run the programs one after the other; give the exit code."""
    reports: dict[str, Report] = {}
    failed = False
    try:
        with serve() if target is None else contextlib.nullcontext(target) as served:
            for language in languages:
                reports[language] = run_language(language, programs, served, seconds)
    except ServerError as error:
        print(f"\nFAILED: {error}")
        failed = True
    in_ci = bool(os.environ.get("CI"))
    print(f"\n{write_table(reports)}\n")
    for remark in write_remarks(reports, in_ci):
        print(remark)
    for report in reports.values():
        failed |= in_ci if report.missing is not None else not report.passed
    return 1 if failed else 0


def run_language(language: str, programs: Path, target: str, seconds: float) -> Report:
    """Run one program, with ids that no other run has, and show when it starts and ends."""
    started = time.monotonic()
    print(f"{language:<12}starts against {target}", flush=True)
    report = run_program(
        language,
        (
            *(programs / language / PROGRAM, "--target", target),
            *("--vectors", TESTS / "golden"),
            *("--prefix", f"{language}-{secrets.token_hex(4)}"),
        ),
        seconds,
    )
    print(f"{language:<12}ended after {time.monotonic() - started:.0f} s", flush=True)
    return report


def main() -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES, help="only these; all by default"
    )
    parser.add_argument(
        "--target", metavar="HOST:PORT", help="a server that runs already: default limits, no credentials"
    )
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"for a program with its build; {SECONDS:g} by default"
    )
    parser.add_argument(
        "--programs", type=Path, default=TESTS / "clients", metavar="FOLDER", help="where the programs are"
    )
    arguments = parser.parse_args()
    languages = tuple(dict.fromkeys(arguments.languages))
    return run(languages, arguments.programs.resolve(), arguments.target, arguments.seconds)


if __name__ == "__main__":
    sys.exit(main())
