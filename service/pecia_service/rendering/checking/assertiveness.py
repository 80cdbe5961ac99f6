"""A score of how assertive a text sounds, by the words it uses."""

from __future__ import annotations

from pecia_service.rendering.checking.folding import FoldedText
from pecia_service.rendering.checking.lexicon import BOOSTERS, HEDGES
from pecia_service.rendering.checking.tokens import TokenMatcher


class AssertivenessScale:
    """Scores texts from 0 (hedged) to 1 (assertive) as the docstring of `lexicon` says."""

    def __init__(self) -> None:
        self._matcher = TokenMatcher((*BOOSTERS, *HEDGES))

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return self._matcher.weight

    def score(self, text: FoldedText) -> float:
        """Return the score of a folded text; 0.5 when it neither hedges nor boosts."""
        boosters = found = 0
        for match in self._matcher.find(text.folded):
            boosters += match.token < len(BOOSTERS)
            found += 1
        return (boosters + 1) / (found + 2)
