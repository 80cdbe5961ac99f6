"""Lay out cells in columns: what identifies something stays whole and on its line, only prose gives way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

_GAP = 2
_MIN_PROSE = 16
# On a narrow terminal these columns give way; all others keep their width, and lines may then be longer than
# the terminal is wide, because an id, a version or a hash that is cut or broken can't be used.
_SHORTENED = frozenset({"DESCRIPTION", "TAGS"})
_WRAPPED = frozenset({"MESSAGE", "REASON"})


def lay_out(
    columns: Sequence[str], rows: Iterable[Sequence[Text]], *, console: Console, width: int | None
) -> Text:
    """Return a table as text, a line for each row; `width` is a terminal's, or None where there is none.

    Without `columns` there is no heading, and the first column is bold; on a terminal a heading has a rule.
    """
    body = [list(row) for row in rows]
    heading = [[Text(column, style="bold") for column in columns]] if columns else []
    widths = [max(cell.cell_len for cell in column) for column in zip(*heading, *body, strict=True)]
    if width is not None:
        _give_way(columns, widths, width)
    lines = [_joined(cells, widths) for cells in heading]
    if heading and width is not None:
        lines.append(Text("─" * min(width, _total(widths))))
    for row in body:
        if not columns:
            row[0].stylize("bold")
        lines += _row(columns, row, widths, console)
    return Text("\n").join(lines)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _give_way(columns: Sequence[str], widths: list[int], width: int) -> None:
    """Take from the widest columns of prose what is too much, as far as they can be read then."""
    excess = _total(widths) - width
    prose = [index for index, name in enumerate(columns) if name in _SHORTENED | _WRAPPED]
    for index in sorted(prose, key=lambda index: -widths[index]):
        taken = max(0, min(excess, widths[index] - _MIN_PROSE))
        widths[index] -= taken
        excess -= taken


def _row(
    columns: Sequence[str], cells: Sequence[Text], widths: Sequence[int], console: Console
) -> Iterator[Text]:
    parts: list[list[Text]] = []
    for index, cell in enumerate(cells):
        name = columns[index] if columns else ""
        if cell.cell_len > widths[index] and name in _WRAPPED:
            parts.append(list(cell.wrap(console, widths[index])))
            continue
        if cell.cell_len > widths[index]:
            cell.truncate(widths[index], overflow="ellipsis")
        parts.append([cell])
    for number in range(max(map(len, parts))):
        yield _joined([part[number] if number < len(part) else Text() for part in parts], widths)


def _joined(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell)
        line.append(" " * (width - cell.cell_len + _GAP))
    line.rstrip()
    return line
