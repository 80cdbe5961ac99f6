"""Write results to stdout and everything else to stderr: tables, JSON, text, progress."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from pecia_service.cli.table import lay_out

# Control characters could drive a terminal, and marks that turn the direction of text could deceive a reader.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNBOUNDED_WIDTH = 100_000

Cell = str | Text
Writer = Callable[[str], object]


class ProgressBar(Protocol):
    """Shows how far long work is."""

    def update(self, done: int, total: int | None = None) -> None:
        """Show that `done` of `total` are done; a total of None means that it isn't known."""
        ...


def safe(text: str, *, keep: str = "") -> str:
    """Return text that is safe on a terminal and stays on one line; `keep` names what may stay."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in "1 error" and "2 errors"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def styled(text: str, style: str, *, keep: str = "") -> Text:
    """Return safe text in a style of rich, such as "bold red"; `keep` is as for `safe`."""
    return Text(safe(text, keep=keep), style=style)


class OutputError(Exception):
    """Stdout can't take what a command has to say."""


class Output:
    """The command's two streams; text is always UTF-8, whatever the locale says."""

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads stdout."""
        return _is_terminal(sys.stdout)

    def write(self, text: str) -> None:
        """Write text to stdout as it is.

        Raises BrokenPipeError when its reader has ended, and OutputError when it is closed or full.
        """
        # Python has no stream where the caller closed it.
        stream: TextIO | None = sys.stdout
        if stream is None:
            raise OutputError("standard output is closed")
        try:
            stream.buffer.write(text.encode())
            stream.buffer.flush()
        except BrokenPipeError:
            discard_stdout()
            raise
        except OSError as error:
            discard_stdout()
            raise OutputError(f"can't write to standard output: {error.strerror}") from None

    def line(self, text: Cell = "") -> None:
        """Write a line to stdout; control characters in it are escaped."""
        self.write(_draw(_cell(text), terminal=self.is_terminal))

    def json(self, value: object) -> None:
        """Write one JSON value to stdout, readable."""
        self.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Write a table to stdout: with a rule and colour on a terminal, plain columns elsewhere.

        Only descriptions, tags and messages give way to a narrow terminal; all else stays whole.
        """
        self.write(_table(columns, rows, terminal=self.is_terminal))

    def properties(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write pairs of a name and a value to stdout."""
        self.write(_table((), rows, terminal=self.is_terminal))

    def note(self, text: Cell = "") -> None:
        """Write a line to stderr; control characters in it are escaped."""
        self._note(_draw(_cell(text), terminal=_is_terminal(sys.stderr)))

    def note_properties(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write pairs of a name and a value to stderr."""
        self._note(_table((), rows, terminal=_is_terminal(sys.stderr)))

    @contextmanager
    def progress(self, label: str) -> Iterator[ProgressBar]:
        """Show a progress bar on stderr while the block runs, if that is a terminal."""
        if not _is_terminal(sys.stderr):
            yield _Silent()
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield _Bar(progress, label)

    @staticmethod
    def _note(text: str) -> None:
        stream: TextIO | None = sys.stderr
        if stream is not None:
            stream.buffer.write(text.encode())
            stream.buffer.flush()


class _Silent:
    """Shows nothing."""

    def update(self, done: int, total: int | None = None) -> None:
        """Show nothing."""


class _Bar:
    """One bar of rich."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=None)

    def update(self, done: int, total: int | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total)


def discard_stdout() -> None:
    """Let go what stdout could not take, so that Python does not try it again when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _cell(value: Cell) -> Text:
    return value if isinstance(value, Text) else Text(safe(value))


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, terminal: bool) -> str:
    console = _console(io.StringIO(), terminal=terminal)
    width = console.width if terminal else None
    cells = [[_cell(value) for value in row] for row in rows]
    if not (columns or cells):
        return ""
    return _draw(lay_out(columns, cells, console=console, width=width), terminal=terminal)


def _draw(text: Text, *, terminal: bool) -> str:
    """Draw with the colours of a terminal, or without."""
    target = io.StringIO()
    _console(target, terminal=terminal).print(text, soft_wrap=True)
    return "".join(f"{line.rstrip(' ')}\n" for line in target.getvalue().splitlines())


def _console(target: io.StringIO, *, terminal: bool) -> Console:
    return Console(
        file=target,
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        width=None if terminal else _UNBOUNDED_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
