"""Paragraphs: runs of lines between blank lines."""

from __future__ import annotations

from dataclasses import dataclass

from pecia_service.rendering.checking.patterns import compile_pattern

# A line end (CRLF, CR or LF), and what follows it up to the next line that is not blank.
_BREAK = compile_pattern(r"(?>\r\n|\r|\n)(\s*+)")
_NOT_BLANK = compile_pattern(r"\S")


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """How many paragraphs there are, and where the first one beyond the limit starts, if there is one."""

    count: int
    excess_start: int | None


def count_paragraphs(text: str, limit: int) -> Paragraphs:
    """Count the paragraphs of a text. Lines that hold only white space are blank."""
    first = _NOT_BLANK.search(text)
    if first is None:
        return Paragraphs(0, None)
    count, excess_start = 1, None
    for found in _BREAK.finditer(text, first.start()):
        blank = found.group(1)
        if found.end() < len(text) and ("\n" in blank or "\r" in blank):
            count += 1
            if count == limit + 1:
                excess_start = found.end()
    return Paragraphs(count, excess_start)
