"""What a program has to report, and what its report is worth."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CASES: Final[Mapping[str, int]] = {
    "canonical": 82,
    "payload_hash": 95,
    "publish": 27,
    "label": 16,
    "render": 255,
    "batch": 130,
    "stream": 202,
    "replay": 10,
    "error": 11,
    "deadline": 2,
}
"""Each case, in order, with the least number of checks that it makes."""

EXIT_MISSING: Final = 77
_MISSING: Final = "missing: "
_FIELDS: Final[Mapping[str, type]] = {"case": str, "outcome": str, "checks": int, "detail": str}
_LONGEST: Final = 120


@dataclass(frozen=True)
class Case:
    """What became of a case: whether it passed, how many checks it made, and what there is to say."""

    name: str
    passed: bool
    checks: int
    detail: str


class Report:
    """What a program has reported so far, line by line.

    Attributes:
        cases: The cases by name.
        problems: What is wrong beyond failed cases; a report with problems is a failed one.
        missing: The toolchain that the program lacks; None when it ran.

    """

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.problems: list[str] = []
        self.missing: str | None = None

    def read(self, line: str) -> Case | None:
        """Take in a line of the program's stdout; return its case, or None when it is none."""
        fields = _fields(line)
        if fields is None:
            self.problems.append(f"this line of its output is not a case: {ascii(line)[:_LONGEST]}")
            return None
        name, outcome, checks, detail = fields
        if name not in CASES:
            self.problems.append(f"there is no case {ascii(name)[:_LONGEST]}")
            return None
        if name in self.cases:
            self.problems.append(f"{name} was reported twice")
            return None
        names = list(CASES)
        late = [other for other in self.cases if names.index(other) > names.index(name)]
        if late:
            self.problems.append(f"{name} was reported after {late[0]}")
        passed = outcome == "passed"
        if passed and checks < CASES[name]:
            passed, detail = False, f"made {checks} checks; at least {CASES[name]} are to be made"
        self.cases[name] = Case(name, passed, checks, detail)
        return self.cases[name]

    def end(self, code: int, last_words: str) -> None:
        """Take in the exit code and the last line of stderr."""
        if code == EXIT_MISSING and last_words.startswith(_MISSING) and not self.cases:
            self.missing = last_words.removeprefix(_MISSING)
            return
        absent = [name for name in CASES if name not in self.cases]
        if absent:
            self.problems.append(f"no report of {', '.join(absent)}")
        failed = any(not case.passed for case in self.cases.values())
        if code < 0:
            self.problems.append(f"signal {-code} ended it")
        elif bool(code) != failed and (code or not absent):
            self.problems.append(f"exit code {code} with {'a' if failed else 'no'} failed case: {last_words}")

    def give_up(self, seconds: float) -> None:
        """Say that the program was ended because it took too long."""
        absent = next((name for name in CASES if name not in self.cases), "its end")
        self.problems.append(f"it was ended after {seconds:g} seconds, before {absent} was there")

    @property
    def passed(self) -> bool:
        """Whether all cases are there and passed, and nothing else was wrong."""
        return (
            not self.problems
            and self.cases.keys() == CASES.keys()
            and all(case.passed for case in self.cases.values())
        )


def _fields(line: str) -> tuple[str, str, int, str] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.keys() != _FIELDS.keys():
        return None
    # In Python a bool is an int.
    if any(type(value[name]) is not kind for name, kind in _FIELDS.items()):
        return None
    if value["outcome"] not in {"passed", "failed"}:
        return None
    return value["case"], value["outcome"], value["checks"], value["detail"]
