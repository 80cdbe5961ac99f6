"""Whole tokens found in folded text: all of them at once, in one pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex

from pecia_service.rendering.checking.folding import NONSTARTER, fold
from pecia_service.rendering.checking.patterns import compile_pattern

# Scripts that put no space between words have no edges that a whole token could be told by.
_WORD_SET = (
    r"[\w--[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]]"
)
_WORD = compile_pattern(_WORD_SET)
_NONSTARTER = compile_pattern(NONSTARTER)

# Stands between a word character and another one (or the end), in tokens and in texts alike, so that only
# whole tokens are equal to a part of a text. A lone surrogate is in neither.
_EDGE = "\ud800"

_BYTES_PER_STATE = 240


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """A token, by its index, at the span [`start`, `end`) of a folded text."""

    start: int
    end: int
    token: int


class TokenMatcher:
    """Finds tokens by one automaton, so that their number does not matter.

    A token is compared after `fold`, so in any case, in any normal form, and with any white space for its
    own; its punctuation is literal. An edge of it that is a word character must not touch another one: "AI"
    is not in "said", and "C++" is in "C++." Characters of scripts without spaces (Han, kana, Thai, Lao,
    Khmer, Myanmar) touch nothing. A combining mark behind the token makes its last character another one.

    A. V. Aho and M. J. Corasick, "Efficient string matching", 1975.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        """Take at least one token, none of them empty; of two that fold alike the first is found."""
        folded = [fold(token).folded for token in tokens]
        self._lengths = [len(token) for token in folded]
        self._steps: list[dict[str, int]] = [{}]
        # The index of the longest token that a state ends with, or -1.
        self._found = [-1]
        words = _Words()
        for index, token in enumerate(folded):
            self._add(index, token, words)
        self._fallbacks = [0] * len(self._steps)
        self._link()
        self._longest = max(self._lengths)
        self._begin = _beginnings({token[0] for token in folded}, words)

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return _BYTES_PER_STATE * len(self._steps)

    def _add(self, index: int, token: str, words: _Words) -> None:
        state, in_word = 0, False
        for character in token:
            if words[character] is not in_word:
                state = self._extend(state, _EDGE)
                in_word = not in_word
            state = self._extend(state, character)
        if in_word:
            state = self._extend(state, _EDGE)
        if self._found[state] < 0:
            self._found[state] = index

    def _extend(self, state: int, symbol: str) -> int:
        following = self._steps[state].setdefault(symbol, len(self._steps))
        if following == len(self._steps):
            self._steps.append({})
            self._found.append(-1)
        return following

    def _link(self) -> None:
        """Give each state its fallback, the state of its longest proper suffix, breadth first."""
        queue = deque(self._steps[0].values())
        while queue:
            parent = queue.popleft()
            for symbol, state in self._steps[parent].items():
                fallback = self._fallbacks[state] = self._step(self._fallbacks[parent], symbol)
                if self._found[state] < 0:
                    self._found[state] = self._found[fallback]
                queue.append(state)

    def _step(self, state: int, symbol: str) -> int:
        while True:
            following = self._steps[state].get(symbol)
            if following is not None:
                return following
            if not state:
                return 0
            state = self._fallbacks[state]

    def find(self, folded: str) -> Iterator[TokenMatch]:
        """Yield the matches in a folded text by their starts; none lies inside another, but they may overlap.

        Takes time in proportion to the text, whatever the tokens.
        """
        pending: deque[TokenMatch] = deque()
        for match in self._by_ends(folded):
            # Of what ends earlier, all that starts no earlier lies inside.
            while pending and pending[-1].start >= match.start:
                pending.pop()
            # Nothing that is still to come ends here or starts as early as this.
            while pending and pending[0].start <= match.end - self._longest:
                yield pending.popleft()
            pending.append(match)
        yield from pending

    def _by_ends(self, folded: str) -> Iterator[TokenMatch]:
        """Yield the longest match of each end, by ends."""
        words = _Words()
        state = position = 0
        in_word = False
        while position < len(folded):
            if not state:
                # Nothing is half read, so that the text up to where a token can begin need not be.
                beginning = self._begin.search(folded, position)
                if beginning is None:
                    return
                position = beginning.start()
                # Where a token begins, no word is half read that an edge of it would have to end.
                in_word = False
            character = folded[position]
            if words[character] is not in_word:
                in_word = not in_word
                state = self._step(state, _EDGE)
                if self._found[state] >= 0:
                    yield from self._match(folded, position, self._found[state])
            state = self._step(state, character)
            position += 1
            if self._found[state] >= 0:
                yield from self._match(folded, position, self._found[state])
        if in_word:
            state = self._step(state, _EDGE)
            if self._found[state] >= 0:
                yield from self._match(folded, position, self._found[state])

    def _match(self, folded: str, end: int, token: int) -> Iterator[TokenMatch]:
        if not _NONSTARTER.match(folded, end):
            yield TokenMatch(end - self._lengths[token], end, token)


class _Words(dict[str, bool]):
    """Whether a character is a word character, looked up once for each."""

    def __missing__(self, character: str) -> bool:
        self[character] = found = _WORD.match(character) is not None
        return found


def _beginnings(firsts: set[str], words: _Words) -> regex.Pattern[str]:
    """Make the pattern of where a token can begin, given the first characters of all."""
    inside = [regex.escape(first) for first in sorted(firsts) if words[first]]
    outside = [regex.escape(first) for first in sorted(firsts) if not words[first]]
    parts = []
    if inside:
        parts.append(rf"(?<!{_WORD_SET})[{''.join(inside)}]")
    if outside:
        parts.append(f"[{''.join(outside)}]")
    return compile_pattern("|".join(parts))
