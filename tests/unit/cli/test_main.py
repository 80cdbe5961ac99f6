"""The command as a whole: help, exit codes, closed pipes, locales."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
import pytest
from pecia_service.cli import main as main_module
from pecia_service.cli.failures import ExitCode
from pecia_service.cli.main import cli
from pecia_service.settings import SETTINGS
from support.checkout import PYTHONPATH, ROOT
from support.cli import run_cli, write_payload, write_pieces


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Name every command below a group, and the group."""
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


ALL_COMMANDS = list(commands(cli))


PECIA = (sys.executable, "-m", "pecia_service.cli.main")
ENVIRONMENT = {**os.environ, "PYTHONPATH": PYTHONPATH}


def run_into(stdout: IO[bytes], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run `pecia` in a process of its own with a file as its stdout."""
    return subprocess.run(
        [*PECIA, *arguments], stdout=stdout, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False
    )


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start `pecia` in a process of its own."""
    return subprocess.Popen(
        [*PECIA, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT | environment,
    )


def test_help_lists_every_exit_code() -> None:
    """A script's author finds them in one place."""
    listed = re.findall(r"^    ([0-9]+) ", run_cli("--help").stdout, re.MULTILINE)
    assert [int(code) for code in listed] == [int(code) for code in ExitCode]


def test_the_guide_lists_every_exit_code_and_command() -> None:
    """What is added here is added there."""
    guide = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`pecia ([a-z]+)", guide))
    assert re.findall(r"^\| ([0-9]+) \|", guide, re.MULTILINE) == [str(int(code)) for code in ExitCode]
    assert {command[0] for command in ALL_COMMANDS if command} - named == set()


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    """Each says what it does; those that do something show an example."""
    ran = run_cli(*command, "--help")
    is_group = command in {
        (),
        ("list",),
        ("show",),
        ("label",),
        ("audit",),
        ("audit", "spool"),
        ("keys",),
        ("erase",),
    }
    assert ran.exit_code == 0
    assert is_group or re.search(r"^  Examples?:\n    .*pecia ", ran.stdout, re.MULTILINE) is not None


def test_serve_help_lists_every_setting() -> None:
    """Each flag with its environment variable and its default."""
    text = " ".join(run_cli("serve", "--help").stdout.split())
    missing = [
        setting.name
        for setting in SETTINGS
        if f"{setting.flag} VALUE" not in text or f"[{setting.env}; default: {setting.default}]" not in text
    ]
    assert missing == []


@pytest.mark.parametrize("arguments", [("unknown",), ("render",), ("lint", "no-such-directory")])
def test_wrong_usage_has_exit_code_2(arguments: tuple[str, ...]) -> None:
    """Nothing is on stdout."""
    ran = run_cli(*arguments)
    assert [ran.exit_code, ran.stdout] == [2, ""]


def test_the_version_says_what_decides_output() -> None:
    """Renderer and Unicode version are part of it."""
    assert re.fullmatch(r"pecia .+ \(renderer \S+, Unicode \S+\)\n", run_cli("--version").stdout)


def test_no_server_has_exit_code_5(tmp_path: Path) -> None:
    """The message says how to start one."""
    arguments = ("render", "a@1.0.0", "--payload", write_payload(tmp_path), "--timeout", "5")
    ran = run_cli(*arguments, "--target", "127.0.0.1:1")
    assert [ran.exit_code, "is it running (pecia serve)" in ran.stderr] == [5, True]


def test_an_interrupt_has_exit_code_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quietly: whoever pressed the keys knows."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pecia_service.cli.lint.read_directory", interrupted)
    ran = run_cli("lint", tmp_path)
    assert [ran.exit_code, ran.stdout, ran.stderr] == [130, "", ""]


def test_a_fault_of_the_program_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback is what a report of it needs."""

    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pecia_service.cli.lint.read_directory", faulty)
    with pytest.raises(ZeroDivisionError):
        run_cli("lint", tmp_path)


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    """As every tool does whose reader has ended."""
    root, payload = write_pieces(tmp_path), write_payload(tmp_path)
    process = start("render", "companion@1.0.0", "--offline", root, "--payload", payload)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert [process.wait(), errors] == [141, b""]


@pytest.mark.parametrize("arguments", [("--help",), ("lint", "{root}")])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 4, and nothing from Python as it ends."""
    root = str(write_pieces(tmp_path))
    with Path("/dev/full").open("wb") as full:
        done = run_into(full, *(argument.format(root=root) for argument in arguments))
    assert [done.returncode, done.stderr] == [
        4,
        b"error: can't write to standard output: No space left on device\n",
    ]


def test_a_closed_stdout_is_one_line(tmp_path: Path) -> None:
    """Exit code 4: the results went nowhere."""
    command = 'exec "$@" >&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *PECIA, "lint", str(write_pieces(tmp_path))],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        check=False,
    )
    assert [done.returncode, done.stderr] == [4, b"error: standard output is closed\n"]


def test_a_mistyped_command_is_put_right() -> None:
    """The nearest name is suggested: exit code 2."""
    ran = run_cli("rendr")
    assert [ran.exit_code, "No such command 'rendr'. Did you mean render?" in ran.stderr] == [2, True]


def test_a_mistyped_setting_leads_to_settings_only() -> None:
    """What a supervisor tells its workers is nothing for anybody else."""
    ran = run_cli("serve", "--wrkers", "2")
    assert [ran.exit_code, re.findall(r"--work\w+", ran.stderr)] == [2, ["--workers"]]


def test_a_reference_is_shown_by_a_command_of_its_kind() -> None:
    """The kind can't be seen in a reference: exit code 2."""
    ran = run_cli("show", "companion@1.2.0")
    assert [ran.exit_code, "Write show bundle companion@1.2.0, or" in ran.stderr] == [2, True]


def test_any_locale_prints_the_same_bytes(tmp_path: Path) -> None:
    """A terminal without Unicode neither crashes nor changes the prompt."""
    root, payload = write_pieces(tmp_path), write_payload(tmp_path, task="naïve 🌱")
    arguments = ("render", "companion@1.0.0", "--offline", root, "--payload", payload)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    stdout, _ = start(*arguments, **ascii_only).communicate()
    assert stdout.decode() == run_cli(*arguments).stdout


def test_every_command_is_in_the_table() -> None:
    """Names in the table lead to commands of the same name."""
    context = click.Context(cli)
    named = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    assert {name: command.name for name, command in named.items() if command} == {
        name: name for name in main_module._COMMANDS
    }
