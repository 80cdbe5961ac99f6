"""What the documentation tells people to type exists, and every setting is documented."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
from pecia_service.cli.main import cli
from pecia_service.settings import CLIENT_VARIABLES, SETTINGS
from support.checkout import ROOT, repository_files

# These stand for what to type in a synopsis, not for something to type.
PLACEHOLDERS = {"COMMAND", "--help", "--version"}
_FENCE = re.compile(r"^ *```.*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")


def documents() -> list[Path]:
    """Return the README, the contribution-facing documents and the guides."""
    return [
        path for path in repository_files() if path.suffix == ".md" and path.parts[0] in {"README.md", "docs"}
    ]


def text_of(path: Path) -> str:
    """Return a document's text."""
    return (ROOT / path).read_text(encoding="utf-8")


def code_in(text: str) -> Iterator[str]:
    """Yield each line of code of a Markdown text, continuation lines joined: blocks first, then spans."""
    for block in _FENCE.findall(text):
        yield from (line.removeprefix("$ ").strip() for line in block.replace("\\\n", " ").splitlines())
    yield from _SPAN.findall(_FENCE.sub("", text))


def arguments_of(program: str, code: str) -> list[str] | None:
    """Return what follows a program's name if a line of code runs it, also by its path or behind settings."""
    try:
        words = shlex.split(code, comments=True)
    except ValueError:
        # Code of another language, with a quote that isn't a shell's.
        return None
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words[1:] if words and Path(words[0]).name == program else None


def unknown_words(arguments: list[str]) -> list[str]:
    """Return the subcommands and options among the arguments of `pecia` that don't exist."""
    command: click.Command = cli
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    unknown: list[str] = []
    for word in arguments:
        if word in {"|", ">", "&&", ";", "&"}:
            break
        name = word.partition("=")[0]
        if name in PLACEHOLDERS:
            continue
        if name.startswith("--"):
            unknown += [] if name in known else [name]
        elif isinstance(command, click.Group):
            chosen = command.get_command(click.Context(command), word)
            if chosen is None:
                return [*unknown, word]
            command = chosen
            known |= {option for item in command.params for option in item.opts + item.secondary_opts}
    return unknown


def test_documented_variables_are_settings() -> None:
    """No document names a PECIA_* variable that nothing reads."""
    known = {setting.env for setting in SETTINGS} | CLIENT_VARIABLES
    named = {name for path in documents() for name in re.findall(r"\bPECIA_[A-Z_]*[A-Z]\b", text_of(path))}
    assert named - known == set()


def test_every_setting_is_in_the_readme() -> None:
    """Whoever reads the README learns every setting there is."""
    named = set(re.findall(r"\bPECIA_[A-Z_]*[A-Z]\b", text_of(Path("README.md"))))
    assert ({setting.env for setting in SETTINGS} | CLIENT_VARIABLES) - named == set()


def test_documented_make_targets_exist() -> None:
    """Every `make x` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", text_of(Path("Makefile")), re.MULTILINE))
    runs = [
        (str(path), arguments)
        for path in documents()
        for code in code_in(text_of(path))
        if (arguments := arguments_of("make", code)) is not None
    ]
    missing = [
        (path, word)
        for path, arguments in runs
        for word in arguments
        if "=" not in word and word not in targets
    ]
    assert missing == []
    assert runs != []


def test_documented_commands_exist() -> None:
    """Every `pecia x --y` in a document is a command with that option."""
    runs = [
        (str(path), arguments)
        for path in documents()
        for code in code_in(text_of(path))
        if (arguments := arguments_of("pecia", code)) is not None
    ]
    unknown = [(path, words) for path, arguments in runs if (words := unknown_words(arguments))]
    assert unknown == []
    assert runs != []


def test_decisions_are_numbered_one_after_the_other() -> None:
    """Each has the number of its file, and no two have the same."""
    paths = sorted(path for path in documents() if path.parent == Path("docs/adr"))
    numbers = [int(path.name.partition("-")[0]) for path in paths]
    assert list(range(1, len(paths) + 1)) == numbers
    assert [f"# {number}. " for number in numbers] == [
        text_of(path)[: len(f"# {number}. ")] for number, path in zip(numbers, paths, strict=True)
    ]


def test_make_alone_prints_a_line_for_each_target() -> None:
    """Each target that is declared phony and public carries its line of help."""
    makefile = text_of(Path("Makefile"))
    declared = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split()) == set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
