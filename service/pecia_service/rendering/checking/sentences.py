"""Sentences that have too many words (UAX #29)."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from unicode_segmentation_rs import unicode_sentences, unicode_words

from pecia_service.rendering.checking.patterns import compile_pattern

# After a full stop the segmenter looks ahead from every closing mark and every space, far into the text. Of a
# long run of either the first is enough: no sentence ends inside the run (UAX #29, SB9 and SB10).
_FLOOD = compile_pattern(
    r"(\p{SB=Sp}[\p{SB=Extend}\p{SB=Format}]*+)(?:\p{SB=Sp}[\p{SB=Extend}\p{SB=Format}]*+){7,}+"
    r"|(\p{SB=Close}[\p{SB=Extend}\p{SB=Format}]*+)(?:\p{SB=Close}[\p{SB=Extend}\p{SB=Format}]*+){7,}+"
)


@dataclass(frozen=True, slots=True)
class LongSentence:
    """A sentence at the span [`start`, `end`) without white space around it, and how many words it has."""

    start: int
    end: int
    words: int


def find_long_sentences(text: str, max_words: int) -> Iterator[LongSentence]:
    """Yield the sentences of more than `max_words` words, in order. Takes linear time."""
    squeezed = _Squeezed(text)
    position = 0
    for sentence in unicode_sentences(squeezed.text):
        # The segmenter leaves out sentences without a letter or digit, and names no offsets. What it leaves
        # out can't hold the next sentence nor its beginning: repeats of it would have no letter, either.
        begin = squeezed.text.find(sentence, position)
        position = begin + len(sentence)
        start, end = squeezed.given(begin), squeezed.given(position)
        # Every word has a character, at least.
        if end - start <= max_words:
            continue
        given = text[start:end]
        words = len(unicode_words(given))
        if words > max_words:
            yield LongSentence(end - len(given.lstrip()), start + len(given.rstrip()), words)


class _Squeezed:
    """A text with its floods of spaces and closing marks cut short, and the way back to the text."""

    def __init__(self, text: str) -> None:
        kept: list[str] = []
        self._starts = array("q", [0])
        self._given = array("q", [0])
        position = length = 0
        for flood in _FLOOD.finditer(text):
            cut = flood.end(flood.lastindex or 0)
            kept.append(text[position:cut])
            length += cut - position
            position = flood.end()
            self._starts.append(length)
            self._given.append(position)
        kept.append(text[position:])
        self.text = "".join(kept) if position else text

    def given(self, offset: int) -> int:
        """Return where an offset is in the text as it was given; a cut belongs to what is before it."""
        part = bisect_right(self._starts, offset) - 1
        return self._given[part] + offset - self._starts[part]
