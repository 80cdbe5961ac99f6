"""`pecia diff` and `pecia check` on a directory."""

from pathlib import Path
from typing import Any

import pytest
from pecia_service.cli.output import Output
from support.cli import Ran, run_cli, write_bundle, write_pieces, write_template

LIMITS = "role: system\nconstraints: {FORBIDDEN_TOKENS: [sure], ASSERTIVENESS_LEVEL: 0.1}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a directory with three versions of a bundle."""
    write_pieces(tmp_path)
    write_bundle(tmp_path, semver="1.0.1")
    write_template(tmp_path, "task", "Do that: {{task}}", semver="2.0.0", head="role: user")
    write_template(tmp_path, "system", "You are Juna. {{constraints}}", semver="2.0.0", head=LIMITS)
    write_bundle(tmp_path, semver="2.0.0", slots={"task": "task@2.0.0", "system": "system@2.0.0"})
    return tmp_path


def check(root: Path, answer: str, *options: str, bundle: str = "companion@2.0.0") -> Ran:
    """Check an answer that comes on stdin."""
    return run_cli("check", bundle, "--offline", root, *options, stdin=answer.encode())


def test_a_diff_shows_each_slot_that_differs(root: Path) -> None:
    """Content, constraints and role; exit code 1 as of diff(1)."""
    ran = run_cli("diff", "companion@1.0.0", "companion@2.0.0", "--offline", root)
    assert ran.exit_code == 1
    assert ran.stdout == (
        "slot system: system@1.0.0 -> system@2.0.0\n"
        "constraints:\n"
        "--- system@1.0.0\n"
        "+++ system@2.0.0\n"
        "@@ -0,0 +1,2 @@\n"
        '+"ASSERTIVENESS_LEVEL":0.1\n'
        '+"FORBIDDEN_TOKENS":["sure"]\n'
        "\n"
        "slot task: task@1.0.0 -> task@2.0.0\n"
        "role: system -> user\n"
        "content:\n"
        "--- task@1.0.0\n"
        "+++ task@2.0.0\n"
        "@@ -1 +1 @@\n"
        "-Do this: {{task}}\n"
        "+Do that: {{task}}\n"
        "\n"
    )
    assert ran.stderr == "2 of 4 slots differ: system, task\n"


def test_versions_with_the_same_pieces_do_not_differ(root: Path) -> None:
    """Exit code 0, and nothing on stdout."""
    ran = run_cli("diff", "companion@1.0.0", "companion@1.0.1", "--offline", root)
    assert [ran.exit_code, ran.stdout, ran.stderr] == [
        0,
        "",
        "no slot differs in role, content or constraints\n",
    ]


def test_a_bundle_is_identical_to_itself(root: Path) -> None:
    """It is said in so many words."""
    ran = run_cli("diff", "companion@1.0.0", "companion@1.0.0", "--offline", root)
    assert [ran.exit_code, ran.stderr] == [0, "the bundles are identical\n"]


def test_a_diff_as_json_has_all_four_slots(root: Path) -> None:
    """Field names are those of the contract."""
    ran = run_cli("diff", "companion@1.0.0", "companion@2.0.0", "--offline", root, "--json")
    slots: list[dict[str, Any]] = ran.json["slots"]
    assert [ran.exit_code, ran.json["identical"]] == [1, False]
    assert [(slot["slot"], slot["changed"], slot["after_role"]) for slot in slots] == [
        ("system", True, "system"),
        ("personality", False, "system"),
        ("activity", False, "system"),
        ("task", True, "user"),
    ]


def test_an_answer_within_the_limits_passes(root: Path) -> None:
    """Exit code 0."""
    ran = check(root, "Sure.", bundle="companion@1.0.0")
    assert [ran.exit_code, ran.stdout] == [0, "passed: 0 errors, 0 warnings against companion@1.0.0\n"]


def test_a_violation_has_line_column_and_span(root: Path) -> None:
    """Line and column count from 1, the span counts code points of the text from 0; exit code 1."""
    ran = check(root, "🌱 one\r\n  Sure thing", "--json")
    violation = next(item for item in ran.json["violations"] if item["rule"] == "FORBIDDEN_TOKEN")
    assert [ran.exit_code, ran.json["passed"]] == [1, False]
    assert {key: violation[key] for key in ("line", "column", "start", "end", "severity")} == {
        "line": 2,
        "column": 3,
        "start": 9,
        "end": 13,
        "severity": "ERROR",
    }


def test_violations_are_a_table(root: Path, tmp_path: Path) -> None:
    """With place, rule, message and the text itself, which can't drive a terminal."""
    answer = tmp_path / "answer.txt"
    answer.write_text("\x1b[31m\n sure", encoding="utf-8")
    ran = run_cli("check", "companion@2.0.0", answer, "--offline", root)
    rows = [line.split("  ") for line in ran.stdout.splitlines() if "FORBIDDEN_TOKEN" in line]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["2:2", "7-11", "ERROR", "FORBIDDEN_TOKEN", '"sure" is forbidden; leave it out', "sure"]
    ]
    assert "\x1b" not in ran.stdout


def test_warnings_alone_pass(root: Path) -> None:
    """Assertiveness only ever warns: exit code 0."""
    ran = check(root, "This is definitely, certainly, absolutely and always so.", "--json")
    assert [ran.exit_code, [item["severity"] for item in ran.json["violations"]]] == [0, ["WARNING"]]


def test_more_violations_than_are_listed_are_mentioned(root: Path) -> None:
    """The list is bounded, and says so."""
    ran = check(root, "sure\n\n" * 1001)
    assert ran.exit_code == 1
    assert "... and more violations than are listed\n" in ran.stdout


def test_a_diff_on_a_terminal_is_coloured_and_safe(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was added is green, and a control character in a template can't drive the terminal."""
    monkeypatch.setattr(Output, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("TERM", "xterm-256color")
    write_template(root, "task", "Do that:\t\x1b[8m{{task}}", semver="2.0.0")
    ran = run_cli("diff", "companion@1.0.0", "companion@2.0.0", "--offline", root)
    assert "\x1b[32m+Do that:       " in ran.stdout
    assert "\\x1b[8m{{task}}\x1b[0m\n" in ran.stdout
    assert "\x1b[8m" not in ran.stdout
