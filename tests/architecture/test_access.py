"""The guide on access says what the code enforces."""

import re
from collections.abc import Iterator

import click
from pecia_service.access.model import Scope
from pecia_service.cli.main import cli
from pecia_service.server.interceptors.scopes import SCOPES
from support.checkout import ROOT
from support.deploy import DEPLOY, unit_settings

GUIDE = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", GUIDE, re.MULTILINE)


def methods(cell: str) -> set[str]:
    """Return the full names of the methods in a cell; of a whole service, all that there are."""
    found = {f"/pecia.v1.{name}" for name in re.findall(r"`(\w+/\w+)`", cell)}
    for service in re.findall(r"all of `([\w.]+)`", cell):
        found |= {method for method in SCOPES if method.startswith(f"/{service}/")}
    return found


def commands(group: click.Group, words: tuple[str, ...]) -> Iterator[str]:
    """Yield each command below a group that calls a server, with the words that one types for it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        elif "target" in {parameter.name for parameter in command.params}:
            yield " ".join((*words, name))


def test_the_guide_has_the_scope_of_every_rpc() -> None:
    """No scope is missing, and none allows more or less than is said."""
    assert {scope.value for scope in Scope} == {name for name, _, _ in ROWS}
    assert len(Scope) == len(ROWS)
    enforced = {scope.value: {rpc for rpc, needed in SCOPES.items() if needed is scope} for scope in Scope}
    assert enforced == {name: methods(cell) for name, cell, _ in ROWS}


def test_the_guide_has_the_scope_of_every_command() -> None:
    """Of each that calls a server, once."""
    named = sorted(name for _, _, cell in ROWS for name in re.findall(r"`(pecia [a-z ]+)`", cell))
    assert sorted(commands(cli, ("pecia",))) == named


def test_commands_under_systemd_have_what_the_unit_has() -> None:
    """The same user, folders and variables, but for those that no command reads."""
    unit = [(name, value) for section, name, value in unit_settings(DEPLOY / "pecia.service")]
    of_unit = {name: value for name, value in unit if name != "Environment"}
    spool = next(
        word
        for name, value in unit
        if name == "Environment"
        for word in value.split()
        if word.startswith("PECIA_AUDIT_SPOOL_DIR=")
    )
    (function,) = re.findall(r"as_pecia\(\) \{\n(.*?)\n\}", GUIDE, re.DOTALL)
    given = dict(re.findall(r"--property=(\w+)=(\S+)", function))
    options = dict(re.findall(r"--(uid|gid|working-directory|setenv)=(\S+)", function))
    assert {
        name: of_unit[name] for name in ("StateDirectory", "StateDirectoryMode", "UMask", "EnvironmentFile")
    } == given
    assert {
        "uid": of_unit["User"],
        "gid": of_unit["Group"],
        "working-directory": of_unit["WorkingDirectory"],
        "setenv": spool,
    } == options
    assert f'{of_unit["ExecStart"].split()[0]} "$@"' in function
