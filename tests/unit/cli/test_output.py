"""Results on stdout: safe on a terminal, plain when piped, always UTF-8."""

import io
import json
import sys

import pytest
from pecia_service.cli.output import Output, counted, safe, styled


class Stream(io.TextIOWrapper):
    """A stream that can be a terminal, with an encoding that can't write most texts."""

    def __init__(self, *, terminal: bool) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="ascii")
        self._terminal = terminal

    def isatty(self) -> bool:
        """Say whether a person reads it."""
        return self._terminal

    def text(self) -> str:
        """Give what was written."""
        return self.bytes.getvalue().decode()


def stdout(monkeypatch: pytest.MonkeyPatch, *, terminal: bool = False) -> Stream:
    """Put a stream in the place of stdout."""
    stream = Stream(terminal=terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    return stream


def test_control_characters_and_direction_marks_are_escaped() -> None:
    """They could drive a terminal, or show text in another order than it has."""
    assert safe("a\x1b[31m\n\t\x9b\u202eb") == "a\\x1b[31m\\n\\t\\x9b\\u202eb"
    assert safe("a\tb\n", keep="\t") == "a\tb\\n"


def test_a_number_has_its_noun() -> None:
    """One error, and any other number of errors."""
    assert [counted(number, "error") for number in (0, 1, 2)] == ["0 errors", "1 error", "2 errors"]


def test_piped_text_is_written_to_the_byte_in_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the locale's encoding can hold."""
    stream = stdout(monkeypatch)
    Output().write("é🌱\x1b\r\n")
    assert stream.text() == "é🌱\x1b\r\n"


def test_piped_tables_are_plain_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colour, no rules, no width, nothing at the ends of lines."""
    stream = stdout(monkeypatch)
    long = "x" * 500
    Output().table(("ID", "TEXT"), [("a", styled(long, "bold red")), ("[b]", ":smile: é")])
    assert stream.text() == f"ID   TEXT\na    {long}\n[b]  :smile: é\n"


def test_tables_on_a_terminal_keep_ids_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prose is broken instead, and cells can have colour."""
    stream = stdout(monkeypatch, terminal=True)
    identifier = "companion-personality-with-a-long-name"
    Output().table(("ID", "STATUS", "DESCRIPTION"), [(identifier, styled("created", "green"), "word " * 20)])
    assert identifier in stream.text()
    assert "\x1b[32mcreated\x1b[0m" in stream.text()
    assert "─" in stream.text()


@pytest.mark.parametrize("columns", ["80", "60", "20"])
def test_what_identifies_is_never_cut_or_broken(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """A line may be longer than the terminal is wide; only prose is shortened or wrapped."""
    stream = stdout(monkeypatch, terminal=True)
    monkeypatch.setenv("COLUMNS", columns)
    row = ("a" * 40, "1.0.0-rc.1", "tag, " * 20, "b" * 64, "2026-11-21 08:30:00Z", "word " * 20)
    Output().table(("ID", "VERSION", "TAGS", "ETAG", "PUBLISHED", "DESCRIPTION"), [row])
    line = stream.text().splitlines()[-1]
    shortened = ("tag, tag, tag, …", "word word word …")
    assert line.split("  ") == [*row[:2], shortened[0], *row[3:5], shortened[1]]


def test_messages_are_wrapped_beside_their_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word of a finding is lost on a narrow terminal."""
    stream = stdout(monkeypatch, terminal=True)
    monkeypatch.setenv("COLUMNS", "30")
    Output().table(("PLACE", "MESSAGE", "TEXT"), [("1:1", "is too long for this bundle", "c" * 20)])
    assert [line.rstrip() for line in stream.text().splitlines()[2:]] == [
        f"1:1    is too long for   {'c' * 20}",
        "       this bundle",
    ]


def test_hashes_among_properties_stay_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that is broken can't be copied."""
    stream = stdout(monkeypatch, terminal=True)
    Output().properties([("definition_hash", "d" * 64)])
    assert stream.text() == f"\x1b[1mdefinition_hash\x1b[0m  {'d' * 64}\n"


def test_properties_are_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name, spaces, a value."""
    stream = stdout(monkeypatch)
    Output().properties([("a", "1"), ("long", "2 3")])
    assert stream.text() == "a     1\nlong  2 3\n"


def test_long_lines_are_left_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is broken by force can't be copied."""
    stream = stdout(monkeypatch, terminal=True)
    Output().line("word " * 30 + "end")
    assert stream.text() == "word " * 30 + "end\n"


def test_json_is_readable_and_unescaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """One value with all its characters."""
    stream = stdout(monkeypatch)
    Output().json({"prompt": "é🌱\x1b"})
    assert stream.text() == '{\n  "prompt": "é🌱\\u001b"\n}\n'
    assert json.loads(stream.text()) == {"prompt": "é🌱\x1b"}


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file is spared the bar."""
    stream = Stream(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    with Output().progress("Publishing") as bar:
        bar.update(0, 2)
        bar.update(2, 2)
    stream.flush()
    assert ("Publishing" in stream.text()) is terminal
