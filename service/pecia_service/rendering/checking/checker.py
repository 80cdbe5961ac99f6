"""The checker: every rule that the constraints name, over one text, in time proportional to it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from operator import attrgetter

from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model.common import check_bytes
from pecia_service.rendering.checking.assertiveness import AssertivenessScale
from pecia_service.rendering.checking.emoji import find_emoji
from pecia_service.rendering.checking.folding import FoldedText, fold
from pecia_service.rendering.checking.model import CheckResult, ConstraintRule, Severity, Violation
from pecia_service.rendering.checking.paragraphs import count_paragraphs
from pecia_service.rendering.checking.sentences import find_long_sentences
from pecia_service.rendering.checking.tokens import TokenMatcher

MAX_OUTPUT_BYTES = 1_048_576
MAX_VIOLATIONS = 1_000


class OutputChecker:
    """Measures texts against constraints, which are compiled once."""

    def __init__(self, constraints: Constraints) -> None:
        self._constraints = constraints
        tokens = constraints.forbidden_tokens
        self._matcher = TokenMatcher(tokens) if tokens else None
        self._scale = AssertivenessScale() if constraints.assertiveness_level is not None else None

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory, for a cache that is bounded by them."""
        return sum(part.weight for part in (self._matcher, self._scale) if part is not None)

    def check(self, output: str) -> CheckResult:
        """Measure a text of at most 1,048,576 bytes of UTF-8, as it was given: nothing is normalised.

        Answers at most 1,000 violations. Raises InvalidInputError (SIZE_EXCEEDED) naming the field `output`.
        """
        check_bytes(output, MAX_OUTPUT_BYTES, "output")
        found = list(
            islice(_Check(self._constraints, self._matcher, self._scale, output).run(), MAX_VIOLATIONS + 1)
        )
        violations = tuple(found[:MAX_VIOLATIONS])
        # What is cut off can't change the verdict: there is one warning at most, so errors are listed before.
        passed = all(violation.severity is not Severity.ERROR for violation in violations)
        return CheckResult(passed, violations, len(found) > MAX_VIOLATIONS)


class _Check:
    """One check of one text; each rule yields its violations in order, as far as they are asked for."""

    def __init__(
        self,
        constraints: Constraints,
        matcher: TokenMatcher | None,
        scale: AssertivenessScale | None,
        output: str,
    ) -> None:
        self._constraints = constraints
        self._matcher = matcher
        self._scale = scale
        self._output = output

    def run(self) -> Iterator[Violation]:
        rules = (self._tokens(), self._sentences(), self._paragraphs(), self._emoji(), self._assertiveness())
        # A merge is stable: at one start, violations stay in the order of the rules.
        return heapq.merge(*rules, key=attrgetter("start"))

    @cached_property
    def _folded(self) -> FoldedText:
        return fold(self._output)

    def _tokens(self) -> Iterator[Violation]:
        if self._matcher is None:
            return
        for match in self._matcher.find(self._folded.folded):
            token = self._constraints.forbidden_tokens[match.token]
            yield Violation(
                ConstraintRule.FORBIDDEN_TOKEN,
                Severity.ERROR,
                f'"{token}" is forbidden; leave it out',
                *self._folded.span(match.start, match.end),
                actual=1,
                limit=0,
            )

    def _sentences(self) -> Iterator[Violation]:
        limit = self._constraints.max_sentence_length
        if limit is None:
            return
        for sentence in find_long_sentences(self._output, limit):
            yield Violation(
                ConstraintRule.SENTENCE_LENGTH,
                Severity.ERROR,
                f"the sentence has {sentence.words} words; at most {limit} are allowed",
                sentence.start,
                sentence.end,
                actual=sentence.words,
                limit=limit,
            )

    def _paragraphs(self) -> Iterator[Violation]:
        limit = self._constraints.max_paragraphs
        if limit is None:
            return
        paragraphs = count_paragraphs(self._output, limit)
        if paragraphs.excess_start is not None:
            yield Violation(
                ConstraintRule.PARAGRAPHS,
                Severity.ERROR,
                f"there are {paragraphs.count} paragraphs; at most {limit} are allowed",
                paragraphs.excess_start,
                len(self._output),
                actual=paragraphs.count,
                limit=limit,
            )

    def _emoji(self) -> Iterator[Violation]:
        if not self._constraints.no_emoji:
            return
        for start, end in find_emoji(self._output):
            yield Violation(
                ConstraintRule.EMOJI,
                Severity.ERROR,
                "emoji are not allowed; leave it out",
                start,
                end,
                actual=1,
                limit=0,
            )

    def _assertiveness(self) -> Iterator[Violation]:
        level = self._constraints.assertiveness_level
        if level is None or self._scale is None:
            return
        score = self._scale.score(self._folded)
        if score > level:
            yield Violation(
                ConstraintRule.ASSERTIVENESS,
                Severity.WARNING,
                f"the text scores {score:.2f} for assertiveness, above {level:.2f}; hedge more or boost less",
                0,
                len(self._output),
                actual=score,
                limit=level,
            )
