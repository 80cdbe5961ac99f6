"""Text folded for comparison, with a way back to where it came from."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import unicodedata2

from pecia_service.canonical import casefold
from pecia_service.rendering.checking.patterns import compile_pattern

# Three vowel signs are starters themselves but decompose to marks that are not.
NONSTARTER = r"[\P{ccc=0}\u0f73\u0f75\u0f81]"

# What can be folded on its own: plain ASCII, white space, or any character with the marks behind it. These
# end after 30, as in the Stream-Safe Text Format (UAX #15), so that no sequence of marks takes long.
_CHUNK = compile_pattern(rf"(?: ?[!-~])++|\s++|(?s:.){NONSTARTER}{{0,30}}+")
_WHITE_SPACE = compile_pattern(r"\s++")


@dataclass(frozen=True, slots=True)
class FoldedText:
    """`folded` is a text after `fold`; `span` tells where a part of it is in the text."""

    folded: str
    _folded_starts: array[int]
    _text_starts: array[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the text that the non-empty span [start, end) of `folded` came from.

        It covers whole characters, also where only a part of what they fold to was asked for.
        """
        first = bisect_right(self._folded_starts, start) - 1
        last = bisect_right(self._folded_starts, end - 1) - 1
        text_start, text_end = self._text_starts[first], self._text_starts[last + 1]
        if self._keeps_length(first):
            text_start += start - self._folded_starts[first]
        if self._keeps_length(last):
            text_end -= self._folded_starts[last + 1] - end
        return text_start, text_end

    def _keeps_length(self, chunk: int) -> bool:
        starts, text_starts = self._folded_starts, self._text_starts
        return starts[chunk + 1] - starts[chunk] == text_starts[chunk + 1] - text_starts[chunk]


def fold(text: str) -> FoldedText:
    """Fold a text, so that what reads alike is equal.

    Letters lose their case by full case folding, so that "STRASSE" equals "Straße"; canonically equivalent
    sequences become one (Unicode, D145: NFD, case folding, NFD); a run of white space becomes a space.
    """
    chunks = _CHUNK.findall(text)
    folds = _Folds()
    pieces = [folds[chunk] for chunk in chunks]
    return FoldedText(
        "".join(pieces),
        array("q", accumulate(map(len, pieces), initial=0)),
        array("q", accumulate(map(len, chunks), initial=0)),
    )


class _Folds(dict[str, str]):
    """Chunks and what they fold to, each computed once."""

    def __missing__(self, chunk: str) -> str:
        if _WHITE_SPACE.fullmatch(chunk):
            piece = " "
        elif chunk.isascii():
            piece = chunk.lower()
        else:
            piece = _decompose(casefold(_decompose(chunk)))
        self[chunk] = piece
        return piece


def _decompose(text: str) -> str:
    decomposed: str = unicodedata2.normalize("NFD", text)
    return decomposed
